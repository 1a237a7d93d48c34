"""Figure 14: how much of a prompt's generations lies in anchor spans."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from assets.drawing import along
from assets.drawing.figure import Figure, FigureData


def _draw(data: FigureData, width: int) -> Any:
    return along.draw(data, width, {"in_anchor": "generations that are in an anchor span"})


FIGURE = Figure(
    name="anchor_coverage",
    place=50,
    title="How much of the generations lies in anchor spans",
    paper="figure 14",
    claim=(
        "Looking only at anchor spans, 30 characters or more that a fifth of a prompt's "
        "generations have at one place of their alignment, the picture is the same: aligned models "
        "pass through them all along, base models hardly."
    ),
    reads=("anchor_coverage", "prompts", "checkpoints"),
    query=Path(__file__).with_suffix(".sql"),
    draw=_draw,
    measures=("anchor_coverage",),
    grows_with_samples=True,
)
