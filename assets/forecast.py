"""What a run is going to sample, ask servers for, and take, judged by what the lake took so far."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from assets.lineage.pace import paces

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from assets.lineage.graph import Node
    from assets.lineage.pace import Pace
    from assets.preflight import Need
    from warehouse import Lake

_SAMPLED = "generations"
_REASONED = "choice_reasoning"


@dataclass(frozen=True)
class Forecast:
    """What a run is going to do, at most.

    Attributes:
        generations: Generations that models are asked for, those of servers included.
        tokens: Tokens that these have at most.
        reasonings: How often models reason about a question before they choose an option.
        reasoning_tokens: Tokens that this takes at most.
        asked: The checkpoints whose generations a server is asked for.
        seconds: How long it takes, as far as this lake has a rate for it; None for no rate at all.
        unknown: Assets of which the lake has made no partition yet, each once.
    """

    generations: int
    tokens: int
    reasonings: int
    reasoning_tokens: int
    asked: tuple[Need, ...]
    seconds: float | None
    unknown: tuple[str, ...]


def forecast(lake: Lake, stale: Collection[Node], needs: Sequence[Need]) -> Forecast:
    """Says what making what is stale comes to.

    Sampling is judged by the rate of the checkpoint, or the median of the others; all else by how
    long the partition took, or the median of the asset's other partitions.

    Args:
        lake: The lake.
        stale: What is to be made.
        needs: What each checkpoint asks of a machine.
    """
    sampled = [n for n in needs if n.tokens is not None and (_SAMPLED, n.checkpoint) in stale]
    reasoned = [n for n in needs if (_REASONED, n.checkpoint) in stale]
    known = paces(lake)
    tokens: dict[Node, int | None] = {(_SAMPLED, n.checkpoint): n.tokens for n in sampled}
    tokens |= {(_REASONED, n.checkpoint): n.reasoning_tokens for n in reasoned}
    times: dict[Node, float | None] = {}
    for name, partition in stale:
        alike = _of_partition_or_others(known.values(), name, partition)
        to_sample = tokens.get((name, partition))
        if to_sample is None:
            times[name, partition] = median(p.seconds for p in alike) if alike else None
        else:
            rates = [p.tokens_per_second for p in alike if p.tokens_per_second]
            times[name, partition] = to_sample / median(rates) if rates else None
    seconds = [time for time in times.values() if time is not None]
    return Forecast(
        generations=sum(need.generations for need in sampled),
        tokens=sum(need.tokens or 0 for need in sampled),
        reasonings=sum(need.reasonings for need in reasoned),
        reasoning_tokens=sum(need.reasoning_tokens for need in reasoned),
        asked=tuple(need for need in sampled if need.source.startswith("openai:")),
        seconds=sum(seconds) if seconds else None,
        unknown=tuple(dict.fromkeys(name for (name, _), time in times.items() if time is None)),
    )


def _of_partition_or_others(known: Iterable[Pace], name: str, partition: str | None) -> list[Pace]:
    """The pace of a partition of an asset, or those of its other partitions."""
    of_asset = [pace for pace in known if pace.name == name]
    return [pace for pace in of_asset if pace.partition == partition] or of_asset
