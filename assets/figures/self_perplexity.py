"""Figure 5: how well models predict what they wrote themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from assets.drawing.by_corpus import draw_by_corpus, number_format, title
from assets.drawing.figure import Figure, FigureData


def _draw(data: FigureData, width: int) -> Any:
    return draw_by_corpus(
        data.rows,
        data,
        heading=f"{title(data)} of a model's own text",
        axis_format="~g",
        number_format=number_format(data),
        shown=data.with_rows,
        field="label",
        width=width,
    )


FIGURE = Figure(
    name="self_perplexity",
    place=5,
    title="How well models predict their own text",
    paper="figure 5",
    claim=(
        "Asked to continue the beginnings of texts, aligned models write what they find easy to "
        "predict: their perplexity on their own continuations is far lower than a base model's on "
        "its own."
    ),
    reads=("summary", "documents", "checkpoints"),
    optional=("documents",),
    query=Path(__file__).with_suffix(".sql"),
    draw=_draw,
    measures=("self_perplexity", "self_bits_per_byte"),
)
