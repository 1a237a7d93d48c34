"""The one place where everything is wired together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from assets.registry import build_graph
from assets.study.registered import as_it_stands
from models import ModelPool
from orchestration.assets import Graphs, build_asset
from orchestration.heartbeats import one_process
from orchestration.jobs import measure_job, refresh_job
from orchestration.names import Names
from orchestration.resources import most_of, resources_of
from orchestration.sensors import checkpoint_sensor, refresh_schedule

if TYPE_CHECKING:
    from assets.lineage.progress import Progress
    from assets.study.study import Study
    from warehouse import Lake


def build_defs(
    study: Study,
    lake: Lake,
    *,
    models: ModelPool | None = None,
    progress: Progress | None = None,
) -> dg.Definitions:
    """Dagster's definitions for a study and a lake.

    Args:
        study: What is measured.
        lake: Where tables are.
        models: Loads models; tests give one that makes them up.
        progress: Told how far long work is; by default the run's log is.

    Raises:
        DeclarationError: A measurement cannot become a table.
        InputError: A registered checkpoint cannot be read, or the schedule, or `resources` names
            no asset.
    """
    graph = build_graph(as_it_stands(study, lake).expecting(), lake)
    # What is registered later has no part in it: it comes while a code location is loaded.
    code_versions = build_graph(study, lake).code_versions()
    models, graphs = models or ModelPool(), Graphs(study, lake)
    names = Names.of(study)
    resources = resources_of(study, graph.assets.values())
    measure = measure_job(names)
    refresh = refresh_job(study, lake, most_of(resources.values()), lambda: defs)
    defs = dg.Definitions(
        assets=[
            build_asset(
                asset,
                graph,
                code_versions[asset.name],
                study,
                lake,
                graphs,
                models,
                progress,
                resources.get(asset.name),
            )
            for asset in graph.present
        ],
        jobs=[measure, refresh],
        sensors=[
            checkpoint_sensor(
                study, lake, measure, refresh, {a.name for a in graph.present}, code_versions
            )
        ],
        schedules=[refresh_schedule(study, refresh)] if study.schedule else [],
        executor=one_process,
        metadata={names.name("study"): study.name, names.name("lake"): str(lake.root)},
    )
    return defs
