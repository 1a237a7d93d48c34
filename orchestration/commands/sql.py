"""`anchorlake sql`: asks a query of a lake."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from assets.study.errors import InputError
from assets.study.files import is_text
from orchestration.commands.console import LakeFolder, existing_lake, input_errors


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
) -> None:
    """Ask a query of the lake; every table is a view of its name. It can only read."""
    from assets.measures.declared import declared_tables
    from warehouse import ask, write_result

    with input_errors():
        if (query is None) == (file is None):
            raise InputError("give a query, or a file that holds one with -f")
        text = _query_text(query, file)
        place = existing_lake(lake)
        with ask(place, declared_tables(), text) as result:
            write_result(result, format and format.value, output)


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
