"""Beyond the paper: whether a sentence that a text has had comes the more easily again."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

from assets.drawing import by_position
from assets.drawing.figure import Figure, FigureData
from assets.measures.sentences import Number

_DASHES = {"its own text": [1, 0], "its own text, greedy": [6, 3]}


def _draw(data: FigureData, width: int) -> Any:
    panel = by_position.panel(
        data.rows,
        data,
        width,
        inner=by_position.inner_width(1, width),
        heading="probability of a sentence's tokens",
        number=".0%",
        shown=data.with_rows,
        dashes=_DASHES,
        along="times that the text has the sentence",
    )
    return by_position.together([panel], width)


def _findings(data: FigureData) -> list[str]:
    sentences = []
    for (label, kind), curve in groupby(data.rows, lambda row: (row["label"], row["kind"])):
        first, *later = list(curve)
        if later:
            last = later[-1]
            text = "greedy text" if kind.endswith("greedy") else "text"
            sentences.append(
                f"Of sentences that repeat in a {text} of {label}, the tokens have a probability "
                f"of {Number.of(first).text('share')} the first time, and of "
                f"{Number.of(last).text('share')} at time {last['position']} "
                f"({last['n_items']:,} prompt{'s' * (last['n_items'] != 1)})."
            )
    return sentences


FIGURE = Figure(
    name="self_reinforcement",
    place=37,
    title="Whether a sentence comes the more easily, the more often it has come",
    claim=(
        "Models raise the probability of a sentence each time that they repeat it, which keeps "
        "them in loops (Xu et al., 2022). Shown is the mean probability of the tokens of sentences "
        "that a text has more than once, at the first time, the second, and so on; a later time is "
        "of fewer sentences, those that repeat most."
    ),
    reads=("summary", "checkpoints"),
    query=Path(__file__).with_suffix(".sql"),
    draw=_draw,
    measures=("self_reinforcement",),
    findings=_findings,
)
