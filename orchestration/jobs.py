"""What Dagster runs by itself: a checkpoint as it comes, and all that is stale by cron."""

import time
from collections.abc import Callable, Collection

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition,
)
from dagster._utils.schedules import is_valid_cron_schedule, schedule_execution_time_iterator

from assets.lineage.graph import AssetGraph
from assets.registry import build_graph
from assets.study.errors import InputError
from assets.study.registered import as_it_stands
from assets.study.resources import Resources
from assets.study.study import Study
from orchestration.instance import MODEL_POOL
from orchestration.names import Names
from orchestration.resources import as_tags
from orchestration.runner import run
from warehouse import Lake

REFRESH = "refresh"
_MATERIALIZE_STALE = "materialize_stale"
MEASURE_CHECKPOINT = "measure_checkpoint"


class Only(dg.Config):
    """What a run of `refresh` is limited to.

    Attributes:
        checkpoints: Names of checkpoints; all where there are none.
        assets: Names of assets; all where there are none.
    """

    checkpoints: list[str] = []  # noqa: RUF012 - a pydantic model, which copies it
    assets: list[str] = []  # noqa: RUF012


def measure_job(names: Names) -> UnresolvedAssetJobDefinition:
    """Measures one checkpoint."""
    return dg.define_asset_job(
        names.name(MEASURE_CHECKPOINT),
        selection=dg.AssetSelection.key_prefixes([names.prefix])
        if names.prefix  # beside it may be other studies
        else dg.AssetSelection.all(),
        description="Measures one checkpoint, and draws the figures anew.",
    )


def measure_request(
    graph: AssetGraph, name: str, run_key: str, assets: Collection[str]
) -> dg.RunRequest:
    """Asks for a run of what a checkpoint has, of what there are assets of."""
    names = Names.of(graph.study)
    return dg.RunRequest(
        run_key=run_key,
        job_name=names.name(MEASURE_CHECKPOINT),
        partition_key=name,
        asset_selection=[
            names.key(asset.name)
            for asset in graph.present
            if asset.name in assets and (not asset.partitioned or graph.has(asset.name, name))
        ],
        tags=_tags(graph.study),
    )


def refresh_request(study: Study, run_key: str, only: Only) -> dg.RunRequest:
    """Asks for a run of what is stale."""
    names = Names.of(study)
    return dg.RunRequest(
        run_key=run_key,
        job_name=names.name(REFRESH),
        run_config=dg.RunConfig(ops={names.name(_MATERIALIZE_STALE): only}),
        tags=_tags(study),
    )


def _tags(study: Study) -> dict[str, str]:
    # Of runs whose process was killed; steps that fail are tried again within their run.
    return {"dagster/max_retries": str(study.retries)}


def check_schedule(expression: str) -> None:
    """Looks whether a study's `schedule` is a cron expression of a time that comes.

    Raises:
        InputError: It is none, or of no time, such as the 31st of April.
    """
    try:
        if not is_valid_cron_schedule(expression):
            raise ValueError
        next(schedule_execution_time_iterator(time.time(), expression, "UTC"))
    except Exception as error:  # what reads the expression raises errors that are not public
        raise InputError(
            f"schedule: found {expression!r}; a cron expression of a time that comes goes here, "
            "such as `0 3 * * *`, every night at 3 (UTC)"
        ) from error


def refresh_job(
    study: Study, lake: Lake, resources: Resources, definitions: Callable[[], dg.Definitions]
) -> dg.JobDefinition:
    """What `anchorlake run` does of checkpoints that are known, as a run that can be asked for.

    Its parts are runs of their own, a checkpoint each, in the order in which they read each other.

    Args:
        study: The study.
        lake: Where tables are.
        resources: What it takes of a cluster's machine.
        definitions: Gives Dagster's definitions, of which this job is a part.
    """
    study_names = Names.of(study)

    @dg.op(pool=MODEL_POOL, name=study_names.name(_MATERIALIZE_STALE), tags=as_tags(resources))
    def materialize_stale(context: dg.OpExecutionContext, config: Only) -> None:
        graph = build_graph(as_it_stands(study, lake), lake)
        # One may have been removed since it was asked for.
        known = {checkpoint.name for checkpoint in graph.study.checkpoints}
        names = [name for name in config.checkpoints if name in known]
        if config.checkpoints and not names:
            return
        stale = graph.stale(graph.select((), names))
        if config.assets:
            stale = {node: why for node, why in stale.items() if node[0] in config.assets}
        for (name, partition), why in stale.items():
            context.log.info(f"{name} of {partition}: {why}" if partition else f"{name}: {why}")
        origin = context.run.remote_job_origin
        outcome = run(
            definitions(),
            graph,
            list(stale),
            context.instance,
            holds_pool=True,  # as this op does
            location=origin.location_name if origin else None,
            say=context.log.info,
        )
        if outcome.failures:
            raise dg.Failure(
                "\n".join(f"{name} failed: {reason}" for name, reason in outcome.failures),
                allow_retries=False,
            )

    @dg.job(name=study_names.name(REFRESH), description="Makes all that is stale.")
    def refresh() -> None:
        materialize_stale()

    return refresh
