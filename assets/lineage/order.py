"""The order in which assets come after what they read."""

from __future__ import annotations

import heapq
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from assets.lineage.asset import Asset


def in_order(assets: Iterable[Asset]) -> list[Asset]:
    """Assets, each after what it reads; otherwise they stay in the order in which they are given.

    Raises:
        graphlib.CycleError: Some of them read each other in a circle.
    """
    given = list(assets)
    place = {asset.name: i for i, asset in enumerate(given)}
    sorter = TopologicalSorter(
        {asset.name: [name for name in asset.reads if name in place] for asset in given}
    )
    sorter.prepare()
    ordered: list[Asset] = []
    ready: list[int] = []
    while sorter.is_active():
        for name in sorter.get_ready():
            heapq.heappush(ready, place[name])
        asset = given[heapq.heappop(ready)]
        ordered.append(asset)
        sorter.done(asset.name)
    return ordered
