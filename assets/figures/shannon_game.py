"""Table 1: how well models guess the last words of passages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import altair as alt

from assets.drawing import style
from assets.drawing.figure import Figure, FigureData, Grid
from assets.measures.sentences import Number

_PANELS = {
    "shannon_exact": ("first guess is right", ".0%"),
    "shannon_f1": ("F1 of the greedy guess", ".0%"),
    "shannon_guesses": ("wrong guesses on average", ",.0f"),
}


def _draw(data: FigureData, width: int) -> Any:
    shown = data.with_rows
    colour = style.colours(data, width, field="checkpoint", only=shown)
    wide = width > style.NARROW
    panel_width = width / 3 - 34 if wide else width - 40
    panels = [_panel(data, measure, panel_width, colour) for measure in _PANELS]
    return style.finish(
        alt.hconcat(*panels, spacing=26) if wide else alt.vconcat(*panels, spacing=14)
    )


def _panel(data: FigureData, measure: str, width: float, colour: alt.Color) -> Any:
    title, number = _PANELS[measure]
    points = [row for row in data.rows if row["measure"] == measure]
    y = alt.Y("checkpoint:N", title=None, sort=None, axis=None)
    x = alt.X(
        "value:Q", title=title, axis=alt.Axis(format=number, tickCount=3, titleAnchor="start")
    )
    chart = alt.Chart(style.data(points))
    bars = chart.mark_bar().encode(
        x=x,
        y=y,
        color=colour,
        tooltip=[
            alt.Tooltip("checkpoint:N"),
            alt.Tooltip("value:Q", format=number),
            alt.Tooltip("low:Q", format=number, title="95% from"),
            alt.Tooltip("high:Q", format=number, title="to"),
            alt.Tooltip("n_items:Q", title="passages"),
        ],
    )
    rules = chart.mark_rule(color="#222").encode(x=alt.X("low:Q"), x2=alt.X2("high:Q"), y=y)
    return alt.layer(bars, rules).properties(width=width, height=alt.Step(26))


def _table(data: FigureData) -> Grid:
    rows = []
    for shown in data.with_rows:
        values = {r["measure"]: r for r in data.rows if r["checkpoint"] == shown.checkpoint}
        texts = {
            name: Number.of(row).text(data.measures[name].format) for name, row in values.items()
        }
        first = next(iter(values.values()))
        rows.append(
            [
                shown.checkpoint,
                *(texts.get(f"shannon_{name}", "–") for name in ("exact", "f1", "guesses")),
                f"{first['median']:g}",
                texts.get("shannon_perplexity", "–"),
                f"{first['n_items']}",
            ]
        )
    return Grid(["checkpoint", "exact", "F1", "guesses", "median", "perplexity", "passages"], rows)


FIGURE = Figure(
    name="shannon_game",
    place=6,
    title="The Shannon game: guessing a passage's last word",
    paper="table 1",
    claim=(
        "Aligned models are not only less sure of the right word, they also rank more wrong ones "
        "above it: Llama 2 7B finds 68% of LAMBADA's last words at once and its chat version 57%, "
        "with 7.6 and 10.0 wrong guesses on average."
    ),
    reads=("summary", "shannon_game", "checkpoints"),
    query=Path(__file__).with_suffix(".sql"),
    draw=_draw,
    measures=("shannon_exact", "shannon_f1", "shannon_guesses", "shannon_perplexity"),
    table=_table,
)
