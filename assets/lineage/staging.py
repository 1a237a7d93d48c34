"""Unfinished rows, which a stopped run goes on from, so that nothing is made twice."""

from __future__ import annotations

import json
import shutil
import time
import uuid
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from assets.lineage.signature import Signature
from warehouse.durable import publish
from warehouse.integrity import is_whole
from warehouse.storage import write_parquet

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from assets.lineage.context import AssetContext
    from warehouse import Lake, Table

_PART_VERSIONS = "anchorlake.made_from"
"""Footer key of a JSON object: for each part of the rows a digest of all that they depend on."""
_RUN_BY = "anchorlake.run_by"
"""Footer key of a signature: the engine, device type and dtype that a model was run with."""
_DAMAGE = (pa.ArrowException, ValueError, OSError)
"""What reading a damaged file raises; the library's errors have no other common type."""
_SIGNATURE = "anchorlake.signature"


def staging(context: AssetContext, table: Table) -> Path:
    """The folder of a partition's unfinished rows; removed once they are in their place."""
    return context.lake.staging / table.name / str(context.partition)


def staged_partitions(lake: Lake, table: str) -> list[str | None]:
    """The partitions of a table that have unfinished rows; None where it has no partitions."""
    names = (folder.name for folder in (lake.staging / table).glob("*/"))
    return [None if name == str(None) else name for name in names]


def forget_staged(lake: Lake, table: str, partition: str | None) -> None:
    """Removes a partition's unfinished rows."""
    shutil.rmtree(lake.staging / table / str(partition), ignore_errors=True)


def stage(context: AssetContext, table: Table, rows: pa.Table, part: str = "") -> None:
    """Puts finished rows into staging, should the run be stopped.

    Args:
        context: What they are made for.
        table: Their table.
        rows: The rows; sorted by name, files are in the order in which they were staged.
        part: A folder of their own within the partition's.
    """
    folder = staging(context, table) / part
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f"{uuid.uuid4().hex}.unfinished"
    write_parquet(unfinished, table.arrow_schema, rows.to_batches(), context.footer)
    publish(unfinished, folder / f"{time.time_ns():020}.{unfinished.stem}.parquet")


def staged_files(context: AssetContext, table: Table, part: str = "") -> list[Path]:
    """The files of a partition's staged rows, in the order in which they were staged.

    One that does not hold what was written, or has other columns than the table, as another version
    left it, is removed: its rows are made anew.

    Args:
        context: What they are made for.
        table: Their table.
        part: The folder of their own within the partition's, if they have one.
    """
    whole = []
    for path in sorted((staging(context, table) / part).glob("*.parquet")):
        if not path.is_file():
            continue
        if is_whole(path) and _has_columns(path, table):
            whole.append(path)
        else:
            path.unlink(missing_ok=True)
    return whole


def _has_columns(path: Path, table: Table) -> bool:
    """Whether a file has each column of a table, in its type."""
    try:
        schema = pq.read_schema(path)
    except _DAMAGE:
        return False
    return all(
        field.name in schema.names and schema.field(field.name).type == field.type
        for field in table.arrow_schema
    )


def published_rows(
    context: AssetContext, table: Table, filled_in: Collection[str] = ()
) -> Iterator[tuple[pa.Table, dict[str, str]]]:
    """The rows of a partition that the lake has, if it has any, and the versions of their parts.

    They are in the columns that the table has now; what is older than a column has nulls there, and
    what does not fit is left out, to be made again.

    Args:
        context: What they are made for.
        table: Their table.
        filled_in: Columns of the grain that older rows may lack, as they are filled in later.
    """
    if context.force:
        return
    for path in context.lake.files(table, context.partition):
        if context.lake.is_whole(path) and (opened := open_rows(context, path)):
            file, part_versions = opened
            if (rows := _fitting(file, table, filled_in)) is not None:
                yield rows, part_versions


def _fitting(file: pq.ParquetFile, table: Table, filled_in: Collection[str]) -> pa.Table | None:
    """A file's rows in the columns of a table; None where they cannot be."""
    names = file.schema_arrow.names
    columns = []
    try:
        rows = file.read([name for name in table.arrow_schema.names if name in names])
        for field in table.arrow_schema:
            if field.name in names:
                columns.append(rows[field.name].cast(field.type))
            elif field.name in filled_in or field.name not in table.stored_grain:
                columns.append(pa.nulls(len(rows), field.type))
            else:
                return None
    except _DAMAGE:
        return None
    return pa.table(columns, table.arrow_schema)


def staged_rows(context: AssetContext, table: Table) -> Iterator[tuple[pa.Table, dict[str, str]]]:
    """The staged rows of a partition, and the versions of their parts."""
    for path in staged_files(context, table):
        if opened := open_rows(context, path):
            file, part_versions = opened
            yield file.read(table.arrow_schema.names), part_versions


def finished_rows(
    context: AssetContext, table: Table, filled_in: Collection[str] = ()
) -> Iterator[tuple[pa.Table, dict[str, str]]]:
    """Rows of a partition that are published or staged, and the versions of their parts."""
    yield from published_rows(context, table, filled_in)
    yield from staged_rows(context, table)


def finished_parts(
    context: AssetContext,
    table: Table,
    columns: Sequence[str],
    part_versions: Mapping[str, str],
    filled_in: Collection[str] = (),
) -> dict[str, pa.Table]:
    """Finished rows that would come out the same again, by part.

    Args:
        context: What they are made for.
        table: Their table.
        columns: What tells parts apart; a part is named by their values with a space between.
        part_versions: For each part a digest of all that its rows depend on.
        filled_in: As for `published_rows`.
    """
    finished = {}
    for rows, versions in finished_rows(context, table, filled_in):
        values = (rows[column].to_pylist() for column in columns)
        part_of_row = pa.array(
            [" ".join(value) for value in zip(*values, strict=True)], pa.string()
        )
        for part in part_of_row.unique().to_pylist():
            if part in part_versions and versions.get(part) == part_versions[part]:
                finished[part] = rows.filter(pc.equal(part_of_row, part))
    return finished


def note_part_versions(
    context: AssetContext, part_versions: Mapping[str, str], run_by: Signature | None = None
) -> None:
    """Has the footer say what the rows depend on.

    Args:
        context: What they are made for.
        part_versions: For each part a digest of all that its rows depend on, `run_by` aside.
        run_by: What runs the model that makes them; rows that another one made are not reused.
    """
    context.footer[_PART_VERSIONS] = json.dumps(part_versions)
    if run_by is not None:
        context.footer[_RUN_BY] = str(run_by)


def open_rows(context: AssetContext, path: Path) -> tuple[pq.ParquetFile, dict[str, str]] | None:
    """Opens a file of rows, and reads the versions of its parts.

    Returns:
        None where it is damaged, or where its rows were run by something else than this context's.
    """
    try:
        file = pq.ParquetFile(path)
        footer = {k.decode(): v.decode() for k, v in (file.metadata.metadata or {}).items()}
        versions = json.loads(footer.get(_PART_VERSIONS, "{}"))
    except _DAMAGE:
        return None
    run_by = context.footer.get(_RUN_BY)
    if run_by is not None and not _are_alike(footer, Signature.parse(run_by)):
        return None
    return (file, versions) if isinstance(versions, dict) else None


def _are_alike(footer: Mapping[str, str], run_by: Signature) -> bool:
    """Whether rows were run by the same engine, on the same type of device, in the same dtype."""
    if _RUN_BY in footer:
        return footer[_RUN_BY] == str(run_by)
    if _SIGNATURE not in footer:  # staged by a version that did not say, by the run that goes on
        return True
    # Versions before this key signed tables with the engine and the dtype that a model had.
    before, now = Signature.parse(footer[_SIGNATURE]).to_dict(), run_by.to_dict()
    if before.get("engine") != now["engine"]:
        return False
    if now.get("dtype") == "auto":
        return before.get("dtype") != "float32"
    return "dtype" not in now or before.get("dtype") == now["dtype"]
