"""What makes Dagster run without anybody asking: new checkpoints, and the clock."""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition,
)

from assets.lineage.graph import AssetGraph, Node
from assets.registry import build_graph
from assets.sources.checkpoints import predicted_by, sampled_by
from assets.study.checkpoints import Checkpoint, Registered
from assets.study.digests import digest
from assets.study.errors import InputError
from assets.study.measured import Measured
from assets.study.parts import ShannonGame
from assets.study.registered import as_it_stands
from assets.study.study import Study
from assets.study.watching import look, take_in_ready
from models import ModelError
from models.files import File, one_look
from orchestration.assets import GONE
from orchestration.instance import fail_abandoned
from orchestration.jobs import (
    Only,
    check_schedule,
    measure_request,
    refresh_request,
)
from orchestration.names import Names
from warehouse import Lake

_AT_ONCE, _LONGEST_LOOK = 50, 20.0
"""Checkpoints taken in at one tick, and seconds to look for them: Dagster gives a tick a minute."""
_UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dataclass
class Cursor:
    """What the sensor remembers from one tick to the next.

    Attributes:
        seen: What it saw of checkpoints that are not registered, by origin.
        requested: Keys of the runs of registered checkpoints that it asked for. Dagster knows them
            too, and never runs one twice; this spares it looking each of them up at every tick.
        state: The state of the study that it asked for, as `_state` tells it from others.
        changes: How often that has changed.
        looked: What there was when it looked last whether figures are stale.
        figures: Which figures it asked for last, and as what.
        figure_changes: How often it has asked for figures.
    """

    seen: dict[str, str] = field(default_factory=dict)
    requested: list[str] = field(default_factory=list)
    state: str = ""
    changes: int = 0
    looked: str = ""
    figures: str = ""
    figure_changes: int = 0

    @classmethod
    def read(cls, text: str | None) -> "Cursor":
        """Reads it back; where somebody has cleared or broken it, all is looked at anew."""
        try:
            return cls(**json.loads(text or "{}"))
        except (ValueError, TypeError):
            return cls()

    def to_json(self) -> str:
        """As Dagster keeps it."""
        return json.dumps(asdict(self))


def checkpoint_sensor(
    study: Study,
    lake: Lake,
    measure: UnresolvedAssetJobDefinition,
    refresh: dg.JobDefinition,
    assets: Collection[str],
    code_versions: Mapping[str, str],
) -> dg.SensorDefinition:
    """Looks where the study watches; registers what is new and asks for one run of each.

    Once for each state of the study it asks for a run of all that is stale, the study's own
    checkpoints together; the first state is their first load. Figures that are stale although
    nothing runs any more, as somebody has materialized or removed a checkpoint, are asked for too.

    Args:
        study: The study.
        lake: Where tables are.
        measure: The job that measures a checkpoint.
        refresh: The job that makes what is stale.
        assets: Names of the assets that Dagster knows.
        code_versions: The code version of each.
    """

    @dg.sensor(
        name=Names.of(study).name("new_checkpoints"),
        jobs=[measure, refresh],
        minimum_interval_seconds=study.watch_every,
        description="Registers checkpoints that appear where the study watches, and measures them; "
        "makes what a change of the study, its code or its checkpoints has made stale.",
    )
    def new_checkpoints(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        fail_abandoned(context.instance)
        cursor = Cursor.read(context.cursor)
        try:
            looked = look(study, lake, cursor.seen, seconds=_LONGEST_LOOK)
            for registered in take_in_ready(study, lake, looked, most=_AT_ONCE):
                context.log.info(f"{registered.name}: {registered.origin}")
            now = as_it_stands(study, lake)
        except InputError as error:
            return dg.SkipReason(str(error))
        asked = _Asked()
        graph = cache(lambda: build_graph(now, lake))
        _ask_for_study(asked, study, now, cursor, graph, code_versions)
        _ask_for_registered(asked, now, cursor, graph, assets)
        if not asked.requests:
            _ask_for_figures(asked, context.instance, now, cursor, graph, assets)
        notes = [f"{origin}: to be looked at again" for origin in looked.waiting]
        notes += [*looked.problems.values(), *asked.notes]
        for note in notes:
            context.log.info(note)
        cursor.seen = looked.seen
        return dg.SensorResult(
            run_requests=asked.requests,
            dynamic_partitions_requests=_registrations(context.instance, now),
            cursor=cursor.to_json(),
            skip_reason=None if asked.requests else "; ".join(notes) or "nothing new",
        )

    return new_checkpoints


@dataclass
class _Asked:
    """What a tick asks for, and sentences for what it cannot ask for now."""

    requests: list[dg.RunRequest] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def _ask_for_registered(
    asked: _Asked,
    now: Study,
    cursor: Cursor,
    graph: Callable[[], AssetGraph],
    assets: Collection[str],
) -> None:
    """Asks for a run of each registered checkpoint, once."""
    keys = {f"{c.name} {c.entry}": c.name for c in now.checkpoints if isinstance(c, Registered)}
    requested = set(cursor.requested)
    cursor.requested = [key for key in keys if key in requested]
    new = {key: name for key, name in keys.items() if key not in requested}
    if not new:
        return
    nodes: dict[str | None, list[Node]] = {}
    for node in graph().select(()):
        nodes.setdefault(node[1], []).append(node)
    with one_look():
        for key, name in new.items():
            if name not in nodes:
                asked.notes.append(GONE.format(name))
                continue
            try:
                stale = graph().stale(nodes[name])
            except InputError as error:
                asked.notes.append(f"{name}: {error}")
                continue
            if stale:  # a command may have been faster
                asked.requests.append(measure_request(graph(), name, key, assets))
            cursor.requested.append(key)


def _ask_for_study(
    asked: _Asked,
    study: Study,
    now: Study,
    cursor: Cursor,
    graph: Callable[[], AssetGraph],
    code_versions: Mapping[str, str],
) -> None:
    """Asks for a run of all that is stale, once for each state of the study.

    Registered checkpoints take part in it once they have had a run of their own.
    """
    state = _state(study, code_versions)
    if state == cursor.state:
        return
    measured = {key.rpartition(" ")[0] for key in cursor.requested}
    names = [c.name for c in now.checkpoints if c.name in measured or not isinstance(c, Registered)]
    try:
        stale = graph().stale(graph().select((), names)) if names else {}
    except InputError as error:
        asked.notes.append(str(error))
        return
    cursor.state, cursor.changes = state, cursor.changes + 1
    if stale:
        key = f"{study.name} as of {state[:8]} ({cursor.changes})"
        asked.requests.append(refresh_request(now, key, Only(checkpoints=names)))


def _state(study: Study, code_versions: Mapping[str, str]) -> str:
    """Tells a state of the study from others: its file, the code, and what is on this machine.

    What it names on a hub is not asked for at every tick: a schedule or a command looks there.
    """
    return digest(
        [
            study.model_dump(mode="json"),
            dict(code_versions),
            [_state_of_checkpoint(checkpoint) for checkpoint in study.checkpoints],
            [_or_error(c.digest) for c in study.corpora if c.source.scheme == "file"],
            _digest_of_passages(study.shannon_game),
            [_or_error(p.digest) for p in study.preferences if p.source.scheme == "file"],
            [_or_error(c.digest) for c in study.choices if c.source.scheme == "file"],
            [_or_error(_format_of(watch)) for watch in study.watch],
            list(File.at(study.prompts)) if study.prompts.is_file() else None,
        ]
    )


def _state_of_checkpoint(checkpoint: Checkpoint) -> list[object]:
    """What is on this machine of a checkpoint, and what would run it."""
    state = [_or_error(_format_of(checkpoint))]
    if checkpoint.source.is_on_disk:
        state.append(_or_error(checkpoint.digest))
    if checkpoint.tokenizer is not None and checkpoint.tokenizer.is_on_disk:
        state.append(_or_error(checkpoint.tokenizer.digest))
    if checkpoint.engine_name:
        state += [str(sampled_by(checkpoint)), str(predicted_by(checkpoint))]
    return state


def _format_of(measured: Measured) -> Callable[[], object]:
    return lambda: measured.format_of_prompts.parameters


def _digest_of_passages(game: ShannonGame | None) -> object:
    if game is None or game.source == "corpora" or game.source.scheme != "file":
        return None
    return _or_error(game.digest)


def _or_error(ask: Callable[[], object]) -> object:
    """What is asked, or the sentence that says what is wrong with it."""
    try:
        return ask()
    except (InputError, ModelError) as error:
        return str(error)


def _ask_for_figures(
    asked: _Asked,
    instance: dg.DagsterInstance,
    now: Study,
    cursor: Cursor,
    graph: Callable[[], AssetGraph],
    assets: Collection[str],
) -> None:
    """Asks for the figures that are stale although nothing runs any more.

    Dagster does not find that out: of partitions that were removed it knows nothing, and where an
    asset reads 100 partitions or more it does not look.
    """
    registered = [c.name for c in now.checkpoints if isinstance(c, Registered)]
    newest = instance.event_log_storage.get_maximum_record_id()
    state_now = digest([newest, registered])
    if state_now == cursor.looked or instance.get_runs_count(dg.RunsFilter(statuses=_UNDER_WAY)):
        return
    stale = {}
    try:
        for asset in graph().present:
            if asset.group == "figures" and asset.name in assets:
                stored = asset.stored(graph().lake, None)
                drawn_now = graph().data_version_now(asset.name, None)
                if drawn_now and (stored is None or stored.data_version != drawn_now.digest):
                    stale[asset.name] = drawn_now.digest
    except InputError as error:
        asked.notes.append(str(error))
        return
    cursor.looked = state_now
    figures = digest(stale)[:8] if stale else ""
    # What cannot be drawn is asked for once; what was drawn and is stale once more, once more.
    if stale and figures != cursor.figures:
        cursor.figure_changes += 1
        key = f"figures as of {figures} ({cursor.figure_changes})"
        asked.requests.append(refresh_request(now, key, Only(assets=[*stale, "report"])))
    cursor.figures = figures


def _registrations(
    instance: dg.DagsterInstance, study: Study
) -> list[dg.AddDynamicPartitionsRequest]:
    """Asks for the partitions that Dagster does not have yet."""
    study_names = Names.of(study)
    known = set(instance.get_dynamic_partitions(study_names.dimension))
    names = [checkpoint.name for checkpoint in study.checkpoints if checkpoint.name not in known]
    return [study_names.partitions.build_add_request(names)] if names else []


def refresh_schedule(study: Study, refresh: dg.JobDefinition) -> dg.ScheduleDefinition:
    """Brings the lake up to date by the study's cron expression, in UTC.

    Raises:
        InputError: It is no cron expression.
    """
    assert study.schedule is not None
    check_schedule(study.schedule)
    return dg.ScheduleDefinition(
        name=Names.of(study).name("refresh"),
        job=refresh,
        cron_schedule=study.schedule,
        description="Makes what is stale, and draws its figures anew.",
    )
