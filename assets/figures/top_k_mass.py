"""Figures 3 and 16: how much probability the most likely tokens hold."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import altair as alt

from assets.drawing import style
from assets.drawing.figure import Figure, FigureData
from assets.measures.sentences import Number

_WRITTEN = {"human text": [1, 0], "its own": [6, 3], "its own, greedy": [2, 2]}
"""Who wrote the text, and how its line is dashed."""
_TEXTS = {
    "human text": "human text",
    "its own": "its own text",
    "its own, greedy": "its own greedy text",
}


def _draw(data: FigureData, width: int) -> Any:
    points = [row | {"line": f"{row['checkpoint']}, {row['written']}"} for row in data.rows]
    present = [written for written in _WRITTEN if any(p["written"] == written for p in points)]
    x = alt.X(
        "k:Q",
        title="k most likely tokens",
        scale=alt.Scale(type="log", domain=[1, max(2, *(p["k"] for p in points))], nice=False),
        axis=alt.Axis(values=[1, 2, 5, 10, 20, 50, 100, 1000], format="d", grid=False),
    )
    lowest = min(float(str(point["low"])) for point in points)
    scale = alt.Scale(domain=[math.floor(10 * lowest) / 10, 1], zero=False)
    y = alt.Y(
        "value:Q",
        title="their probability together",
        scale=scale,
        axis=alt.Axis(format="%", tickCount=6),
    )
    colour = style.colours(data, width, field="checkpoint", only=data.with_rows)
    chart = alt.Chart(style.data(points))
    bands = chart.mark_area(opacity=0.15).encode(
        x=x, y=alt.Y("low:Q", scale=scale), y2=alt.Y2("high:Q"), color=colour, detail="line:N"
    )
    lines = chart.mark_line(strokeWidth=2.2).encode(
        x=x,
        y=y,
        color=colour,
        detail="line:N",
        strokeDash=alt.StrokeDash(
            "written:N",
            title="predicting",
            scale=alt.Scale(domain=present, range=[_WRITTEN[name] for name in present]),
            legend=alt.Legend(
                orient="top",
                direction="horizontal" if width > style.NARROW else "vertical",
                symbolType="stroke",
                symbolStrokeColor="#333",
                symbolStrokeWidth=2.2,
                symbolSize=700,
                titleFontWeight="normal",
            ),
        ),
    )
    dots = chart.mark_point(filled=True, size=26, opacity=1).encode(
        x=x,
        y=y,
        color=colour,
        tooltip=[
            alt.Tooltip("checkpoint:N"),
            alt.Tooltip("written:N", title="predicting"),
            alt.Tooltip("k:Q"),
            alt.Tooltip("value:Q", format=".1%"),
            alt.Tooltip("low:Q", format=".1%", title="95% from"),
            alt.Tooltip("high:Q", format=".1%", title="to"),
            alt.Tooltip("n_items:Q", title="documents or prompts"),
        ],
    )
    fit = alt.AutoSizeParams(type="fit-x", contains="padding")
    return style.finish(
        alt.layer(bands, lines, dots).properties(width=width, height=300, autosize=fit)
    )


def _findings(data: FigureData) -> list[str]:
    first = {(row["checkpoint"], row["written"]): row for row in data.rows if row["k"] == 1}
    sentences = []
    for shown in data.with_rows:
        texts = [
            f"{Number.of(row).text('share')} on {_TEXTS[written]}"
            for written in _WRITTEN
            if (row := first.get((shown.checkpoint, written)))
        ]
        sentences.append(f"{shown.checkpoint} gives the most likely token {'; '.join(texts)}.")
    return sentences


FIGURE = Figure(
    name="top_k_mass",
    place=3,
    title="How much probability the most likely tokens hold",
    paper="figures 3 and 16",
    claim=(
        "When an aligned model predicts its own text, the most likely token alone has nearly 90% "
        "of the probability; on human text, and for base models on either, it stays below 70%."
    ),
    reads=("summary", "checkpoints"),
    query=Path(__file__).with_suffix(".sql"),
    draw=_draw,
    measures=("top_k_mass",),
    findings=_findings,
)
