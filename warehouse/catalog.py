"""`catalog.duckdb`: a view for each table, for whoever opens the lake with DuckDB itself."""

from __future__ import annotations

import shutil
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

import duckdb

from warehouse.lake import identity
from warehouse.sessions import create_view, load_macros, load_vocabulary, needs_vocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence, Set
    from pathlib import Path

    from warehouse.lake import Lake
    from warehouse.schema import Table

_STORAGE = "v1.0.0"
"""The oldest storage version that is still written: every DuckDB since 1.0 opens it."""
_written: dict[Path, tuple[Set[Table], tuple[int, int, int]]] = {}
"""Of each catalog that this process wrote, the tables in it, and which file it is."""


def write_catalog(lake: Lake, tables: Sequence[Table]) -> Path:
    """Writes the catalog anew, or adds what it lacks, and moves it into place.

    It holds no rows. Views over partitioned tables take in partitions that come later, so it stays
    where it is as this process wrote it last, of the same tables.

    Args:
        lake: The lake.
        tables: All its tables; those without a file yet get no view.

    Returns:
        The file.
    """
    # Of two that write at once the last has seen the tables of both.
    with lake.lock("catalog"):
        return _write_catalog(lake, tables)


def _write_catalog(lake: Lake, tables: Sequence[Table]) -> Path:
    there = {table for table in tables if lake.has(table)}
    viewed = _viewed(lake)
    if viewed == there:
        return lake.catalog
    unfinished = lake.staging / f"catalog.{uuid.uuid4().hex}.duckdb"
    try:
        if viewed and viewed < there:
            shutil.copyfile(lake.catalog, unfinished)
        else:
            viewed = set()
        viewed = viewed | _add(unfinished, lake, [t for t in tables if t in there - viewed])
        _written[lake.catalog] = viewed, identity(unfinished.stat())
        unfinished.replace(lake.catalog)
    finally:
        unfinished.unlink(missing_ok=True)
    return lake.catalog


def _viewed(lake: Lake) -> Set[Table] | None:
    """The tables in the catalog, where it is the one that this process wrote last."""
    viewed, which = _written.get(lake.catalog, (None, None))
    try:
        return viewed if identity(lake.catalog.stat()) == which else None
    except FileNotFoundError:
        return None


def _add(catalog: Path, lake: Lake, tables: Sequence[Table]) -> set[Table]:
    """Makes views, and gives the tables that need not be viewed again."""
    viewed = set()
    with duckdb.connect(
        str(catalog), config={"storage_compatibility_version": _STORAGE}
    ) as connection:
        load_macros(connection)
        for table in tables:
            # A damaged file hides its table until it is written anew.
            with suppress(duckdb.Error):
                # A table some of whose columns no file has yet is viewed again, as they may come.
                if create_view(connection, table, [lake.pattern(table)]):
                    viewed.add(table)
        if needs_vocabulary(tables):
            load_vocabulary(connection)
    return viewed
