"""How many ways a model sees to go on, by position, and how its entropy differs from its base's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from assets.drawing import by_position
from assets.drawing.figure import Figure, FigureData
from assets.measures.sentences import Number

_DASHES = {"its own text": [1, 0], "human text": [6, 3]}


def _draw(data: FigureData, width: int) -> Any:
    parts = {
        what: [row for row in data.rows if row["what"] == what and row["position"] > 0]
        for what in ("value", "change")
    }
    inner = by_position.inner_width(sum(map(bool, parts.values())), width)
    panels = []
    if parts["value"]:
        panels.append(
            by_position.panel(
                parts["value"],
                data,
                width,
                inner=inner,
                heading="branching factor of its own text",
                number="~g",
                shown=data.with_rows,
                logarithmic=True,
            )
        )
    if parts["change"]:
        panels.append(
            by_position.panel(
                parts["change"],
                data,
                width,
                inner=inner,
                heading="entropy less its base's, in bits",
                number="+.1f",
                shown=data.with_rows,
                dashes=_DASHES,
                rule=0,
            )
        )
    return by_position.together(panels, width)


def _findings(data: FigureData) -> list[str]:
    by_checkpoint: dict[str, dict[int, dict[str, Any]]] = {}
    for row in data.rows:
        if row["what"] == "value" and row["position"] > 0:
            by_checkpoint.setdefault(row["label"], {})[row["position"]] = row
    sentences = []
    for label, rows in by_checkpoint.items():
        first, last = (Number.of(rows[position]) for position in (min(rows), max(rows)))
        sentences.append(
            f"The branching factor of {label} is {first.text('perplexity')} at the first token, "
            f"and {last.text('perplexity')} from token {max(rows):,} on."
        )
    return sentences


FIGURE = Figure(
    name="branching_factor",
    place=8,
    title="How many ways a text may go on, by position",
    claim=(
        "The branching factor (Yang and Holtzman, 2025) is the exponential of the mean entropy of "
        "the next token: how many equally likely tokens there would be. Alignment lowers it, most "
        "at the first tokens, and it falls as a text goes on."
    ),
    reads=("summary", "comparisons", "checkpoints"),
    query=Path(__file__).with_suffix(".sql"),
    draw=_draw,
    measures=("branching_factor", "entropy"),
    findings=_findings,
)
