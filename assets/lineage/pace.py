"""How long assets took to make in a lake: what tells how long the next ones are going to take."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from assets.lineage.graph import Node
    from warehouse import Lake


@dataclass(frozen=True)
class Pace:
    """How fast a partition of an asset was made last.

    Attributes:
        name: The asset.
        partition: The partition; None where it has none.
        seconds: How long it took, with what was kept from before.
        tokens_per_second: How fast a model sampled or scored; None where none did.
    """

    name: str
    partition: str | None
    seconds: float
    tokens_per_second: float | None = None


def remember(
    lake: Lake, name: str, partition: str | None, seconds: float, notes: Mapping[str, Any]
) -> None:
    """Notes how long a partition took; that it cannot be noted is no trouble."""
    rate = notes.get("tokens per second")
    pace = Pace(name, partition, round(seconds, 3), rate or None)
    with suppress(OSError):
        lake.staging.mkdir(parents=True, exist_ok=True)
        with _file(lake).open("a", encoding="utf-8") as file:  # a line is written in one step
            file.write(json.dumps(asdict(pace)) + "\n")


def paces(lake: Lake) -> dict[Node, Pace]:
    """The last pace of each partition that this lake has made."""
    known: dict[Node, Pace] = {}
    with suppress(OSError):
        for line in _file(lake).read_text(encoding="utf-8").splitlines():
            with suppress(ValueError, TypeError):  # cut, or of another version
                pace = Pace(**json.loads(line))
                known[pace.name, pace.partition] = pace
    return known


def _file(lake: Lake) -> Path:
    return lake.staging / "pace.jsonl"
