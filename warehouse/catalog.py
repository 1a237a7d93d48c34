"""`catalog.duckdb`: a view for each table, for whoever opens the lake with DuckDB itself."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from warehouse.durable import in_one_step
from warehouse.integrity import identity
from warehouse.scratch import scratch
from warehouse.sessions import view_rows
from warehouse.vocabulary import load_macros, needs_vocabulary, vocabulary_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence, Set

    from warehouse.lake import Lake
    from warehouse.schema import Table

_HERE = Path(__file__).parent
_LAKE_FOLDER = (_HERE / "lake_folder.sql").read_text(encoding="utf-8")
_CATALOGUED = (_HERE / "catalogued.sql").read_text(encoding="utf-8")
_COMMENTS = (_HERE / "comments.sql").read_text(encoding="utf-8")
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


def mend_catalog(lake: Lake) -> None:
    """Has the catalog of a lake that was moved, or is mounted elsewhere, read it where it is now.

    Where there is none, or it cannot be written, it is left as it is.
    """
    if not os.path.isfile(lake.catalog) or _is_in_place(lake):
        return
    with suppress(OSError, duckdb.Error), lake.lock("catalog"), scratch(lake) as folder:
        mended = folder / "catalog.duckdb"
        shutil.copyfile(lake.catalog, mended)
        with duckdb.connect(str(mended)) as connection:
            _set_folder(connection, lake)
        mended.replace(lake.catalog)


def _is_in_place(lake: Lake) -> bool:
    """Whether the catalog knows where the lake is, or is no catalog that can be told."""
    # Every command looks; the note of a catalog that is as it was written says it much faster.
    with suppress(OSError, ValueError, KeyError):
        noted = _read_note(lake)
        if _is_as_noted(lake, noted):
            return bool(noted["folder"] == _folder(lake))
    with suppress(duckdb.Error), duckdb.connect(str(lake.catalog), read_only=True) as connection:
        row = connection.execute("select lake_folder()").fetchone()
        return row is not None and row[0] == _folder(lake)
    return True


def _set_folder(connection: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    _execute_all(connection, _LAKE_FOLDER, {"folder": _folder(lake)})


def _execute_all(
    connection: duckdb.DuckDBPyConnection, query: str, parameters: Mapping[str, str | Sequence[str]]
) -> None:
    """Executes the statements that a query gives."""
    for (statement,) in connection.execute(query, parameters).fetchall():
        connection.execute(statement)


def _write_catalog(lake: Lake, tables: Sequence[Table]) -> Path:
    # Of a lake in a bucket it has views over what was copied.
    present = {t.name for t in tables if any(lake.root.glob(lake.pattern_within(t)))}
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
        noted = _read_note(lake)
        if _is_as_noted(lake, noted) and noted["made_of"] == _made_of(_folder(lake), tuple(tables)):
            return set(noted["views"])
    return None


def _remember(
    lake: Lake, tables: Sequence[Table], views: Set[str], which: tuple[int, int, int]
) -> None:
    noted = {
        "catalog": which,
        "folder": _folder(lake),
        "made_of": _made_of(_folder(lake), tuple(tables)),
        "views": sorted(views),
    }
    with in_one_step(_note(lake)) as path:
        path.write_text(json.dumps(noted), encoding="utf-8")


def _read_note(lake: Lake) -> dict[str, Any]:
    noted: dict[str, Any] = json.loads(_note(lake).read_text(encoding="utf-8"))
    return noted


def _is_as_noted(lake: Lake, noted: Mapping[str, Any]) -> bool:
    """Whether the catalog is the file that the note is of."""
    return bool(noted["catalog"] == list(identity(lake.catalog.stat())))


def _folder(lake: Lake) -> str:
    return str(lake.root.absolute())


def _note(lake: Lake) -> Path:
    return lake.staging / "catalog.json"


@lru_cache
def _made_of(folder: str, tables: tuple[Table, ...]) -> str:
    """Tells views from those over other declarations, with other words, or of a lake elsewhere."""
    names = [table.name for table in tables]
    parts = [folder, *map(repr, tables), *vocabulary_of(names)]
    parts += [_CATALOGUED, _COMMENTS]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _add(catalog: Path, lake: Lake, tables: Sequence[Table]) -> set[str]:
    """Makes views, and gives the names of the tables that need not be viewed again."""
    viewed = set()
    is_new = not catalog.exists()
    with duckdb.connect(
        str(catalog), config={"storage_compatibility_version": _STORAGE}
    ) as connection:
        connection.begin()  # else each statement is flushed to the disk by itself
        if is_new:
            _set_folder(connection, lake)
        for table in tables:
            # A damaged file hides its table until it is written anew.
            with suppress(duckdb.Error):
                pattern = {"pattern": lake.pattern_within(table)}
                # A table some of whose columns no file has yet is viewed again, as they may come.
                if view_rows(connection, table, connection.sql(_CATALOGUED, params=pattern)):
                    viewed.add(table.name)
                _comment(connection, table)
        if is_new or needs_vocabulary(tables):
            load_macros(connection)
        connection.commit()
    return viewed


def _comment(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    """Says in the catalog what a table and its columns hold."""
    description = f"{table.description} One row for each {', '.join(table.grain)}."
    meanings = [f"{c.meaning} [{c.unit}]" if c.unit else c.meaning for c in table.columns]
    names = [column.name for column in table.columns]
    about = {"view": table.name, "description": description, "names": names, "meanings": meanings}
    _execute_all(connection, _COMMENTS, about)
