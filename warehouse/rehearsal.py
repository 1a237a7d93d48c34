"""Where queries are tried before a lake has rows: over empty tables, with all words."""

from __future__ import annotations

import atexit
from contextlib import ExitStack, contextmanager
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING

from warehouse.beside import create_pair
from warehouse.sessions import confine, create_view, session
from warehouse.tables import BASE_TABLES
from warehouse.vocabulary import load_words, needs_vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import duckdb

    from warehouse.schema import Table

_OPEN = ExitStack()
_LOCK = Lock()


@contextmanager
def rehearsal(
    tables: Iterable[Table], *, beside_base: bool = False
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A session in which tables are empty views; one at a time has it.

    All queries are tried in one database, as opening one takes as long as trying ten.

    Args:
        tables: The tables.
        beside_base: Whether there is the view `pair`, without a row.
    """
    with _LOCK, ExitStack() as views:
        connection = _connection()
        for table in tables:
            create_view(connection, table, files=[])
            views.callback(connection.execute, f"drop view {table.name}")
        if beside_base:
            create_pair(connection, None)
            views.callback(connection.execute, "drop view pair")
        yield connection


@cache
def _connection() -> duckdb.DuckDBPyConnection:
    """It has all words. They need the views that they are made over no more, once they are made."""
    connection = _OPEN.enter_context(session())
    atexit.register(_close)  # DuckDB complains of one that is open still
    confine(connection)
    words_are_over = [table for table in BASE_TABLES if needs_vocabulary([table])]
    for table in words_are_over:
        create_view(connection, table, files=[])
    load_words(connection)
    for table in words_are_over:
        connection.execute(f"drop view {table.name}")
    return connection


def _close() -> None:
    _connection.cache_clear()
    _OPEN.close()
