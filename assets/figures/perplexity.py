"""Figure 2A: how much worse aligned models predict human text than their base."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from assets.drawing.by_corpus import draw_changes, table
from assets.drawing.figure import Figure, FigureData, Grid


def _draw(data: FigureData, width: int) -> Any:
    return draw_changes([row for row in data.rows if row["what"] == "change"], data, width)


def _table(data: FigureData) -> Grid:
    return table(data, "documents")


FIGURE = Figure(
    name="perplexity",
    place=1,
    title="How well human text is predicted",
    paper="figure 2A",
    claim=(
        "Models adapted to act predict text worse than the base models that they were made from, "
        "on every corpus: the web, papers, news that neither has seen, and also instructions and "
        "chats, which are like what they were tuned on."
    ),
    reads=("summary", "comparisons", "documents", "checkpoints"),
    optional=("documents",),
    query=Path(__file__).with_suffix(".sql"),
    draw=_draw,
    measures=("perplexity", "bits_per_byte"),
    table=_table,
)
