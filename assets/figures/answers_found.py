"""Rarefaction: how many different answers so many samples give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import altair as alt

from assets.drawing import style
from assets.drawing.figure import Figure, FigureData


def _draw(data: FigureData, width: int) -> Any:
    largest = max(row["k"] for row in data.rows)
    x = alt.X(
        "k:Q",
        title="generations of a prompt",
        scale=alt.Scale(domain=[0, largest], nice=False),
        axis=alt.Axis(tickCount=5, grid=False, format="d"),
    )
    y = alt.Y(
        "value:Q",
        title="different answers among them",
        scale=alt.Scale(domainMin=0),
        axis=alt.Axis(tickCount=5),
    )
    colour = style.colours(data, width, only=data.with_rows)
    chart = alt.Chart(style.data(data.rows))
    bands = chart.mark_area(opacity=0.2).encode(x=x, y="low:Q", y2="high:Q", color=colour)
    lines = chart.mark_line(strokeWidth=2, point=alt.OverlayMarkDef(size=36)).encode(
        x=x,
        y=y,
        color=colour,
        tooltip=[
            alt.Tooltip("label:N", title="checkpoint"),
            alt.Tooltip("k:Q", title="generations"),
            alt.Tooltip("value:Q", format=".2f", title="different answers"),
            alt.Tooltip("low:Q", format=".2f", title="95% from"),
            alt.Tooltip("high:Q", format=".2f", title="to"),
            alt.Tooltip("n_items:Q", title="prompts"),
        ],
    )
    most = max(row["high"] for row in data.rows)
    ends = [{"k": 0, "value": 0}, {"k": min(most, largest), "value": min(most, largest)}]
    all_differ = (
        alt.Chart(style.data(ends))
        .mark_line(color="#888", strokeDash=[4, 3], strokeWidth=1)
        .encode(x=x, y=y)
    )
    return style.finish(
        alt.layer(all_differ, bands, lines).properties(width=width - 50, height=260)
    )


FIGURE = Figure(
    name="answers_found",
    place=64,
    title="How many different answers more samples give",
    claim=(
        "Of more generations of a prompt more different answers are to be had, until they repeat. "
        "The dashed line is where every generation is another answer; the sooner a curve leaves "
        "it and the flatter it becomes, the fewer answers there are to find by sampling on."
    ),
    reads=("summary", "checkpoints"),
    query=Path(__file__).with_suffix(".sql"),
    draw=_draw,
    measures=("answers_found", "distinct_answers", "largest_answer"),
    applies=lambda study: study.embedder is not None,
    grows_with_samples=True,
)
