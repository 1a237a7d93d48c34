"""DuckDB sessions: in memory, one for each step, within explicit limits and locks."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import psutil

from warehouse.scratch import scratch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from warehouse.lake import Lake
    from warehouse.schema import Table

_HERE = Path(__file__).parent
_PARTITIONS = (_HERE / "partitions.sql").read_text(encoding="utf-8")
_NO_ROWS = (_HERE / "no_rows.sql").read_text(encoding="utf-8")

_NOTHING_BY_ITSELF: Mapping[str, str | bool | int | float | list[str]] = {
    "autoload_known_extensions": False,
    "autoinstall_known_extensions": False,
    "allow_community_extensions": False,
    "allow_persistent_secrets": False,
    "python_enable_replacements": False,
    "show_behavior": "table",
}
"""No session loads or fetches an extension, reads secrets, takes a variable of Python for a table,
or shows a setting for want of a table."""


def _default_memory() -> int:
    # DuckDB's own default is a share of the machine for each process, and runs are processes.
    return min(4 << 30, psutil.virtual_memory().total // 4)


@dataclass(frozen=True)
class Limits:
    """What one session may use.

    Attributes:
        memory: Bytes; beyond them DuckDB spills to the lake's staging folder.
        threads: Worker threads; 0 stands for one a core.
        disk: Bytes that it may spill at most; None for nine tenths of what is free.
    """

    memory: int = field(default_factory=_default_memory)
    threads: int = 0
    disk: int | None = None


@contextmanager
def session(
    lake: Lake | None = None, limits: Limits | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """An in-memory DuckDB connection, closed at the end.

    Args:
        lake: Where it may spill; without one it cannot.
        limits: Its limits.
    """
    limits = limits or Limits()
    config = {
        **_NOTHING_BY_ITSELF,
        "memory_limit": f"{limits.memory // (1 << 20)}MiB",
        "temp_directory": "",
    }
    if limits.threads:
        config["threads"] = limits.threads
    if limits.disk is not None:
        config["max_temp_directory_size"] = f"{limits.disk // (1 << 20)}MiB"
    with ExitStack() as stack:
        if lake is not None and lake.root.is_dir():
            with suppress(OSError):  # the lake can only be read, so there is nowhere to spill to
                config["temp_directory"] = str(stack.enter_context(scratch(lake)) / "spill")
        connection = stack.enter_context(duckdb.connect(config=config))
        yield connection


def confine(connection: duckdb.DuckDBPyConnection, files: Iterable[str] = ()) -> None:
    """Locks a session before it runs a query that others wrote.

    DuckDB itself then opens these files and those that it spills, and nothing else on the disk or
    in the network, and no setting can be changed. Of the files it holds back neither reading nor
    writing; `warehouse.statements` looks that queries only read.

    Args:
        connection: The session.
        files: The files that its views read, and further ones that the query may read.
    """
    connection.execute("set allowed_paths = $files", {"files": list(files)}).fetchall()
    connection.execute("set enable_external_access = false").fetchall()
    connection.execute("set lock_configuration = true").fetchall()


def bind(
    connection: duckdb.DuckDBPyConnection,
    lake: Lake,
    tables: Iterable[Table],
    checkpoints: Iterable[str] | None = None,
) -> list[str]:
    """Makes each table a view of the connection.

    Args:
        connection: The session.
        lake: The lake.
        tables: The tables; those without a file yet are empty views.
        checkpoints: The partitions that partitioned tables are limited to; None for all.

    Returns:
        The files that the views read.
    """
    names = None if checkpoints is None else list(checkpoints)
    read: list[str] = []
    for table in tables:
        if names is None or not table.partitioned:
            paths = lake.files(table)
        else:
            paths = [path for name in names for path in lake.files(table, name)]
        files = [str(path) for path in paths]
        create_view(connection, table, files)
        read += files
    return read


def create_view(connection: duckdb.DuckDBPyConnection, table: Table, files: list[str]) -> bool:
    """Makes a table's files, or patterns of files, a view; without any an empty one.

    Columns that files lack, as they are older, are null.

    Returns:
        Whether there is a file with each of the columns.
    """
    rows = read_files(connection, files) if files else connection.sql(_NO_ROWS)
    return view_rows(connection, table, rows)


def view_rows(
    connection: duckdb.DuckDBPyConnection, table: Table, rows: duckdb.DuckDBPyRelation
) -> bool:
    """Makes rows of a table's files a view of its name and columns, as `create_view` does."""
    present = set(rows.columns)
    columns = [
        duckdb.ColumnExpression(column.name)
        if column.name in present
        else duckdb.ConstantExpression(None).cast(column.sql_type).alias(column.name)
        for column in table.columns
    ]
    rows.select(*columns).create_view(table.name)
    return present.issuperset(column.name for column in table.columns)


def read_files(
    connection: duckdb.DuckDBPyConnection, files: Iterable[str]
) -> duckdb.DuckDBPyRelation:
    """The rows of a table's files, or patterns of files, with the columns that these have."""
    return connection.sql(_PARTITIONS, params={"files": list(files)})
