"""Figure 4: how many tokens are not ruled out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import altair as alt
import numpy as np

from assets.drawing import style
from assets.drawing.figure import Figure, FigureCheckpoint, FigureData
from assets.measures.intervals import bootstrap, bootstrap_difference, summarise

_WRITTEN = ("human text", "its own", "its own, greedy")


def _draw(data: FigureData, width: int) -> Any:
    points = summarise(data.rows, by=["checkpoint", "written"], value="support")
    shown = data.with_rows
    x = alt.X(
        "written:N",
        title="predicting",
        sort=list(_WRITTEN),
        axis=alt.Axis(labelAngle=0, labelLimit=width / 2),
    )
    beside = alt.XOffset("checkpoint:N", sort=[s.checkpoint for s in shown])
    y = alt.Y("mean:Q", title="tokens with a probability over 1e-8", axis=alt.Axis(format="~s"))
    chart = alt.Chart(style.data(points))
    bars = chart.mark_bar().encode(
        x=x,
        xOffset=beside,
        y=y,
        color=style.colours(data, width, field="checkpoint", only=shown),
        tooltip=[
            alt.Tooltip("checkpoint:N"),
            alt.Tooltip("written:N", title="predicting"),
            alt.Tooltip("mean:Q", format=",.0f"),
            alt.Tooltip("low:Q", format=",.0f", title="95% from"),
            alt.Tooltip("high:Q", format=",.0f", title="to"),
            alt.Tooltip("prompts:Q", title="documents or prompts"),
        ],
    )
    rules = chart.mark_rule(color="#222").encode(
        x=x, xOffset=beside, y=alt.Y("low:Q"), y2=alt.Y2("high:Q")
    )
    numbers = chart.mark_text(dy=-7, fontSize=11, color="#222").encode(
        x=x, xOffset=beside, y=alt.Y("high:Q"), text=alt.Text("mean:Q", format=",.0f")
    )
    fit = alt.AutoSizeParams(type="fit-x", contains="padding")
    return style.finish(
        alt.layer(bars, rules, numbers).properties(width=width, height=260, autosize=fit)
    )


def _supports(data: FigureData, shown: FigureCheckpoint, written: str) -> np.ndarray:
    return np.array(
        [
            row["support"]
            for row in data.rows
            if row["checkpoint"] == shown.checkpoint and row["written"] == written
        ]
    )


def _findings(data: FigureData) -> list[str]:
    sentences = []
    for shown in data.checkpoints:
        own, human = (_supports(data, shown, written) for written in ("its own", "human text"))
        if len(own) and len(human):
            gap = bootstrap_difference(own, human)
            verdict = gap.verdict("more", "fewer", "not clearly fewer or more")
            sentences.append(
                f"{shown.checkpoint} leaves {bootstrap(own).number()} tokens possible where it "
                f"predicts its own text, {verdict} than on human text "
                f"({bootstrap(human).number()})."
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
    reads=("text_statistics", "checkpoints"),
    query=Path(__file__).with_suffix(".sql"),
    draw=_draw,
    findings=_findings,
)
