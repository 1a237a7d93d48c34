"""What a query that reads a checkpoint's base beside it is told: who the two are."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    import duckdb

BASE = "base"
"""What a file's line `beside:` may say."""


@dataclass(frozen=True)
class BasePair:
    """A checkpoint and its base, each at the decoding that comparisons are made at.

    Attributes:
        checkpoint: The checkpoint.
        decoding: Its decoding; - where it is not known.
        other: Its base.
        other_decoding: And that of the base.
    """

    checkpoint: str
    decoding: str
    other: str
    other_decoding: str


_SCHEMA = pa.schema([(name, pa.string()) for name in BasePair.__annotations__])


def create_pair(connection: duckdb.DuckDBPyConnection, pair: BasePair | None) -> None:
    """Makes the view `pair`: one row with the attributes of `BasePair`, or none without a base."""
    rows = [] if pair is None else [asdict(pair)]
    connection.register("pair", pa.Table.from_pylist(rows, _SCHEMA))
