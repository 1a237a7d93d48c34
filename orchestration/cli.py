"""The command line, a thin layer over what the UI loads."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table as Grid

from assets.study.errors import InputError
from assets.study.files import is_text
from orchestration.commands import checkpoints, imports
from orchestration.commands.console import (
    DRIFTED,
    FAILED,
    STOPPED,
    Debugging,
    LakeFolder,
    StudyFile,
    err,
    existing_lake,
    input_errors,
    lake_at,
    out,
)

if TYPE_CHECKING:
    from assets.study.study import Study
    from warehouse import Lake

app = typer.Typer(
    help="Measure what alignment does to language models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(checkpoints.app, name="checkpoints")
app.command("import")(imports.import_command)


class Format(StrEnum):
    """How a query's result is written."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


@app.callback()
def options(
    debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
) -> None:
    """Options of every command."""
    Debugging.on = debug


@app.command("run")
def run_command(
    study: StudyFile,
    lake: LakeFolder = Path("lake"),
    select: Annotated[
        list[str] | None,
        typer.Option(help="A table, figure or group; what it needs comes along. Repeatable."),
    ] = None,
    checkpoint: Annotated[
        list[str] | None, typer.Option(help="Only this checkpoint. Repeatable.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Make what is named, or all, anew.")
    ] = False,
) -> None:
    """Bring the lake up to date with a study, with what is new where it watches."""
    from assets.preflight import check_inputs
    from assets.registry import build_graph
    from assets.study.registered import as_it_stands
    from assets.study.study import load_study
    from assets.study.watching import take_in_new
    from warehouse.catalog import write_catalog

    with input_errors():
        read = load_study(study)
        place = lake_at(lake)
        check_inputs(as_it_stands(read, place))
        take_in_new(read, place, say=err.print)
        graph = build_graph(as_it_stands(read, place), place)
        nodes = graph.select(select or (), checkpoint or ())
        stale = list(graph.stale(nodes))
        if place.root.exists():  # it may have been moved, or its catalog removed
            write_catalog(place, list(graph.tables.values()))
        if force:
            named = graph.named(select or ())
            stale = [node for node in nodes if node in stale or node[0] in named]
    if not stale:
        out.print(f"{read.name}: everything is up to date ({len(nodes)} of {len(nodes)} assets)")
        _conclude(read, place)
        return
    from orchestration.build import build_defs
    from orchestration.instance import open_instance
    from orchestration.progress import BarProgress, LogProgress
    from orchestration.runner import run

    progress = BarProgress(out) if out.is_terminal else LogProgress(out.print)
    defs = build_defs(read, place, progress=progress)
    out.print(f"{read.name}: {len(stale)} of {len(nodes)} assets are to be made")
    try:
        with open_instance(place) as instance:
            outcome = run(
                defs, graph, stale, instance, force=force, debug=Debugging.on, say=out.print
            )
    except KeyboardInterrupt:
        err.print("stopped; finished batches are kept, and the same command goes on from there")
        raise typer.Exit(STOPPED) from None
    for name, reason in outcome.failures:
        err.print(f"{name} failed: {reason}")
    out.print(f"{read.name}: {len(outcome.made)} of {len(stale)} assets made")
    _conclude(read, place, failed=bool(outcome.failures))


@app.command()
def check(study: StudyFile, lake: LakeFolder = Path("lake")) -> None:
    """Validate a study and all it names; print what a run would do, why, and what it needs."""
    from assets.lineage.reasons import some
    from assets.preflight import check_inputs, lacking
    from assets.registry import build_graph
    from assets.study.registered import as_it_stands
    from assets.study.study import load_study
    from assets.study.watching import look

    with input_errors():
        read = load_study(study)
        place = lake_at(lake)
        standing = as_it_stands(read, place)
        needs = check_inputs(standing)
        looked = look(read, place, {})
        graph = build_graph(standing, place)
        nodes = graph.select(())
        stale = graph.stale(nodes)
    to_be_made = {partition for _, partition in stale}
    own = {checkpoint.name for checkpoint in read.checkpoints}
    grid = Grid("checkpoint", "source", "generations", "tokens at most", box=None, pad_edge=False)
    for need in needs:
        if need.checkpoint in own | to_be_made:
            tokens = "made elsewhere" if need.tokens is None else f"{need.tokens:,}"
            grid.add_row(need.checkpoint, need.source, f"{need.generations:,}", tokens)
    out.print(f"{study} is valid")
    out.print(grid)
    if rest := len({need.checkpoint for need in needs} - own - to_be_made):
        out.print(f"{rest} registered checkpoints are up to date")
    for origin in looked.waiting:
        out.print(f"a run would take in {origin}")
    for remark in [*looked.remarks, *lacking(standing, stale)]:
        out.print(remark)
    if not stale:
        out.print("a run would make nothing of what is known: everything is up to date")
        return
    out.print(f"a run would make {len(stale)} of {len(nodes)} assets:")
    alike: dict[tuple[str, str], list[str]] = {}
    for (name, partition), why in stale.items():
        alike.setdefault((name, why), []).extend([partition] if partition else [])
    for (name, why), partitions in alike.items():
        out.print(f"  {name}{f' of {some(partitions)}' if partitions else ''}: {why}")


@app.command()
def sql(
    query: Annotated[
        str | None, typer.Argument(help="A query; - reads it from standard input.")
    ] = None,
    lake: LakeFolder = Path("lake"),
    file: Annotated[Path | None, typer.Option("-f", help="A file with the query.")] = None,
    output: Annotated[Path | None, typer.Option("-o", help="The file to write.")] = None,
    format: Annotated[  # noqa: A002
        Format | None, typer.Option(help="By default that of the file's name, or table.")
    ] = None,
) -> None:
    """Ask a query of the lake; every table is a view of its name. It can only read."""
    from assets.measures.declared import declared_tables
    from warehouse.query import ask
    from warehouse.results import write_result

    with input_errors():
        if (query is None) == (file is None):
            raise InputError("give a query, or a file that holds one with -f")
        text = _query_text(query, file)
        place = existing_lake(lake)
        with ask(place, declared_tables(), text) as result:
            write_result(result, format and format.value, output)


@app.command()
def tables(
    name: Annotated[str | None, typer.Argument(help="A table; by default all.")] = None,
    lake: LakeFolder = Path("lake"),
) -> None:
    """The data dictionary: what tables hold, their grain, columns and units."""
    from assets.measures.declared import declared_tables

    with input_errors():
        place = lake_at(lake)
        declared = {table.name: table for table in declared_tables()}
        if name is not None and name not in declared:
            raise InputError(f"there is no table {name!r}; there are {', '.join(declared)}")
    if name is None:
        grid = Grid("table", "grain", "what it holds", "files", box=None, pad_edge=False)
        for table in declared.values():
            files = str(len(place.files(table)))
            grid.add_row(table.name, ", ".join(table.grain), table.description, files)
        Console(highlight=False, markup=False).print(grid)
        return
    table = declared[name]
    out.print(table.description)
    out.print(f"grain: {', '.join(table.grain)}")
    out.print("one file a checkpoint" if table.partitioned else "one file")
    grid = Grid("column", "type", "unit", "meaning", box=None, pad_edge=False)
    for column in table.columns:
        grid.add_row(column.name, column.type, column.unit, column.meaning)
    Console(highlight=False, markup=False).print(grid)


@app.command()
def report(
    lake: LakeFolder = Path("lake"),
    open_: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
) -> None:
    """Say where the report is."""
    with input_errors():
        path = existing_lake(lake).report
        if not path.exists():
            raise InputError(f"{lake} has no report yet; `anchorlake run STUDY` writes it")
    out.print(str(path))
    if open_:
        typer.launch(path.as_uri())


@app.command()
def ui(
    study: StudyFile,
    lake: LakeFolder = Path("lake"),
    port: Annotated[int, typer.Option(help="On 127.0.0.1.")] = 3000,
) -> None:
    """Dagster's UI and daemon for a study."""
    from assets.study.registered import as_it_stands
    from assets.study.study import load_study
    from orchestration.build import build_defs
    from orchestration.instance import open_instance
    from orchestration.partitions import register

    with input_errors():
        read = load_study(study)
        place = lake_at(lake)
        build_defs(read, place)
    with open_instance(place) as instance:
        register(instance, as_it_stands(read, place))
    os.environ["ANCHORLAKE_STUDY"] = str(study.absolute())
    os.environ["ANCHORLAKE_LAKE"] = str(place.root)
    out.print(f"http://127.0.0.1:{port} shows {read.name} in {place.root}; Ctrl-C stops it")
    root = Path(__file__).parent.parent
    # The working directory comes first on the module path, and the user's may hold other `assets`.
    command = ["-m", "dagster", "dev", "-m", "orchestration.definitions", "-d", str(root)]
    place_of_ui = ["-h", "127.0.0.1", "-p", str(port), "--log-level", "warning"]
    os.chdir(root)
    os.execv(sys.executable, [sys.executable, "-W", "ignore", *command, *place_of_ui])


def _query_text(query: str | None, file: Path | None) -> str:
    if file is not None:
        try:
            return file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{file} cannot be read: {error}") from None
    text = sys.stdin.read() if query == "-" else str(query)
    if not is_text(text):
        raise InputError("the query is not UTF-8 text")
    return text


def _conclude(study: Study, lake: Lake, *, failed: bool = False) -> None:
    """Says where the report is and what has drifted, and ends with the status of it all."""
    from assets.drawing.figure_asset import read_drawn
    from assets.figures.trajectory import FIGURE as TRAJECTORY

    if lake.report.exists():
        out.print(f"report: {lake.report}")
    drawn = read_drawn(lake, TRAJECTORY) if study.drift else None
    for sentence in drawn.drift if drawn else []:
        err.print(f"drift: {sentence}")
    if failed:
        raise typer.Exit(FAILED)
    if drawn and drawn.drift:
        raise typer.Exit(DRIFTED)


def main() -> None:
    """Runs the command line."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(STOPPED)
    except Exception as error:
        if Debugging.on:
            raise
        err.print(f"{type(error).__name__}: {error}")
        err.print("this should not have happened; `anchorlake --debug ...` shows where it did")
        sys.exit(FAILED)
