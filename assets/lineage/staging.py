"""What long work keeps of itself, so that nothing is made twice."""

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

    from assets.lineage.asset import Work
    from warehouse import Table

_MADE_FROM = "anchorlake.made_from"
"""Footer key of a JSON object: for each part of the rows a digest of all that they depend on."""


def staging(work: Work, table: Table) -> Path:
    """The folder of a partition's unfinished work; removed once its rows are in their place."""
    return work.lake.staging / table.name / str(work.partition)


def put_aside(work: Work, table: Table, rows: pa.Table, part: str = "") -> None:
    """Keeps rows that are finished, should the work be stopped.

    Args:
        work: What they are made for.
        table: Their table.
        rows: The rows; sorted by name, files are in the order in which they were put aside.
        part: A folder of their own within the partition's.
    """
    folder = staging(work, table) / part
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f"{uuid.uuid4().hex}.unfinished"
    write_parquet(unfinished, table.arrow_schema, rows.to_batches(), work.footer)
    number = len(list(folder.glob("*.parquet")))
    unfinished.rename(folder / f"{number:06}.{unfinished.stem}.parquet")


def already_made(work: Work, table: Table) -> Iterator[tuple[pa.Table, dict[str, str]]]:
    """Rows of a partition that are there, published or put aside, and what they were made from."""
    published = [] if work.force else work.lake.files(table, work.partition)
    for path in [*published, *sorted(staging(work, table).glob("*.parquet"))]:
        if found := read_made_from(path):  # what is damaged is made anew
            yield found[0].read(), found[1]


def kept_parts(
    work: Work, table: Table, columns: Sequence[str], made_from: Mapping[str, str]
) -> dict[str, pa.Table]:
    """Rows there already that would come out the same again, by part.

    Args:
        work: What they are made for.
        table: Their table.
        columns: What tells parts apart; a part is named by their values with a space between.
        made_from: For each part a digest of all that its rows depend on.
    """
    found = {}
    for rows, known in already_made(work, table):
        values = (rows[column].to_pylist() for column in columns)
        parts = pa.array([" ".join(value) for value in zip(*values, strict=True)], pa.string())
        for part in parts.unique().to_pylist():
            if part in made_from and known.get(part) == made_from[part]:
                found[part] = rows.filter(pc.equal(parts, part))
    return found


def note_made_from(work: Work, digests: Mapping[str, str]) -> None:
    """Has the footer say of each part what it was made from."""
    work.footer[_MADE_FROM] = json.dumps(digests)


def read_made_from(path: Path) -> tuple[pq.ParquetFile, dict[str, str]] | None:
    """A file of rows, and what its parts were made from; None where it is damaged."""
    try:
        file = pq.ParquetFile(path)
    except pa.ArrowInvalid:
        return None
    return file, json.loads((file.metadata.metadata or {}).get(_MADE_FROM.encode(), b"{}"))
