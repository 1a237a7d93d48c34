"""The command line, a thin layer over what the UI loads."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table as Grid

from assets.errors import InputError
from assets.jsonl import is_text
from warehouse import DeclarationError, Lake, QueryError

if TYPE_CHECKING:
    from collections.abc import Iterator

app = typer.Typer(
    help="Measure what alignment does to language models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
out = Console(highlight=False, markup=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)

FAILED, BAD_INPUT, STOPPED = 1, 2, 130
_debug = False


class Format(StrEnum):
    """How a query's result is written."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


StudyFile = Annotated[Path, typer.Argument(help="The study file.", show_default=False)]
LakeFolder = Annotated[
    Path, typer.Option("--lake", envvar="ANCHORLAKE_LAKE", help="The lake's folder.")
]


@app.callback()
def options(
    debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
) -> None:
    """Options of every command."""
    global _debug
    _debug = debug


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
    """Bring the lake up to date with a study."""
    from assets.inventory import Inventory
    from assets.study import load_study
    from orchestration.preflight import check_inputs, not_measured
    from warehouse.catalog import write_catalog

    with _input_errors():
        read = load_study(study)
        check_inputs(read)
        inventory = Inventory(read, _lake(lake))
        nodes = inventory.select(select or (), checkpoint or ())
        stale = inventory.out_of_date(nodes)
        if inventory.lake.root.exists():  # it may have been moved, or its catalog removed
            write_catalog(inventory.lake, inventory.tables)
        if force:
            named = inventory.named(select or ())
            stale = [node for node in nodes if node in stale or node[0] in named]
    for note in not_measured(read):
        err.print(note)
    if not stale:
        out.print(f"{read.name}: everything is up to date ({len(nodes)} of {len(nodes)} assets)")
        _say_where(inventory.lake)
        return
    from orchestration.build import build_defs
    from orchestration.instance import open_instance
    from orchestration.progress import BarProgress, LogProgress
    from orchestration.runner import run

    progress = BarProgress(out) if out.is_terminal else LogProgress(out.print)
    defs = build_defs(read, inventory.lake, progress=progress)
    out.print(f"{read.name}: {len(stale)} of {len(nodes)} assets are to be made")
    try:
        with open_instance(inventory.lake) as instance:
            outcome = run(
                defs, inventory, stale, instance, force=force, debug=_debug, say=out.print
            )
    except KeyboardInterrupt:
        err.print("stopped; finished batches are kept, and the same command goes on from there")
        raise typer.Exit(STOPPED) from None
    for name, reason in outcome.failures:
        err.print(f"{name} failed: {reason}")
    out.print(f"{read.name}: {len(outcome.made)} of {len(stale)} assets made")
    _say_where(inventory.lake)
    if outcome.failures:
        raise typer.Exit(FAILED)


@app.command()
def check(study: StudyFile, lake: LakeFolder = Path("lake")) -> None:
    """Validate a study and all it names; print what a run would do and need."""
    from assets.inventory import Inventory
    from assets.study import load_study
    from orchestration.preflight import check_inputs, not_measured

    with _input_errors():
        read = load_study(study)
        needs = check_inputs(read)
        inventory = Inventory(read, _lake(lake))
        nodes = inventory.select(())
        stale = inventory.out_of_date(nodes)
    grid = Grid("checkpoint", "source", "generations", "tokens at most", box=None, pad_edge=False)
    for need in needs:
        tokens = "made elsewhere" if need.tokens is None else f"{need.tokens:,}"
        grid.add_row(need.checkpoint, need.source, f"{need.generations:,}", tokens)
    out.print(f"{study} is valid")
    out.print(grid)
    for note in not_measured(read):
        out.print(note)
    if not stale:
        out.print("a run would do nothing: everything is up to date")
        return
    out.print(f"a run would make {len(stale)} of {len(nodes)} assets:")
    by_name: dict[str, list[str]] = {}
    for name, partition in stale:
        by_name.setdefault(name, []).extend([partition] if partition else [])
    for name, partitions in by_name.items():
        out.print(f"  {name}" + (f" of {', '.join(partitions)}" if partitions else ""))


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
    from assets.declared import declared_tables
    from orchestration.results import write_result
    from warehouse.query import ask

    with _input_errors():
        if (query is None) == (file is None):
            raise InputError("give a query, or a file that holds one with -f")
        text = _query_text(query, file)
        place = _existing_lake(lake)
        with ask(place, declared_tables(), text) as result:
            write_result(result, format and format.value, output)


@app.command()
def tables(
    name: Annotated[str | None, typer.Argument(help="A table; by default all.")] = None,
    lake: LakeFolder = Path("lake"),
) -> None:
    """The data dictionary: what tables hold, their grain, columns and units."""
    from assets.declared import declared_tables

    with _input_errors():
        place = _lake(lake)
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
    with _input_errors():
        path = _existing_lake(lake).report
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
    from assets.inventory import Inventory
    from assets.study import load_study
    from orchestration.instance import open_instance
    from orchestration.partitions import register

    with _input_errors():
        read = load_study(study)
        place = _lake(lake)
        Inventory(read, place)
    with open_instance(place) as instance:
        register(instance, read)
    os.environ["ANCHORLAKE_STUDY"] = str(study.absolute())
    os.environ["ANCHORLAKE_LAKE"] = str(place.root)
    out.print(f"http://127.0.0.1:{port} shows {read.name} in {place.root}; Ctrl-C stops it")
    root = Path(__file__).parent.parent
    # The working directory comes first on the module path, and the user's may hold other `assets`.
    command = ["-m", "dagster", "dev", "-m", "orchestration.definitions", "-d", str(root)]
    place_of_ui = ["-h", "127.0.0.1", "-p", str(port), "--log-level", "warning"]
    os.chdir(root)
    os.execv(sys.executable, [sys.executable, "-W", "ignore", *command, *place_of_ui])


def _lake(folder: Path) -> Lake:
    root = folder.expanduser().absolute()
    if root.exists() and not root.is_dir():
        raise InputError(f"--lake {folder} is a file; name a folder")
    if set("*?[]{}") & set(str(root)):
        raise InputError(f"--lake {folder}: a lake's path cannot hold any of * ? [ ] {{ }}")
    return Lake(root)


def _existing_lake(folder: Path) -> Lake:
    lake = _lake(folder)
    if not lake.root.is_dir():
        raise InputError(f"there is no lake {folder}; name it with --lake, or make it with a run")
    return lake


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


def _say_where(lake: Lake) -> None:
    if lake.report.exists():
        out.print(f"report: {lake.report}")


@contextmanager
def _input_errors() -> Iterator[None]:
    """Turns bad input into one message and its exit status."""
    try:
        yield
    except (InputError, DeclarationError, QueryError) as error:
        if _debug:
            raise
        err.print(str(error))
        raise typer.Exit(BAD_INPUT) from None


def main() -> None:
    """Runs the command line."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(STOPPED)
    except Exception as error:
        if _debug:
            raise
        err.print(f"{type(error).__name__}: {error}")
        err.print("this should not have happened; `anchorlake --debug ...` shows where it did")
        sys.exit(FAILED)
