"""`anchorlake check`: what is wrong with a study, and what a run would do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table as Grid

from orchestration.commands.console import (
    FAILED,
    LakeFolder,
    StudyFile,
    input_errors,
    out,
    study_at,
    writable_lake,
)

if TYPE_CHECKING:
    from assets.forecast import Forecast
    from warehouse import Lake


def check_command(
    study: StudyFile,
    lake: LakeFolder = Path("lake"),
    verify: Annotated[
        bool, typer.Option("--verify", help="Read every file of rows, and name the damaged ones.")
    ] = False,
) -> None:
    """Validate a study and all it names; print what a run would do, why, and what it needs."""
    from assets.forecast import forecast
    from assets.lineage.reasons import some
    from assets.preflight import check_inputs, idle, lacking
    from assets.registry import build_graph
    from assets.study.registered import as_it_stands
    from assets.study.watching import look
    from models.files import one_look

    with input_errors(), one_look():
        read = study_at(study)
        place = writable_lake(lake)
        damaged = _verified(place) if verify else []
        standing = as_it_stands(read, place)
        needs = check_inputs(standing)
        unused = idle(standing)
        looked = look(read, place, {})
        graph = build_graph(standing, place)
        nodes = graph.select(())
        stale = graph.stale(nodes)
    to_be_made = {partition for _, partition in stale}
    named_by_study = {checkpoint.name for checkpoint in read.checkpoints}
    grid = Grid("checkpoint", "source", "generations", "tokens at most", box=None, pad_edge=False)
    for need in needs:
        if need.checkpoint in named_by_study | to_be_made:
            tokens = "made elsewhere" if need.tokens is None else f"{need.tokens:,}"
            grid.add_row(need.checkpoint, need.source, f"{need.generations:,}", tokens)
    out.print(f"{study} is valid")
    out.print(grid)
    if rest := len({need.checkpoint for need in needs} - named_by_study - to_be_made):
        out.print(f"{rest} registered checkpoints are up to date")
    for origin in looked.waiting:
        out.print(f"a run would take in {origin}")
    for remark in [*looked.remarks, *unused, *lacking(standing, stale)]:
        out.print(remark)
    if not stale:
        out.print("a run would make nothing of what is known: everything is up to date")
    else:
        out.print(f"a run would make {len(stale)} of {len(nodes)} assets:")
    alike: dict[tuple[str, str], list[str]] = {}
    for (name, partition), why in stale.items():
        alike.setdefault((name, why), []).extend([partition] if partition else [])
    for (name, why), partitions in alike.items():
        out.print(f"  {name}{f' of {some(partitions)}' if partitions else ''}: {why}")
    if stale:
        _print_forecast(forecast(place, stale, needs))
    if damaged:
        raise typer.Exit(FAILED)


def _print_forecast(forecast: Forecast) -> None:
    """Says what a run would sample, what servers would be asked for, and how long it would take."""
    from assets.lineage.reasons import some
    from orchestration.progress import duration

    if forecast.generations:
        out.print(
            f"it would sample at most {forecast.generations:,} generations, of "
            f"{forecast.tokens:,} tokens"
        )
    if forecast.reasonings:
        out.print(
            f"models would reason at most {forecast.reasonings:,} times about questions, in "
            f"{forecast.reasoning_tokens:,} tokens"
        )
    for need in forecast.asked:
        out.print(
            f"{need.source} would be asked for {need.generations:,} of these generations, of at "
            f"most {need.tokens:,} tokens"
        )
    unknown = ""
    if forecast.unknown:
        unknown = f"this lake has no rate yet of {some(list(forecast.unknown))}"
    if forecast.seconds is None:
        out.print(f"how long it would take is not known: {unknown}")
    else:
        time = f"it would take about {duration(forecast.seconds)} by the rates of this lake"
        out.print(f"{time}, and more: {unknown}" if unknown else time)


def _verified(lake: Lake) -> list[Path]:
    """Reads all files of rows, says what was found, and gives the damaged ones."""
    files = lake.all_files
    damaged = lake.damaged(files, anew=True)
    size = sum(file.stat().st_size for file in files if file.exists())
    out.print(f"read {len(files)} files of rows, {size / 1e6:,.1f} MB: {len(damaged)} damaged")
    for file in damaged:
        out.print(f"damaged: {file}")
    return damaged
