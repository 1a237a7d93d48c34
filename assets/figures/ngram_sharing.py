"""Figure 7A: how many generations hold their prompt's most common n-gram."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import altair as alt

from assets.drawing import style
from assets.drawing.figure import Figure, FigureData


def _draw(data: FigureData, width: int) -> Any:
    x = alt.X("n:O", title=f"n-gram length ({data.unit}s)", axis=alt.Axis(labelAngle=0))
    beside = alt.XOffset("label:N", sort=style.labels(data))
    y = alt.Y(
        "value:Q",
        title="generations that hold the most common n-gram",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format="%", tickCount=5),
    )
    chart = alt.Chart(style.data(data.rows))
    bars = chart.mark_bar().encode(
        x=x,
        xOffset=beside,
        y=y,
        color=style.colours(data, width),
        tooltip=[
            alt.Tooltip("label:N", title="checkpoint"),
            alt.Tooltip("n:O"),
            alt.Tooltip("value:Q", format=".1%"),
            alt.Tooltip("low:Q", format=".1%", title="95% from"),
            alt.Tooltip("high:Q", format=".1%", title="to"),
            alt.Tooltip("floor:Q", format=".1%", title="where none is shared"),
            alt.Tooltip("n_items:Q", title="prompts"),
        ],
    )
    rules = chart.mark_rule(color="#222").encode(
        x=x, xOffset=beside, y=alt.Y("low:Q"), y2=alt.Y2("high:Q")
    )
    floors = chart.mark_tick(color="#222", thickness=1.5, orient="horizontal").encode(
        x=x, xOffset=beside, y=alt.Y("floor:Q")
    )
    numbers = chart.mark_text(dy=-7, fontSize=11, color="#222").encode(
        x=x, xOffset=beside, y=alt.Y("high:Q"), text=alt.Text("value:Q", format=".0%")
    )
    fit = alt.AutoSizeParams(type="fit-x", contains="padding")
    return style.finish(
        alt.layer(bars, floors, rules, numbers).properties(width=width, height=280, autosize=fit)
    )


def _findings(data: FigureData) -> list[str]:
    floors = {round(100 * row["floor"]) for row in data.rows}
    if not floors:
        return []
    least, most = min(floors), max(floors)
    text = f"{least}%" if least == most else f"{least} to {most}%"
    return [
        f"The short line across a bar is the least that it can be: {text}, which is one generation "
        "of a prompt."
    ]


FIGURE = Figure(
    name="ngram_sharing",
    place=10,
    title="How many generations share an n-gram",
    paper="figure 7A",
    claim=(
        "Sampled independently, an aligned model's answers to a prompt repeat each other: on "
        "average its most common 10-gram appears in about 60% of them, nearly twice as many as "
        "for the base "
        "model at like diversity, and a 25-gram, about a sentence, in a quarter."
    ),
    reads=("summary", "checkpoints"),
    query=Path(__file__).with_suffix(".sql"),
    draw=_draw,
    measures=("ngram_sharing",),
    findings=_findings,
    grows_with_samples=True,
)
