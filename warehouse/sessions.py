"""DuckDB sessions: in memory, one for each step, within explicit limits."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import psutil
import pyarrow as pa

from warehouse.schema import Table, arrow_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from warehouse.lake import Lake

_HERE = Path(__file__).parent
_MACROS = (_HERE / "macros.sql").read_text(encoding="utf-8")
_VIEWS = (_HERE / "views.sql").read_text(encoding="utf-8")
_PARTITIONS = (_HERE / "partitions.sql").read_text(encoding="utf-8")
_VOCABULARY = {
    ("prompts",): (_HERE / "prompts.sql").read_text(encoding="utf-8"),
    ("generations",): (_HERE / "generations.sql").read_text(encoding="utf-8"),
    ("generations", "alignments"): (_HERE / "alignments.sql").read_text(encoding="utf-8"),
}
"""Macros over views: DuckDB resolves what they read when they are made."""


def _default_memory() -> int:
    # DuckDB's own default is a share of the machine for each process, and runs are processes.
    return min(4 << 30, psutil.virtual_memory().total // 4)


@dataclass(frozen=True)
class Limits:
    """What one session may use.

    Attributes:
        memory: Bytes; beyond them DuckDB spills to the lake's staging folder.
        threads: Worker threads; 0 stands for one a core.
    """

    memory: int = field(default_factory=_default_memory)
    threads: int = 0


@contextmanager
def session(
    lake: Lake | None = None, limits: Limits | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """An in-memory DuckDB connection with the lake's macros, closed at the end.

    Args:
        lake: Where it may spill; without one it cannot.
        limits: Its limits.
    """
    limits = limits or Limits()
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": f"{limits.memory // (1 << 20)}MiB",
        "temp_directory": str(lake.staging / "duckdb") if lake else "",
    }
    if limits.threads:
        config["threads"] = limits.threads
    connection = duckdb.connect(config=config)
    try:
        load_macros(connection)
        yield connection
    finally:
        connection.close()


def bind(
    connection: duckdb.DuckDBPyConnection,
    lake: Lake,
    tables: Iterable[Table],
    checkpoints: Iterable[str] | None = None,
) -> None:
    """Makes each table a view of the connection.

    Args:
        connection: The session.
        lake: The lake.
        tables: The tables; those without a file yet are empty views.
        checkpoints: The partitions that partitioned tables are limited to; None for all.
    """
    names = None if checkpoints is None else list(checkpoints)
    for table in tables:
        if names is None or not table.partitioned:
            files = lake.files(table)
        else:
            files = [path for name in names for path in lake.files(table, name)]
        create_view(connection, table, [str(path) for path in files])
    load_vocabulary(connection)


def create_view(connection: duckdb.DuckDBPyConnection, table: Table, files: list[str]) -> bool:
    """Makes a table's files, or patterns of files, a view; without any an empty one.

    Columns that files lack, as they are older, are null.

    Returns:
        Whether there is a file with each of the columns.
    """
    if files:
        rows = read_files(connection, files)
    else:
        fields = [(column.name, arrow_type(column.type)) for column in table.columns]
        rows = connection.from_arrow(pa.schema(fields).empty_table())
    present = set(rows.columns)
    columns = [
        duckdb.ColumnExpression(column.name)
        if column.name in present
        else duckdb.ConstantExpression(None).cast(column.type).alias(column.name)
        for column in table.columns
    ]
    rows.select(*columns).create_view(table.name)
    return present.issuperset(column.name for column in table.columns)


def read_files(
    connection: duckdb.DuckDBPyConnection, files: Iterable[str]
) -> duckdb.DuckDBPyRelation:
    """The rows of a table's files, or patterns of files, with the columns that these have."""
    return connection.sql(_PARTITIONS, params={"files": list(files)})


def load_macros(connection: duckdb.DuckDBPyConnection) -> None:
    """Makes the words that every query may use."""
    connection.execute(_MACROS)


def vocabulary_of(tables: Iterable[str]) -> list[str]:
    """The SQL of all words that a query over these tables may use."""
    return [_MACROS, *_vocabulary_over(tables)]


def needs_vocabulary(tables: Iterable[Table]) -> bool:
    """Whether words are made over any of these tables, so that they are to be loaded after it."""
    return any(table.name in needed for table in tables for needed in _VOCABULARY)


def load_vocabulary(connection: duckdb.DuckDBPyConnection) -> None:
    """Makes the words over views, of those views that are there."""
    for macros in _vocabulary_over(name for (name,) in connection.execute(_VIEWS).fetchall()):
        connection.execute(macros)


def _vocabulary_over(views: Iterable[str]) -> list[str]:
    present = set(views)
    return [macros for needed, macros in _VOCABULARY.items() if present.issuperset(needed)]
