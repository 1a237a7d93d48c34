"""Runs as jobs of a Ray cluster, by dagster-ray.

A run is one job on one machine, so that its steps share the loaded model; other runs go to the
cluster's other machines. It takes, of each kind of resource, the most that any of its steps does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster._core.launcher import LaunchRunContext, WorkerStatus
from dagster._core.launcher.base import CheckRunHealthResult
from dagster._core.origin import get_python_environment_entry_point
from dagster_ray import RayRunLauncher

from orchestration.heartbeats import Heartbeat
from orchestration.instance import BY_COMMAND
from orchestration.resources import RESOURCES, as_tags, from_tag, most_of

if TYPE_CHECKING:
    import dagster as dg


class RayLauncher(RayRunLauncher):  # type: ignore[misc] # not typed where it is not installed
    """Dagster-ray's, which asks for what a run's steps take, and leaves commands' runs alone."""

    def launch_run(self, context: LaunchRunContext) -> None:
        """Submits a run as a job."""
        run = context.dagster_run
        if RESOURCES not in run.tags:  # a tag that somebody gave the run goes before its steps'
            run = run.with_tags({**run.tags, **self._resources_of(run)})
        super().launch_run(context._replace(dagster_run=_with_python(run)))

    def _resources_of(self, run: dg.DagsterRun) -> dict[str, str]:
        assert run.execution_plan_snapshot_id is not None
        plan = self._instance.get_execution_plan_snapshot(run.execution_plan_snapshot_id)
        return as_tags(
            most_of(
                from_tag(step.tags[RESOURCES])
                for step in plan.steps
                if step.key in plan.step_keys_to_execute and RESOURCES in (step.tags or {})
            )
        )

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """What became of a run's job; the heartbeat tells of a run that no job was made of."""
        heartbeat = Heartbeat.of(self._instance, run.run_id)
        is_alive = heartbeat is not None and not heartbeat.has_stopped
        if BY_COMMAND in run.tags:
            return CheckRunHealthResult(WorkerStatus.RUNNING if is_alive else WorkerStatus.FAILED)
        health: CheckRunHealthResult = super().check_run_worker_health(run)
        if health.status == WorkerStatus.UNKNOWN and is_alive:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return health


def _with_python(run: dg.DagsterRun) -> dg.DagsterRun:
    """A run that starts with the Python that its code was loaded by, whatever is on the PATH."""
    assert run.job_code_origin is not None
    repository = run.job_code_origin.repository_origin
    started_by = get_python_environment_entry_point(repository.executable_path)
    origin = run.job_code_origin._replace(
        repository_origin=repository._replace(entry_point=started_by)
    )
    return run._replace(job_code_origin=origin)
