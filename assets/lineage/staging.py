"""Unfinished rows, which a stopped run goes on from, so that nothing is made twice."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from warehouse.storage import write_parquet

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from assets.lineage.context import AssetContext
    from warehouse import Table

_PART_VERSIONS = "anchorlake.made_from"
"""Footer key of a JSON object: for each part of the rows a digest of all that they depend on."""


def staging(context: AssetContext, table: Table) -> Path:
    """The folder of a partition's unfinished rows; removed once they are in their place."""
    return context.lake.staging / table.name / str(context.partition)


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
    number = len(list(folder.glob("*.parquet")))
    unfinished.rename(folder / f"{number:06}.{unfinished.stem}.parquet")


def finished_rows(context: AssetContext, table: Table) -> Iterator[tuple[pa.Table, dict[str, str]]]:
    """Rows of a partition that are published or staged, and the versions of their parts."""
    published = [] if context.force else context.lake.files(table, context.partition)
    for path in [*published, *sorted(staging(context, table).glob("*.parquet"))]:
        if opened := open_rows(path):  # what is damaged is made anew
            file, part_versions = opened
            yield file.read(), part_versions


def finished_parts(
    context: AssetContext, table: Table, columns: Sequence[str], part_versions: Mapping[str, str]
) -> dict[str, pa.Table]:
    """Finished rows that would come out the same again, by part.

    Args:
        context: What they are made for.
        table: Their table.
        columns: What tells parts apart; a part is named by their values with a space between.
        part_versions: For each part a digest of all that its rows depend on.
    """
    finished = {}
    for rows, versions in finished_rows(context, table):
        values = (rows[column].to_pylist() for column in columns)
        part_of_row = pa.array(
            [" ".join(value) for value in zip(*values, strict=True)], pa.string()
        )
        for part in part_of_row.unique().to_pylist():
            if part in part_versions and versions.get(part) == part_versions[part]:
                finished[part] = rows.filter(pc.equal(part_of_row, part))
    return finished


def note_part_versions(context: AssetContext, part_versions: Mapping[str, str]) -> None:
    """Has the footer say of each part a digest of all that its rows depend on."""
    context.footer[_PART_VERSIONS] = json.dumps(part_versions)


def open_rows(path: Path) -> tuple[pq.ParquetFile, dict[str, str]] | None:
    """Opens a file of rows, and reads the versions of its parts; None where it is damaged."""
    try:
        file = pq.ParquetFile(path)
    except pa.ArrowInvalid:
        return None
    return file, json.loads((file.metadata.metadata or {}).get(_PART_VERSIONS.encode(), b"{}"))
