"""`anchorlake sql`: asks a query of a lake."""

from __future__ import annotations

import shutil
import signal
import sys
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from assets.study.errors import InputError
from assets.study.files import is_text
from orchestration.commands.console import LakeFolder, check_exists, input_errors, lake_at
from orchestration.streams import discard

if TYPE_CHECKING:
    from warehouse import Lake, Limits

_ENDINGS = (".csv", ".json", ".jsonl", ".ndjson", ".parquet", ".tsv")
_LEAST_MEMORY, _MOST_MEMORY = 64 << 20, 1 << 50
_MOST_DISK = 32 << 30
"""Bytes that a query may spill, if half of what is free is not less."""


class Format(StrEnum):
    """How a query's result is written."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


def sql_command(
    query: Annotated[
        str | None, typer.Argument(help="A query; - reads it from standard input.")
    ] = None,
    lake: LakeFolder = Path("lake"),
    file: Annotated[Path | None, typer.Option("-f", help="A file with the query.")] = None,
    output: Annotated[Path | None, typer.Option("-o", help="The file to write.")] = None,
    format: Annotated[  # noqa: A002
        Format | None, typer.Option(help="By default that of the file's name, or table.")
    ] = None,
    read: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="A CSV, JSON or Parquet file that the query may read, too, by this very path: "
            "from 'FILE', or from read_csv('FILE', ...). May be repeated.",
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.001, help="How long the query may take.")
    ] = 600,
    memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="What it may use, such as 8GB; by default a quarter of the machine's memory, and "
            "4 GiB at most. Beyond it spills to the lake's disk.",
        ),
    ] = None,
) -> None:
    """Ask a query of the lake; every table is a view of its name.

    It can only read: the lake's tables, and the files of --read.
    """
    from warehouse.outputs import replacing
    from warehouse.results import format_of

    with input_errors():
        if (query is None) == (file is None):
            raise InputError("give a query, or a file that holds one with -f")
        text = _query_text(query, file)
        place = lake_at(lake)
        if not place.is_in_bucket:  # whose client does not survive the fork to come
            check_exists(place, lake)
        form = format_of(format and format.value, output)
        limits = _limits(place, memory)
        asked = Question(place, text, _readable(read or []), limits, form)
        if output is None:
            _run(replace(asked, terminal=sys.stdout.isatty()), timeout)
        else:
            with replacing(output, place) as path:
                _run(replace(asked, output=(path, str(output))), timeout)


@dataclass(frozen=True)
class Question:
    """What the process that answers a query is told.

    Attributes:
        lake: The lake.
        query: The query.
        files: Further files that it may read.
        limits: The session's limits.
        form: The format of the result.
        output: The file to write, and what errors call it; None for standard output.
        terminal: Whether standard output is one.
    """

    lake: Lake
    query: str
    files: list[str]
    limits: Limits
    form: str
    output: tuple[Path, str] | None = None
    terminal: bool = False


def _run(asked: Question, timeout: float) -> None:
    """Answers a query in a process of its own."""
    from warehouse import QueryError
    from warehouse.bounded import BoundsError, run_bounded
    from warehouse.query import too_large
    from warehouse.scratch import remove_abandoned

    before = signal.signal(signal.SIGTERM, _end)
    try:
        run_bounded(
            _answer,
            asked,
            memory=asked.limits.memory,
            seconds=timeout,
            output=_print,
        )
    except MemoryError:
        raise QueryError(too_large(asked.limits)) from None
    except BoundsError as error:
        if error.timed_out:
            raise QueryError(
                f"the query took longer than {timeout:g} seconds; ask for less, or give it longer "
                "with --timeout"
            ) from None
        raise QueryError(f"{too_large(asked.limits)} ({error})") from None
    finally:
        signal.signal(signal.SIGTERM, before)
        remove_abandoned(asked.lake)


def _answer(file: BinaryIO, asked: Question) -> None:
    """What that process does: writes the result to the output, or to the file that it is given."""
    from assets.measures.declared import declared_tables
    from warehouse import ask, write_result

    if asked.lake.is_in_bucket:
        check_exists(asked.lake, asked.lake.address)
    tables = declared_tables(rehearse=False)  # tests rehearse what comes with the package
    with ask(asked.lake, tables, asked.query, asked.limits, asked.files) as result:
        if asked.output is None:
            write_result(result, asked.form, file, terminal=asked.terminal)
        else:
            path, name = asked.output
            write_result(result, asked.form, path, called=name)


def _end(number: int, frame: object) -> None:
    """Ends the command in such a way that it removes what is unfinished."""
    sys.exit(128 + number)


def _print(content: bytes) -> None:
    try:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    except OSError as error:
        from warehouse import ResultError

        discard(sys.stdout)
        why = "nobody reads it any more" if isinstance(error, BrokenPipeError) else error.strerror
        raise ResultError(f"standard output cannot be written: {why}") from None


def _limits(lake: Lake, memory: str | None) -> Limits:
    from pydantic import ByteSize, TypeAdapter, ValidationError

    from warehouse import Limits

    disk = min(_MOST_DISK, shutil.disk_usage(lake.root).free // 2)
    if memory is None:
        return Limits(disk=disk)
    try:
        size = TypeAdapter(ByteSize).validate_python(memory)
    except ValidationError:
        raise InputError(f"--memory {memory} is no size; write it like 500MB or 8GB") from None
    if not _LEAST_MEMORY <= size <= _MOST_MEMORY:
        raise InputError(f"--memory {memory}: give at least 64MiB, and at most 1PiB")
    return Limits(memory=int(size), disk=disk)


def _readable(paths: list[str]) -> list[str]:
    for path in paths:
        name = path.removesuffix(".gz")
        if not name.endswith(_ENDINGS):
            raise InputError(
                f"--read {path}: a file's name must end in {', '.join(_ENDINGS)}, or .gz after it"
            )
        if set("*?[") & set(path):
            raise InputError(f"--read {path}: the path cannot hold any of * ? [; rename the file")
        if not Path(path).is_file():
            raise InputError(f"--read {path}: there is no such file")
    return paths


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
