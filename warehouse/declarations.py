"""Reading what an SQL file says of itself: the whole of what a measurement needs beside its query.

A file opens with comments: what it measures, and then

    -- grain:     checkpoint, decoding, prompt_set, prompt_id
    -- reads:     generations
    -- partition: checkpoint
    -- columns:
    --   n_samples INTEGER [generations] how many there are

`partition: none` makes one file of all checkpoints. A table without rows is a mistake, unless a
line `empty: when` says when it is not. With a line `beside: base` the query reads the rows of the
checkpoint's base too, and the view `pair` says who the two are (`warehouse.beside`). A unit may
stand in brackets before a column's meaning; a meaning goes on in lines that are indented further.
Columns of the grain take their type from the query and need no line of their own.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

import duckdb

from warehouse.beside import BASE
from warehouse.rehearsal import rehearsal
from warehouse.schema import (
    COMMON_COLUMNS,
    PARTITION_COLUMN,
    RESERVED,
    Column,
    Table,
    arrow_type,
    is_table_name,
)
from warehouse.statements import QueryError, read_statement
from warehouse.tables import BY_PROMPT, GENERATIONS, PROMPTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_FIELD = re.compile(r"(grain|reads|beside|partition|blocks|empty|columns):\s*(.*)")
_COLUMN = re.compile(r"(\w+)\s+([A-Za-z]+(?:\[\])*)\s*(?:\[([^\]]+)\])?\s*(.*)")


class DeclarationError(ValueError):
    """An SQL file that cannot become a table; the message names the file and what to write."""


@dataclass(frozen=True)
class Measurement:
    """A table that one query derives from others.

    Attributes:
        table: What it fills.
        reads: Names of the tables that it reads.
        query: The SQL, as it stands in the file.
        path: The file.
        beside_base: Whether it reads the rows of a checkpoint's base, too.
        by_prompt: Whether a prompt's rows are of its own generations alone.
    """

    table: Table
    reads: tuple[str, ...]
    query: str
    path: Path
    beside_base: bool = False
    by_prompt: bool = False


@dataclass
class _Header:
    description: str
    grain: tuple[str, ...]
    reads: tuple[str, ...]
    partitioned: bool
    may_be_empty: bool
    beside_base: bool
    by_prompt: bool
    columns: dict[str, Column]


def read_measurements(
    folders: Sequence[Path],
    tables: Sequence[Table],
    parameters: Mapping[str, object],
    *,
    rehearse: bool = True,
) -> list[Measurement]:
    """Reads every file `*.sql` of some folders; each comes after what it reads.

    Args:
        folders: The folders.
        tables: The tables that exist besides.
        parameters: What queries may use as `$name`.
        rehearse: Whether every query is run over empty tables; without, only one that alone tells
            the type of a column. That takes a fraction of the time, and finds no mistake.

    Raises:
        DeclarationError: A file does not declare what it must, or its query does not run or does
            not give what it declares.
    """
    paths = [path for folder in folders for path in sorted(folder.glob("*.sql"))]
    headers = {path: _read_header(path) for path in paths}
    known = {table.name: table for table in tables}
    for path in headers:
        if path.stem in known or [other.stem for other in headers].count(path.stem) > 1:
            raise DeclarationError(f"{path}: there is a table {path.stem} already; rename the file")
    measurements: list[Measurement] = []
    for path in _in_order(headers, known):
        inputs = [known[name] for name in headers[path].reads]
        measurement = _complete(path, headers[path], inputs, parameters, rehearse=rehearse)
        known[measurement.table.name] = measurement.table
        measurements.append(measurement)
    return measurements


def _in_order(headers: Mapping[Path, _Header], known: Mapping[str, Table]) -> Iterator[Path]:
    """Files, each after those that it reads, which are known by then.

    Raises:
        DeclarationError: One reads what is no table, or what reads it in turn.
    """
    paths = {path.stem: path for path in headers}
    sorter = TopologicalSorter(
        {path.stem: set(header.reads) - set(known) for path, header in headers.items()}
    )
    left = dict(headers)
    with suppress(CycleError):
        sorter.prepare()
        # Names of no table are ready at once and never done, so what reads them never is.
        while ready := sorted(paths[name] for name in sorter.get_ready() if name in paths):
            for path in ready:
                yield path
                del left[path]
                sorter.done(path.stem)
    for path, header in left.items():
        unknown = sorted(set(header.reads) - set(known))
        raise DeclarationError(
            f"{path}: reads {', '.join(unknown)}, which is no table, or depends on this one; "
            f"there are {', '.join(known)}"
        )


def _read_header(path: Path) -> _Header:
    lines = []
    if not is_table_name(path.stem):
        raise DeclarationError(
            f"{path}: a table is named in small letters, digits and _, and not "
            f"{' or '.join(RESERVED)}; rename the file"
        )
    for line in read_text(path).splitlines():
        if not line.startswith("--"):
            break
        lines.append(line.removeprefix("--"))
    description: list[str] = []
    fields: dict[str, str] = {}
    columns: dict[str, Column] = {}
    section = ""
    indent = 0
    for line in lines:
        text = line.strip()
        depth = len(line) - len(line.lstrip())
        if match := _FIELD.fullmatch(text):
            section = match[1]
            fields[section] = match[2]
        elif section == "columns" and columns and text and depth > indent:
            name, column = columns.popitem()
            columns[name] = replace(column, meaning=f"{column.meaning} {text}")
        elif section == "columns" and text:
            indent = depth
            column = _read_column(path, text)
            columns[column.name] = column
        elif section and text:
            fields[section] += f" {text}"
        elif text:
            description.append(text)
    for field in ("grain", "reads", "partition", "columns"):
        if field not in fields:
            raise DeclarationError(f"{path}: its opening comment has no line `-- {field}: ...`")
    if fields["partition"] not in (PARTITION_COLUMN, "none"):
        raise DeclarationError(
            f"{path}: `partition: {fields['partition']}` must be {PARTITION_COLUMN} or none"
        )
    if fields.get("beside", BASE) != BASE or ("beside" in fields and fields["partition"] == "none"):
        raise DeclarationError(
            f"{path}: `beside: {fields['beside']}` must be {BASE}, of a table with "
            f"`partition: {PARTITION_COLUMN}`"
        )
    header = _Header(
        description=" ".join(description),
        grain=_names(fields["grain"]),
        reads=_names(fields["reads"]),
        partitioned=fields["partition"] == PARTITION_COLUMN,
        may_be_empty=bool(fields.get("empty")),
        beside_base="beside" in fields,
        by_prompt="blocks" in fields,
        columns=columns,
    )
    if header.by_prompt and (
        fields["blocks"] != PROMPTS.name
        or header.reads != (GENERATIONS.name,)
        or header.beside_base
        or header.grain[: len(BY_PROMPT)] != BY_PROMPT
    ):
        raise DeclarationError(
            f"{path}: `blocks: {fields['blocks']}` must be {PROMPTS.name}, of a table that reads "
            f"{GENERATIONS.name} alone and whose grain begins with {', '.join(BY_PROMPT)}"
        )
    if not header.grain:
        raise DeclarationError(f"{path}: `grain:` names no column")
    if header.partitioned and PARTITION_COLUMN not in header.grain:
        raise DeclarationError(f"{path}: is partitioned by {PARTITION_COLUMN}, not in its grain")
    return header


def read_text(path: Path) -> str:
    """A file's text.

    Raises:
        DeclarationError: It cannot be read, or is not UTF-8.
    """
    try:
        if not path.is_file():  # but a folder, a device or a pipe, which may have no end
            raise DeclarationError(f"{path} is no file; put one in its place")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DeclarationError(f"{path} cannot be read as UTF-8 text: {error}") from None


def _read_column(path: Path, text: str) -> Column:
    match = _COLUMN.fullmatch(text)
    if not match:
        raise DeclarationError(f"{path}: {text!r} is no column; write `name TYPE meaning`")
    name, sql_type, unit, meaning = match.groups()
    try:
        arrow_type(sql_type)
    except ValueError as error:
        raise DeclarationError(f"{path}: column {name}: {error}") from error
    return Column(name, sql_type.upper(), meaning, unit or "")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _complete(
    path: Path,
    header: _Header,
    inputs: Sequence[Table],
    parameters: Mapping[str, object],
    *,
    rehearse: bool,
) -> Measurement:
    """Makes the table, whose query must give what the file declares."""
    query = read_text(path)
    declared = [*header.grain, *(name for name in header.columns if name not in header.grain)]
    inherited = {column.name: column for table in inputs for column in table.columns}
    known = {**inherited, **COMMON_COLUMNS, **header.columns}
    given: dict[str, str] = {}
    if rehearse or not known.keys() >= set(declared):
        given = _rehearsed(path, header, query, inputs, parameters)
        if sorted(given) != sorted(declared):
            raise DeclarationError(
                f"{path}: declares the columns {', '.join(declared)}, and its query gives "
                f"{', '.join(given)}"
            )
    columns = []
    for name in declared:
        columns.append(known.get(name) or Column(name, given[name]))
        try:
            arrow_type(columns[-1].type)
        except ValueError as error:
            raise DeclarationError(f"{path}: column {name}: {error}; cast it") from error
    table = Table(
        path.stem,
        header.description,
        header.grain,
        tuple(columns),
        header.partitioned,
        header.may_be_empty,
    )
    return Measurement(table, header.reads, query, path, header.beside_base, header.by_prompt)


def _rehearsed(
    path: Path,
    header: _Header,
    query: str,
    inputs: Sequence[Table],
    parameters: Mapping[str, object],
) -> dict[str, str]:
    """Runs the query over empty tables: the columns that it gives, and their types."""
    try:
        used = tuple(used_parameters(query, parameters).items())
        return dict(_columns_of(query, tuple(inputs), used, beside_base=header.beside_base))
    except (DeclarationError, QueryError, duckdb.Error) as error:
        raise DeclarationError(f"{path}: {error}") from error


@lru_cache(maxsize=1024)
def _columns_of(
    query: str,
    inputs: tuple[Table, ...],
    parameters: tuple[tuple[str, object], ...],
    *,
    beside_base: bool,
) -> dict[str, str]:
    """The columns that a query gives, and their types; it runs over empty tables."""
    with rehearsal(inputs, beside_base=beside_base) as connection:
        statement = read_statement(connection, query)
        relation = connection.sql(statement.text, params=dict(parameters))
        if len(set(relation.columns)) < len(relation.columns):
            raise QueryError("its query gives two columns of one name")
        return dict(zip(relation.columns, map(str, relation.types), strict=True))


def used_parameters(query: str, parameters: Mapping[str, object]) -> dict[str, object]:
    """Those of the parameters that a query uses: DuckDB refuses to be given others.

    Raises:
        DeclarationError: The query uses one that is not there.
    """
    used = set(re.findall(r"\$([A-Za-z_]\w*)", query))
    unknown = sorted(used - set(parameters))
    if unknown:
        raise DeclarationError(
            f"the query uses ${unknown[0]}; there are {', '.join('$' + p for p in parameters)}"
        )
    return {name: parameters[name] for name in sorted(used)}
