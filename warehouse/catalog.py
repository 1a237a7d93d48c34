"""`catalog.duckdb`: a view for each table, for whoever opens the lake with DuckDB itself."""

from __future__ import annotations

import hashlib
import json
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

import duckdb

from warehouse.integrity import identity
from warehouse.scratch import scratch
from warehouse.sessions import (
    create_view,
    load_macros,
    load_vocabulary,
    needs_vocabulary,
    vocabulary_of,
)
from warehouse.storage import in_one_step

if TYPE_CHECKING:
    from collections.abc import Sequence, Set
    from pathlib import Path

    from warehouse.lake import Lake
    from warehouse.schema import Table

_STORAGE = "v1.0.0"
"""The oldest storage version that is still written: every DuckDB since 1.0 opens it."""


def write_catalog(lake: Lake, tables: Sequence[Table]) -> Path:
    """Writes the catalog anew, or adds what it lacks, and moves it into place.

    It holds no rows. Views over partitioned tables take in partitions that come later, so it stays
    as it is while there are the same tables, declared alike, and the lake is where it was.

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
    present = {table.name for table in tables if lake.has(table)}
    viewed = _remembered(lake, tables)
    if viewed == present:
        return lake.catalog
    with scratch(lake) as folder:
        unfinished = folder / "catalog.duckdb"
        if viewed and viewed < present:
            shutil.copyfile(lake.catalog, unfinished)
        else:
            viewed = set()
        missing = present - viewed
        viewed = viewed | _add(unfinished, lake, [t for t in tables if t.name in missing])
        which = identity(unfinished.stat())
        unfinished.replace(lake.catalog)
    _remember(lake, tables, viewed, which)
    return lake.catalog


def _remembered(lake: Lake, tables: Sequence[Table]) -> Set[str] | None:
    """Names of the tables in the catalog; None where it is not as it was written last."""
    with suppress(OSError, ValueError, KeyError):
        noted = json.loads(_note(lake).read_text(encoding="utf-8"))
        unchanged = noted["catalog"] == list(identity(lake.catalog.stat()))
        if unchanged and noted["made_of"] == _made_of(lake, tables):
            return set(noted["views"])
    return None


def _remember(
    lake: Lake, tables: Sequence[Table], views: Set[str], which: tuple[int, int, int]
) -> None:
    noted = {"catalog": which, "made_of": _made_of(lake, tables), "views": sorted(views)}
    with in_one_step(_note(lake)) as path:
        path.write_text(json.dumps(noted), encoding="utf-8")


def _note(lake: Lake) -> Path:
    return lake.staging / "catalog.json"


def _made_of(lake: Lake, tables: Sequence[Table]) -> str:
    """Tells views from those over other declarations, with other words, or of a lake elsewhere."""
    names = [table.name for table in tables]
    parts = [str(lake.root.absolute()), *map(repr, tables), *vocabulary_of(names)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _add(catalog: Path, lake: Lake, tables: Sequence[Table]) -> set[str]:
    """Makes views, and gives the names of the tables that need not be viewed again."""
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
                    viewed.add(table.name)
        if needs_vocabulary(tables):
            load_vocabulary(connection)
    return viewed
