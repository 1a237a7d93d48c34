"""What a query that reads a checkpoint's base beside it is told: who the two are."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

BASE = "base"
"""What a file's line `beside:` may say."""
_PAIR = Path(__file__).with_name("pair.sql").read_text(encoding="utf-8")


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


def create_pair(connection: duckdb.DuckDBPyConnection, pair: BasePair | None) -> None:
    """Makes the view `pair`: one row with the attributes of `BasePair`, or none without a base."""
    row = dict.fromkeys(BasePair.__annotations__) if pair is None else asdict(pair)
    connection.sql(_PAIR, params=row).create_view("pair")
