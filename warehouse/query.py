"""Ad-hoc SQL over the lake, which can read and do nothing else."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import duckdb

from warehouse.sessions import Limits, create_view, load_vocabulary, read_files, session

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from warehouse.lake import Lake
    from warehouse.schema import Table

_EXPLAIN = re.compile(r"\s*explain\b(\s+analyze\b|\s*\([^)]*\))?", re.IGNORECASE)


class QueryError(ValueError):
    """A query that does not run, or would do more than read."""


@contextmanager
def ask(
    lake: Lake, tables: Sequence[Table], query: str, limits: Limits | None = None
) -> Iterator[duckdb.DuckDBPyRelation]:
    """Runs a query over the lake's tables, each a view of its name.

    Args:
        lake: The lake.
        tables: The tables that are known; those without rows yet are empty. What the lake has
            beside them is a view with the columns of its files.
        query: One SELECT, or what reads like it: FROM, WITH, DESCRIBE, SHOW, SUMMARIZE, EXPLAIN.
        limits: The session's limits.

    Yields:
        The result, which can be read until the context ends.

    Raises:
        QueryError: The query is wrong, is several, or writes.
    """
    with session(lake, limits) as connection:
        try:
            check_reads_only(connection, query)
            for table in tables:
                try:
                    create_view(connection, table, [str(path) for path in lake.files(table)])
                except duckdb.Error:  # a damaged file troubles only those who ask for it
                    if table.name in query.lower():
                        raise
            for name, files in lake.undeclared(tables).items():
                try:
                    read_files(connection, map(str, files)).create_view(name)
                except duckdb.Error:
                    if name in query.lower():
                        raise
            load_vocabulary(connection)
            relation = connection.sql(query)
            if relation is None:
                raise QueryError("the query gives no rows")
            yield relation
        except duckdb.Error as error:
            raise QueryError(str(error)) from error


def check_reads_only(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    """Looks whether a text is one query that can only read.

    Raises:
        QueryError: It is not.
        duckdb.Error: It is not SQL.
    """
    statements = connection.extract_statements(query)
    if len(statements) != 1:
        raise QueryError(f"give one query; this text holds {len(statements)}")
    statement = statements[0]
    if statement.type == duckdb.StatementType.EXPLAIN:
        # EXPLAIN ANALYZE runs what it explains.
        check_reads_only(connection, _EXPLAIN.sub("", statement.query, count=1))
    elif statement.type != duckdb.StatementType.SELECT:
        kind = str(statement.type).rpartition(".")[2]
        if kind == "MULTI":
            raise QueryError("PIVOT needs its values named here: PIVOT ... ON column IN (...)")
        raise QueryError(
            f"only reading is allowed here, and this is {kind}; "
            "to keep a result use `-o FILE`, and for anything else open catalog.duckdb in DuckDB"
        )
