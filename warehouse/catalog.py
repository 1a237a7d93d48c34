"""`catalog.duckdb`: a view for each table, for whoever opens the lake with DuckDB itself."""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

import duckdb

from warehouse.lake import identity
from warehouse.sessions import create_view, load_macros, load_vocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from warehouse.lake import Lake
    from warehouse.schema import Table

_STORAGE = "v1.0.0"
"""The oldest storage version that is still written: every DuckDB since 1.0 opens it."""
_written: dict[Path, tuple[list[Table], tuple[int, int, int]]] = {}
"""Of each catalog that this process wrote, the tables in it, and which file it is."""


def write_catalog(lake: Lake, tables: Sequence[Table]) -> Path:
    """Writes the catalog anew and moves it into place.

    It holds no rows. Views over partitioned tables take in partitions that come later, so it stays
    where it is as this process wrote it last, of the same tables.

    Args:
        lake: The lake.
        tables: All its tables; those without a file yet get no view.

    Returns:
        The file.
    """
    there = [table for table in tables if lake.has(table)]
    with suppress(FileNotFoundError):
        if _written.get(lake.catalog) == (there, identity(lake.catalog.stat())):
            return lake.catalog
    lake.staging.mkdir(parents=True, exist_ok=True)
    unfinished = lake.staging / f"catalog.{uuid.uuid4().hex}.duckdb"
    try:
        with duckdb.connect(
            str(unfinished), config={"storage_compatibility_version": _STORAGE}
        ) as connection:
            load_macros(connection)
            viewed = []
            for table in there:
                # A damaged file hides its table until it is written anew.
                with suppress(duckdb.Error):
                    # One without some columns is written again, as they may come.
                    if create_view(connection, table, [lake.pattern(table)]):
                        viewed.append(table)
            load_vocabulary(connection)
        _written[lake.catalog] = viewed, identity(unfinished.stat())
        unfinished.replace(lake.catalog)
    finally:
        unfinished.unlink(missing_ok=True)
    return lake.catalog
