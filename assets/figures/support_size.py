"""Figure 4: how many tokens are not ruled out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import altair as alt

from assets.drawing import style
from assets.drawing.figure import Figure, FigureData
from assets.measures.sentences import Number

_WRITTEN = ("human text", "its own", "its own, greedy")


def _draw(data: FigureData, width: int) -> Any:
    shown = data.with_rows
    x = alt.X(
        "written:N",
        title="predicting",
        sort=list(_WRITTEN),
        axis=alt.Axis(labelAngle=0, labelLimit=width / 2),
    )
    beside = alt.XOffset("checkpoint:N", sort=[s.checkpoint for s in shown])
    y = alt.Y("value:Q", title=data.measures["support"].title, axis=alt.Axis(format="~s"))
    chart = alt.Chart(style.data(data.rows))
    bars = chart.mark_bar().encode(
        x=x,
        xOffset=beside,
        y=y,
        color=style.colours(data, width, field="checkpoint", only=shown),
        tooltip=[
            alt.Tooltip("checkpoint:N"),
            alt.Tooltip("written:N", title="predicting"),
            alt.Tooltip("value:Q", format=",.0f"),
            alt.Tooltip("low:Q", format=",.0f", title="95% from"),
            alt.Tooltip("high:Q", format=",.0f", title="to"),
            alt.Tooltip("n_items:Q", title="documents or prompts"),
        ],
    )
    rules = chart.mark_rule(color="#222").encode(
        x=x, xOffset=beside, y=alt.Y("low:Q"), y2=alt.Y2("high:Q")
    )
    numbers = chart.mark_text(dy=-7, fontSize=11, color="#222").encode(
        x=x, xOffset=beside, y=alt.Y("high:Q"), text=alt.Text("value:Q", format=",.0f")
    )
    fit = alt.AutoSizeParams(type="fit-x", contains="padding")
    return style.finish(
        alt.layer(bars, rules, numbers).properties(width=width, height=260, autosize=fit)
    )


def _findings(data: FigureData) -> list[str]:
    rows = {(row["checkpoint"], row["written"]): row for row in data.rows}
    sentences = []
    for shown in data.with_rows:
        own, human = (rows.get((shown.checkpoint, text)) for text in ("its own", "human text"))
        if own and human:
            texts = [Number.of(row).text("count") for row in (own, human)]
            sentences.append(
                f"{shown.checkpoint} leaves {texts[0]} tokens possible where it predicts its own "
                f"text, and {texts[1]} on human text."
            )
    return sentences


FIGURE = Figure(
    name="support_size",
    place=4,
    title="How many tokens are not ruled out",
    paper="figure 4",
    claim=(
        "Predicting their own text, aligned models leave far fewer tokens a probability over 1e-8 "
        "than base models do; on human text they leave slightly more."
    ),
    reads=("summary", "checkpoints"),
    query=Path(__file__).with_suffix(".sql"),
    draw=_draw,
    measures=("support",),
    findings=_findings,
)
