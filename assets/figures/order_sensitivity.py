"""Beyond the paper: how often what a model chooses changes with the order of the options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from assets.drawing.figure import Figure, FigureData, Grid
from assets.figures.choice_confidence import KINDS, draw_conditions
from assets.measures.sentences import Number

_PANELS = {"questions whose choice changes": "order_sensitivity"}


def _draw(data: FigureData, width: int) -> Any:
    return draw_conditions(data, width, _PANELS)


def _table(data: FigureData) -> Grid:
    rows = {(row["checkpoint"], row["condition"]): row for row in data.rows}
    shown_kinds = {c: kind for c, kind in KINDS.items() if any(key[1] == c for key in rows)}

    def cell(checkpoint: str, condition: str) -> str:
        row = rows.get((checkpoint, condition))
        return Number.of(row).text("share") if row else "–"

    return Grid(
        ["checkpoint", *shown_kinds.values()],
        [
            [shown.name, *(cell(shown.checkpoint, condition) for condition in shown_kinds)]
            for shown in data.with_rows
        ],
    )


FIGURE = Figure(
    name="order_sensitivity",
    place=76,
    title="How often a choice changes with the order of the options",
    claim=(
        "A model that chooses by what options say chooses the same in whatever order they stand. "
        "One that goes by their letters or places does not."
    ),
    reads=("summary", "checkpoints"),
    query=Path(__file__).with_suffix(".sql"),
    draw=_draw,
    measures=("order_sensitivity",),
    table=_table,
)
