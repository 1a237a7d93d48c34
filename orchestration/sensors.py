"""What makes Dagster run without anybody asking: new checkpoints, and the clock."""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field

import dagster as dg

from assets.registry import build_graph
from assets.study.checkpoints import Registered
from assets.study.errors import InputError
from assets.study.registered import as_it_stands
from assets.study.study import Study
from assets.study.watching import look, take_in_ready
from orchestration.assets import GONE
from orchestration.instance import fail_abandoned
from orchestration.jobs import MEASURE_CHECKPOINT, first_load_request, measure_request
from orchestration.partitions import CHECKPOINTS
from warehouse import Lake, tables

_AT_ONCE, _LONGEST_LOOK = 50, 20.0
"""Checkpoints taken in at one tick, and seconds to look for them: Dagster gives a tick a minute."""


@dataclass
class Cursor:
    """What the sensor remembers from one tick to the next.

    Attributes:
        seen: What it saw of checkpoints that are not registered, by origin.
        requested: Keys of the runs that it asked for. Dagster knows them too, and never runs one
            twice; this spares it looking each of them up at every tick.
    """

    seen: dict[str, str] = field(default_factory=dict)
    requested: list[str] = field(default_factory=list)

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
    study: Study, lake: Lake, refresh: dg.JobDefinition, assets: Collection[str]
) -> dg.SensorDefinition:
    """Looks where the study watches; registers what is new and asks for one run of each.

    Also of the study's own checkpoints: those that the lake has nothing of are measured together,
    so that a first load needs nobody to start it.

    Args:
        study: The study.
        lake: Where tables are.
        refresh: The job that measures the study's own checkpoints.
        assets: Names of the assets that Dagster knows.
    """

    @dg.sensor(
        name="new_checkpoints",
        jobs=[MEASURE_CHECKPOINT, refresh],
        minimum_interval_seconds=study.watch_every,
        description="Registers checkpoints that appear where the study watches, and measures them.",
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
        keys = _keys(study, now, lake)
        new = {key: name for key, name in keys.items() if key not in cursor.requested}
        requests, left = _requests(now, lake, new, assets) if new else ([], {})
        notes = [f"{origin}: to be looked at again" for origin in looked.waiting]
        notes += [*looked.problems.values(), *left.values()]
        for note in notes:
            context.log.info(note)
        return dg.SensorResult(
            run_requests=requests,
            dynamic_partitions_requests=_registrations(context.instance, now),
            cursor=Cursor(looked.seen, [key for key in keys if key not in left]).to_json(),
            skip_reason=None if requests else "; ".join(notes) or "nothing new",
        )

    return new_checkpoints


def _keys(study: Study, now: Study, lake: Lake) -> dict[str, str | None]:
    """What is to be run once: by key the checkpoint, or None for the study's own together."""
    own = [checkpoint.name for checkpoint in study.checkpoints]
    missing = [name for name in own if not lake.files(tables.CHECKPOINTS, name)]
    keys: dict[str, str | None] = {}
    if missing:
        keys[f"first load of {', '.join(missing)}"] = None
    later = [c for c in now.checkpoints if isinstance(c, Registered)]
    return keys | {f"{checkpoint.name} {checkpoint.entry}": checkpoint.name for checkpoint in later}


def _requests(
    study: Study, lake: Lake, new: Mapping[str, str | None], assets: Collection[str]
) -> tuple[list[dg.RunRequest], dict[str, str]]:
    """Requests for what is to be measured, and by key a sentence for what cannot be now."""
    graph = build_graph(study, lake)
    requests, left = [], {}
    nodes = graph.select(())
    for key, name in new.items():
        own = [node for node in nodes if node[1] == name]
        try:
            if name is None:
                requests.append(first_load_request(study, key))
            elif not own:
                left[key] = GONE.format(name)
            elif graph.stale(own):  # a command may have been faster
                requests.append(measure_request(graph, name, key, assets))
        except InputError as error:
            left[key] = f"{name}: {error}"
    return requests, left


def _registrations(
    instance: dg.DagsterInstance, study: Study
) -> list[dg.AddDynamicPartitionsRequest]:
    """Asks for the partitions that Dagster does not have yet."""
    there = set(instance.get_dynamic_partitions("checkpoint"))
    names = [checkpoint.name for checkpoint in study.checkpoints if checkpoint.name not in there]
    return [CHECKPOINTS.build_add_request(names)] if names else []


def refresh_schedule(study: Study, refresh: dg.JobDefinition) -> dg.ScheduleDefinition:
    """Brings the lake up to date by the study's cron expression, in UTC.

    Raises:
        InputError: It is no cron expression.
    """
    assert study.schedule is not None
    try:
        return dg.ScheduleDefinition(
            name="refresh",
            job=refresh,
            cron_schedule=study.schedule,
            description="Makes what is stale, and draws its figures anew.",
        )
    except dg.DagsterInvalidDefinitionError:
        raise InputError(
            f"schedule: found {study.schedule!r}; a cron expression such as `0 3 * * *` goes here"
        ) from None
