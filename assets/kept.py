"""What long work keeps of itself, so that nothing is made twice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from assets.recipe import Work
    from warehouse import Table

_MADE_FROM = "anchorlake.made_from"
"""Footer key of a JSON object: for each part of the rows a digest of all that they depend on."""


def staging(work: Work, table: Table) -> Path:
    """The folder of a partition's unfinished work; removed once its rows are in their place."""
    return work.lake.staging / table.name / str(work.partition)


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
