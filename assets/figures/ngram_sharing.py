"""Figure 7A: how many generations hold their prompt's most common n-gram."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import altair as alt

from assets.drawing import style
from assets.drawing.figure import Figure, FigureData
from assets.measures.intervals import bootstrap, summarise


def _draw(data: FigureData, width: int) -> Any:
    points = summarise(data.rows, by=["label", "n"], value="share")
    x = alt.X("n:O", title=f"n-gram length ({data.unit}s)", axis=alt.Axis(labelAngle=0))
    beside = alt.XOffset("label:N", sort=style.labels(data))
    y = alt.Y(
        "mean:Q",
        title="generations that hold the most common n-gram",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format="%", tickCount=5),
    )
    chart = alt.Chart(style.data(points))
    bars = chart.mark_bar().encode(
        x=x,
        xOffset=beside,
        y=y,
        color=style.colours(data, width),
        tooltip=[
            alt.Tooltip("label:N", title="checkpoint"),
            alt.Tooltip("n:O"),
            alt.Tooltip("mean:Q", format=".1%"),
            alt.Tooltip("low:Q", format=".1%", title="95% from"),
            alt.Tooltip("high:Q", format=".1%", title="to"),
            alt.Tooltip("prompts:Q"),
        ],
    )
    rules = chart.mark_rule(color="#222").encode(
        x=x, xOffset=beside, y=alt.Y("low:Q"), y2=alt.Y2("high:Q")
    )
    numbers = chart.mark_text(dy=-7, fontSize=11, color="#222").encode(
        x=x, xOffset=beside, y=alt.Y("high:Q"), text=alt.Text("mean:Q", format=".0%")
    )
    fit = alt.AutoSizeParams(type="fit-x", contains="padding")
    return style.finish(
        alt.layer(bars, rules, numbers).properties(width=width, height=280, autosize=fit)
    )


def _findings(data: FigureData) -> list[str]:
    sentences = []
    for aligned, base in data.pairs:
        shares = {
            shown.checkpoint: {
                (row["prompt"], row["n"]): row["share"]
                for row in data.rows
                if row["checkpoint"] == shown.checkpoint
            }
            for shown in (aligned, base)
        }
        mine, theirs = shares[aligned.checkpoint], shares[base.checkpoint]
        common = sorted(key for key in mine if key in theirs and key[1] == 10)
        if not common:
            continue
        ours = bootstrap([mine[key] for key in common])
        others = bootstrap([theirs[key] for key in common])
        gap = bootstrap([mine[key] - theirs[key] for key in common])
        verdict = gap.verdict("more for the aligned checkpoint", "fewer for the aligned checkpoint")
        sentences.append(
            f"The most common 10-gram stands in {ours.percent()} of the generations of "
            f"{aligned.label}, and in {others.percent()} of those of {base.label}: {verdict} "
            f"({gap.points()}, over {gap.n} prompts)."
        )
    return sentences


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
    reads=("ngram_sharing", "prompts", "checkpoints"),
    query=Path(__file__).with_suffix(".sql"),
    draw=_draw,
    findings=_findings,
)
