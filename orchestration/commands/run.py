"""`anchorlake run`: brings a lake up to date with a study."""

from __future__ import annotations

import json
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestration.commands.console import (
    DRIFTED,
    FAILED,
    Debugging,
    LakeFolder,
    StudyFile,
    err,
    input_errors,
    out,
    study_at,
    writable_lake,
)
from orchestration.stopping import STOPPED

if TYPE_CHECKING:
    from assets.study.study import Study
    from warehouse import Lake


class Drift(StrEnum):
    """Which crossings of the study's rules a run ends for."""

    new = "new"
    all = "all"


def run_command(
    study: StudyFile,
    lake: LakeFolder = Path("lake"),
    select: Annotated[
        list[str] | None,
        typer.Option(
            help="Tables, figures or groups, with commas between them; what they need comes along. "
            "Repeatable.",
        ),
    ] = None,
    checkpoint: Annotated[
        list[str] | None, typer.Option(help="Only this checkpoint. Repeatable.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Make what is named, or all, anew.")
    ] = False,
    drift: Annotated[
        Drift, typer.Option(help="Warn of new crossings of the study's rules, or of all.")
    ] = Drift.new,
) -> None:
    """Bring the lake up to date with a study, with what is new where it watches."""
    from assets.lineage.materialize import forget_leftovers
    from assets.preflight import check_inputs
    from assets.registry import build_graph
    from assets.study.registered import as_it_stands
    from assets.study.watching import take_in_new
    from models.files import one_look
    from warehouse.catalog import write_catalog

    names = [name.strip() for listed in select or () for name in listed.split(",")]
    with input_errors():
        read = study_at(study)
        place = writable_lake(lake)
        with one_look():
            check_inputs(as_it_stands(read, place))
        take_in_new(read, place, say=err.print)
        with one_look():
            graph = build_graph(as_it_stands(read, place), place)
            nodes = graph.select(names, checkpoint or ())
            stale = list(graph.stale(nodes))
            if not (names or checkpoint):  # of all assets it is known whether they are stale
                forget_leftovers(graph, stale)
        if place.root.exists():  # it may have been moved, or its catalog removed
            write_catalog(place, list(graph.tables.values()))
        if force:
            named = graph.named(names)
            stale = [node for node in nodes if node in stale or node[0] in named]
    if not stale:
        out.print(f"{read.name}: everything is up to date ({len(nodes)} of {len(nodes)} assets)")
        _conclude(read, place, drift)
        return
    from orchestration.build import build_defs
    from orchestration.instance import open_instance
    from orchestration.progress import BarProgress, LogProgress
    from orchestration.runner import run

    progress = BarProgress(out) if out.is_terminal else LogProgress(out.print)
    defs = build_defs(read, place, progress=progress)
    try:
        with open_instance(place) as instance:
            out.print(f"{read.name}: {len(stale)} of {len(nodes)} assets are to be made")
            outcome = run(
                defs, graph, stale, instance, force=force, debug=Debugging.on, say=out.print
            )
    except KeyboardInterrupt:
        err.print("stopped; finished batches are kept, and the same command goes on from there")
        raise typer.Exit(STOPPED) from None
    for name, reason in outcome.failures:
        err.print(f"{name} failed: {reason}")
    out.print(f"{read.name}: {len(outcome.made)} of {len(stale)} assets made")
    _conclude(read, place, drift, failed=bool(outcome.failures))


def _conclude(study: Study, lake: Lake, drift: Drift, *, failed: bool = False) -> None:
    """Says where the report is and what has drifted, and ends with the status of it all."""
    from assets.drawing.figure_files import read_drawn
    from assets.figures.trajectory import FIGURE as TRAJECTORY
    from warehouse.durable import in_one_step

    if lake.report.exists():
        out.print(f"report: {lake.report}")
    drawn = read_drawn(lake, TRAJECTORY) if study.drift else None
    crossed = drawn.drift if drawn else []
    told = _told(lake) if drift is Drift.new else set()
    warned = [crossing for crossing in crossed if crossing.key not in told]
    for crossing in warned:
        err.print(f"drift: {crossing.sentence}")
    if len(warned) < len(crossed):
        out.print(
            f"drift: {len(crossed) - len(warned)} more that a run has told of already; "
            "`--drift all` tells of them again"
        )
    if drawn is not None and not failed:  # the status of a failed run does not tell of drift
        with in_one_step(_told_file(lake)) as path:
            path.write_text(json.dumps([crossing.key for crossing in crossed]), encoding="utf-8")
    if failed:
        raise typer.Exit(FAILED)
    if warned:
        raise typer.Exit(DRIFTED)


def _told(lake: Lake) -> set[str]:
    """The crossings that runs have told of."""
    file = _told_file(lake)
    with suppress(OSError, ValueError, TypeError, RecursionError):
        return set(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else set()
    return set()


def _told_file(lake: Lake) -> Path:
    return lake.staging / "drift.json"
