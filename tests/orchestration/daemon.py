"""What Dagster's daemon does with the sensor, one tick at a time, in this process."""

from __future__ import annotations

from dataclasses import dataclass, field

import dagster as dg


@dataclass
class Daemon:
    """Ticks the sensor and runs what it asks for, each run key once."""

    defs: dg.Definitions
    instance: dg.DagsterInstance
    cursor: str | None = None
    asked: list[str] = field(default_factory=list)
    """Names of what runs were launched for, in order: a partition, or a job without one."""
    requests: list[dg.RunRequest] = field(default_factory=list)
    """Those runs, for whoever launches them later."""
    keys: set[str] = field(default_factory=set)
    said: str = ""
    """What the last tick that asked for nothing said."""

    def tick(self, *, run: bool = True) -> list[dg.ExecuteInProcessResult]:
        sensor = self.defs.resolve_sensor_def("new_checkpoints")
        with dg.build_sensor_context(instance=self.instance, cursor=self.cursor) as context:
            result = sensor(context)
        if isinstance(result, dg.SkipReason):
            self.said = str(result.skip_message)
            return []
        self.said = "" if result.skip_reason is None else str(result.skip_reason.skip_message)
        for request in result.dynamic_partitions_requests or []:
            self.instance.add_dynamic_partitions("checkpoint", list(request.partition_keys))
        self.cursor = result.cursor
        launched = [r for r in result.run_requests or [] if r.run_key not in self.keys]
        self.keys.update(request.run_key for request in launched)
        self.requests += launched
        self.asked += [request.partition_key or request.job_name for request in launched]
        return [self.launch(request) for request in launched] if run else []

    def launch(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        job = self.defs.resolve_job_def(request.job_name)
        return job.execute_in_process(
            instance=self.instance,
            partition_key=request.partition_key,
            asset_selection=request.asset_selection,
            run_config=request.run_config,
            tags=request.tags,
            raise_on_error=False,
        )
