"""Running what is stale, from the command line, through the same definitions as the UI."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from time import monotonic
from typing import TYPE_CHECKING
from uuid import uuid4

from dagster._core.storage.tags import MAX_RETRIES_TAG, REPOSITORY_LABEL_TAG

from orchestration.assets import FORCE, REPORT, STOPPED
from orchestration.heartbeats import beating
from orchestration.instance import BY_COMMAND, wait_for_pool
from orchestration.names import Names
from orchestration.partitions import register
from orchestration.steps import path_of
from warehouse.tables import SUMMARY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import dagster as dg

    from assets.lineage.graph import AssetGraph, Node

    Stage = list[tuple[str | None, list[Node]]]
    """Runs that wait for those of earlier stages: of each the partition and its nodes."""


_SOON = 60.0
"""Seconds within which a report is soon enough at a run's end."""


@dataclass
class Outcome:
    """What a run came to.

    Attributes:
        made: Nodes that were made.
        failures: Of each part that failed, its name and the reason.
    """

    made: list[Node] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)


def stages(graph: AssetGraph, nodes: Iterable[Node]) -> list[Stage]:
    """What is to be run after what: each stage a list of runs, each run a partition and its nodes.

    A run is one checkpoint with all its steps. What has no partition is a run before those that
    read it, and after those that it reads. What reads other checkpoints' partitions, or does
    without what fails, is a run after theirs.
    """
    level: dict[str, int] = {}
    for name, asset in graph.assets.items():
        above = [
            level[read]
            + (
                graph.assets[read].partitioned != asset.partitioned
                or read in asset.of_partners
                or (asset.partitioned and read in asset.optional)
            )
            for read in asset.reads
        ]
        level[name] = max(above, default=0)
        if not asset.reads and asset.partitioned:
            level[name] = 1  # beside the other steps of its checkpoint
    # Figures are drawn together, when all is there.
    feeding: set[str] = set()
    for name, asset in reversed(graph.assets.items()):
        if asset.partitioned or name in feeding:
            feeding.update(asset.reads)
    last = max(level.values())
    level |= {
        name: last
        for name, asset in graph.assets.items()
        if not asset.partitioned and name not in feeding
    }
    grouped: dict[int, dict[str | None, list[Node]]] = {}
    for name, partition in nodes:
        grouped.setdefault(level[name], {}).setdefault(partition, []).append((name, partition))
    return [list(grouped[i].items()) for i in sorted(grouped)]


def run(
    defs: dg.Definitions,
    graph: AssetGraph,
    nodes: Sequence[Node],
    instance: dg.DagsterInstance,
    *,
    force: bool = False,
    debug: bool = False,
    holds_pool: bool = False,
    location: str | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Runs nodes, in this process; a failed checkpoint does not keep the others.

    A lake without a report has its first one as soon as the checkpoints can be compared, where the
    run takes longer; at the end it is made with all that there is.

    Args:
        defs: Dagster's definitions.
        graph: The study and its assets.
        nodes: What to run.
        instance: Where Dagster keeps what happened.
        force: Make them whether or not they are up to date.
        debug: Show all that Dagster logs, tracebacks included.
        holds_pool: Whether the run that this is a part of is in the pool `model` already.
        location: The code location whose timeline has the runs; by default that of the UI.
        say: Told of each run as it begins.

    Raises:
        KeyboardInterrupt: It was stopped; what was finished is kept.
    """
    register(instance, graph.study)
    job = defs.resolve_implicit_global_asset_job_def()
    names_of_study = Names.of(graph.study, location)
    outcome = Outcome()
    level = "DEBUG" if debug else "CRITICAL"

    def execute(partition: str | None, names: list[str]) -> dg.ExecuteInProcessResult:
        if not holds_pool and any(graph.assets[name].uses_model for name in names):
            wait_for_pool(instance, say)
        say(f"{partition or graph.study.name}: {', '.join(names)}")
        run_id = _listed(instance, names_of_study, job.name)
        with beating(instance, run_id):
            result = job.execute_in_process(
                run_id=run_id,
                instance=instance,
                partition_key=partition,
                asset_selection=[names_of_study.key(name) for name in names],
                raise_on_error=False,
                tags={
                    FORCE: str(force).lower(),
                    BY_COMMAND: "true",
                    MAX_RETRIES_TAG: "0",  # whoever gave the command gives it again
                    REPOSITORY_LABEL_TAG: names_of_study.repository,
                },
                run_config={"loggers": {"console": {"config": {"log_level": level}}}},
            )
        if any(reason == STOPPED for _, reason in _failures(result)):
            raise KeyboardInterrupt
        return result

    later, began = stages(graph, nodes), monotonic()
    while later:
        for partition, steps in later.pop(0):
            if outcome.failures:  # what reads a part that failed would only say so again
                steps = _possible(graph, steps)
            if not steps:
                continue
            result = execute(partition, [name for name, _ in steps])
            outcome.failures += [
                (f"{name} ({partition})" if partition else name, reason)
                for event, reason in _failures(result)
                for name in [names_of_study.asset(path_of(str(event.step_key)))]
            ]
            made = {
                names_of_study.asset(list(event.asset_key.path))
                for event in result.all_events
                if event.is_step_materialization and event.asset_key
            }
            outcome.made += [step for step in steps if step[0] in made]
        showing = _showing(graph, later) if monotonic() - began > _SOON else []
        if showing:
            say("a first report of what is there, before the rest is made")
        for partition, steps in chain.from_iterable(stages(graph, showing)):
            if possible := _possible(graph, steps):
                execute(partition, [name for name, _ in possible])
    return outcome


def _showing(graph: AssetGraph, later: Sequence[Stage]) -> list[Node]:
    """What gives a lake without a report its first one, while a model's work is still to be done.

    Nothing until each checkpoint that is to be compared has a measure.
    """
    nodes = [node for _, steps in chain.from_iterable(later) for node in steps]
    if graph.lake.report.exists() or (REPORT, None) not in nodes:
        return []
    if not any(graph.assets[name].uses_model for name, _ in nodes):
        return []
    measures = [graph.assets[name] for name in graph.assets[SUMMARY.name].reads]
    to_compare = [partition for name, partition in nodes if name == SUMMARY.name]
    if not all(any(m.stored(graph.lake, partition) for m in measures) for partition in to_compare):
        return []
    return [node for node in nodes if graph.assets[node[0]].group in ("summaries", "figures")]


def _listed(instance: dg.DagsterInstance, names: Names, job: str) -> str:
    """The identifier of a run to come, which is put into the UI's timeline as it begins."""
    run_id = str(uuid4())
    begun: list[str] = []

    def begins(_: object) -> None:
        if begun:
            return
        if (run := instance.get_run_by_id(run_id)) is not None:
            begun.append(run_id)
            instance.run_storage.replace_job_origin(run, names.origin(job))

    instance.add_event_listener(run_id, begins)
    return run_id


def _possible(graph: AssetGraph, steps: list[Node]) -> list[Node]:
    """Those steps of a run whose inputs are there, or are made by a step before them."""
    possible: list[Node] = []
    for name, partition in steps:
        made = {earlier for earlier, _ in possible}
        if set(graph.missing(name, partition)) <= made:
            possible.append((name, partition))
    return possible


def _failures(result: dg.ExecuteInProcessResult) -> list[tuple[dg.DagsterEvent, str]]:
    failures = []
    for event in result.all_events:
        if event.is_step_failure:
            data = event.step_failure_data
            described = data.user_failure_data.description if data.user_failure_data else None
            error = data.error
            cause = error.cause if error and error.cause else error
            failures.append((event, described or (cause.message.strip() if cause else "it failed")))
    return failures
