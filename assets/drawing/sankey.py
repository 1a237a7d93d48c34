"""The layout of a Sankey diagram that is read from top to bottom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

START, END = "START", "END"

BAR = 14
"""Pixels; the height of a node's bar."""
_STUB = 4
"""Pixels that a ribbon goes straight on above and below a bar."""
_LANE_GAP = 3
"""Pixels between ribbons that pass a bar, and between them and the bar."""
_BETWEEN = 34
"""Pixels between a node's text, or bar, and the next's; ribbons need some to change lanes."""


@dataclass(frozen=True)
class Bar:
    """A node: as wide as generations pass it.

    Attributes:
        name: START, END or a span.
        left: In pixels.
        right: In pixels.
        top: In pixels, growing downwards.
        bottom: In pixels.
    """

    name: str
    left: float
    right: float
    top: float
    bottom: float

    @property
    def middle(self) -> float:
        """Half-way between top and bottom."""
        return (self.top + self.bottom) / 2


@dataclass(frozen=True)
class Ribbon:
    """A flow: as wide as generations go this way, all along.

    Attributes:
        source: The node it comes from.
        target: The node it goes to.
        n_holders: Generations that go this way.
        edges: Where it is: (y, left, right) in pixels, y strictly increasing. Between two of them
            that are equally far left it is straight.
    """

    source: str
    target: str
    n_holders: int
    edges: list[tuple[float, float, float]]


@dataclass(frozen=True)
class Layout:
    """Where everything is.

    Attributes:
        bars: START, the spans in order, END.
        ribbons: The flows, by source and target.
        height: In pixels.
    """

    bars: list[Bar]
    ribbons: list[Ribbon]
    height: float


def layout(
    spans: Sequence[str],
    flows: Mapping[tuple[str, str], int],
    text_heights: Mapping[str, float],
    width: float,
) -> Layout:
    """Lays a blueprint out: every node has a row, and flows that skip it pass on its left.

    Bars end at the right, where their texts are to stand. The flow that returns first passes next
    to the bar; so no two flows cross that skip the same nodes.

    Args:
        spans: The nodes between START and END, in the order in which generations pass them.
        flows: Generations that go from a node directly to another, which comes after it; as many go
            into a span as out of it.
        text_heights: The pixels that the nodes' texts take.
        width: Pixels for bars and ribbons.

    Returns:
        The layout.
    """
    nodes = [START, *spans, END]
    place = {name: i for i, name in enumerate(nodes)}
    ordered = sorted(flows, key=lambda flow: (place[flow[0]], place[flow[1]]))
    skipping = [
        sorted(
            (flow for flow in flows if place[flow[0]] < i < place[flow[1]]),
            key=lambda flow: (place[flow[1]], -place[flow[0]]),
        )
        for i in range(len(nodes))
    ]
    n_samples = sum(n for (source, _), n in flows.items() if source == START)
    lanes = max(len(flows_beside) for flows_beside in skipping)
    scale = (width - _LANE_GAP * lanes) / max(n_samples, 1)

    bars = []
    y = 0.0
    for name in nodes:
        passing = sum(
            n for flow, n in flows.items() if name == (flow[0] if name == START else flow[1])
        )
        room = max(text_heights.get(name, 0), BAR)
        top = y + (room - BAR) / 2
        bars.append(Bar(name, width - passing * scale, width, top, top + BAR))
        y += room + _BETWEEN

    # Lanes beside each bar, and slots along its upper and lower side, from the right.
    lane: dict[tuple[tuple[str, str], int], tuple[float, float]] = {}
    for i, bar in enumerate(bars):
        right = bar.left - (_LANE_GAP if bar.left < width else 0)
        for flow in skipping[i]:
            left = right - flows[flow] * scale
            lane[flow, i] = (left, right)
            right = left - _LANE_GAP
    leaves: dict[tuple[str, str], tuple[float, float]] = {}
    enters: dict[tuple[str, str], tuple[float, float]] = {}
    for bar in bars:
        for side, slots in ((0, leaves), (1, enters)):
            flows_of_bar = [flow for flow in ordered if flow[side] == bar.name]
            right = bar.right
            for flow in flows_of_bar if side == 0 else reversed(flows_of_bar):
                slots[flow] = (right - flows[flow] * scale, right)
                right -= flows[flow] * scale

    ribbons = []
    for flow in ordered:
        source, target = bars[place[flow[0]]], bars[place[flow[1]]]
        edges = [(source.bottom, *leaves[flow]), (source.bottom + _STUB, *leaves[flow])]
        for i in range(place[flow[0]] + 1, place[flow[1]]):
            edges += [
                (bars[i].top - _STUB, *lane[flow, i]),
                (bars[i].bottom + _STUB, *lane[flow, i]),
            ]
        edges += [(target.top - _STUB, *enters[flow]), (target.top, *enters[flow])]
        ribbons.append(Ribbon(*flow, flows[flow], edges))
    return Layout(bars, ribbons, y - _BETWEEN)
