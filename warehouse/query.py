"""Ad-hoc SQL over the lake, which can read and do nothing else."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import duckdb

from warehouse.sessions import (
    Limits,
    confine,
    create_view,
    read_files,
    session,
)
from warehouse.statements import QueryError, Statement, read_statement
from warehouse.vocabulary import load_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from warehouse.lake import Lake
    from warehouse.schema import Table


@contextmanager
def ask(
    lake: Lake,
    tables: Sequence[Table],
    query: str,
    limits: Limits | None = None,
    files: Sequence[str] = (),
) -> Iterator[duckdb.DuckDBPyRelation]:
    """Runs a query over the lake's tables, each a view of its name.

    Args:
        lake: The lake.
        tables: The tables that are known; those without rows yet are empty. What the lake has
            beside them is a view with the columns of its files.
        query: One SELECT, or what reads like it: FROM, WITH, DESCRIBE, SHOW, SUMMARIZE, EXPLAIN.
        limits: The session's limits.
        files: Further files that the query may read, by the very paths that it names them by:
            `from 'prices.csv'`, or `from read_csv('prices.csv', delim = ';')`.

    Yields:
        The result, which can be read until the context ends.

    Raises:
        QueryError: The query is wrong, is several, does more than read, reads something else, needs
            more memory than it may use, or reads a table with a damaged file.
    """
    limits = limits or Limits()
    with session(lake, limits) as connection:
        try:
            statement = read_statement(connection, query, files)
            viewed = _create_views(connection, lake, tables, statement)
            confine(connection, [*viewed, *files])
            relation = connection.sql(statement.text)
            if relation is None:
                raise QueryError("the query gives no rows")
            yield relation
        except duckdb.OutOfMemoryException as error:
            raise QueryError(too_large(limits)) from error
        except duckdb.Error as error:
            raise QueryError(str(error)) from error


def too_large(limits: Limits) -> str:
    """What to say of a query that needs more than its limits."""
    return (
        f"the query needs more than {limits.memory / 1e9:.3g} GB of memory, or more disk than it "
        "may spill to; ask for less, or give it more with --memory"
    )


def _create_views(
    connection: duckdb.DuckDBPyConnection,
    lake: Lake,
    tables: Sequence[Table],
    statement: Statement,
) -> list[str]:
    """Makes the tables that a query reads views.

    Of a query that reads something else, or asks what there is, all: so DuckDB can say what it
    may have meant.

    Returns:
        Their files.
    """
    declared = {table.name: table for table in tables}
    undeclared = lake.undeclared(tables)
    every = {*declared, *undeclared}
    unknown = statement.tables - statement.defined - every
    viewed: list[str] = []
    for name in sorted(every if statement.about_all or unknown else every & statement.tables):
        is_read = name in statement.tables  # of others, columns alone are asked for
        if name not in declared:
            paths = undeclared[name]
            lake.place.fetch(lake.root, paths)
        else:
            paths = lake.files(declared[name]) if is_read else lake.footers(declared[name])
        damaged = lake.damaged(paths) if is_read else []
        if damaged:
            raise QueryError(
                f"{damaged[0]} does not hold what was written to it; `anchorlake run` makes it anew"
            )
        files = [str(path) for path in paths]
        try:
            if name in declared:
                create_view(connection, declared[name], files)
            else:
                read_files(connection, files).create_view(name)
        except duckdb.Error:
            if is_read:  # a damaged file troubles only those who ask for it
                raise
        viewed += files
    load_words(connection, *(() if statement.about_all else (statement.text,)))
    return viewed
