"""Figure 7B: how many generations 10-grams are spread over."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import altair as alt

from assets.drawing import style
from assets.drawing.figure import Figure, FigureData

_SHORT = "datum.value < 1000 ? format(datum.value, '~g') : format(datum.value / 1000, '~g') + 'k'"
"""Labels of an axis that goes from parts of one to many thousands."""


def _draw(data: FigureData, width: int) -> Any:
    n = data.thresholds.ngram_spread_length
    prompts = max((row["n_items"] for row in data.rows), default=1)
    floor = 10.0 ** math.floor(math.log10(1 / prompts))
    bars = [
        row
        | {
            "share": row["twentieth"] / 20,
            "from_share": (row["twentieth"] - 0.9) / 20,
            "low": max(row["low"], floor),
            "floor": floor,
        }
        for row in data.rows
        if row["value"] > 0
    ]
    x = alt.X(
        "from_share:Q",
        title=f"share of a prompt's generations that hold the {n}-gram",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format="%", tickCount=5, grid=False),
    )
    y = alt.Y(
        "value:Q",
        title=f"{n}-grams per prompt",
        scale=alt.Scale(type="log", domainMin=floor),
        axis=alt.Axis(tickCount=4, labelExpr=_SHORT),
    )
    chart = alt.Chart()
    marks = chart.mark_bar().encode(
        x=x,
        x2=alt.X2("share:Q"),
        y=y,
        y2=alt.Y2("floor:Q"),
        color=style.colours(data, width).legend(None),
        tooltip=[
            alt.Tooltip("label:N", title="checkpoint"),
            alt.Tooltip("share:Q", format=".0%", title="held by up to"),
            alt.Tooltip("value:Q", format=".3~g", title=f"{n}-grams per prompt"),
            alt.Tooltip("low:Q", format=".3~g", title="95% from"),
            alt.Tooltip("high:Q", format=".3~g", title="to"),
        ],
    )
    rules = (
        chart.transform_calculate(middle="datum.share - 0.0275")
        .mark_rule(color="#222")
        .encode(x=alt.X("middle:Q"), y=alt.Y("low:Q"), y2=alt.Y2("high:Q"))
    )
    facets = alt.layer(marks, rules, data=style.data(bars)).properties(width=width - 76, height=110)
    return style.finish(
        facets.facet(
            row=alt.Row(
                "label:N",
                title=None,
                sort=style.labels(data),
                header=alt.Header(labelOrient="top", labelAnchor="start", labelLimit=width - 80),
            ),
            spacing=14,
        )
    )


FIGURE = Figure(
    name="ngram_spread",
    place=20,
    title="How many generations n-grams are spread over",
    paper="figure 7B",
    claim=(
        "Counting how many generations each 10-gram appears in, on a logarithmic scale: an aligned "
        "model's 10-grams reach far to the right, into nearly all generations of a prompt; a base "
        "model's stay on the left."
    ),
    reads=("summary", "checkpoints"),
    query=Path(__file__).with_suffix(".sql"),
    draw=_draw,
    measures=("ngram_spread", "majority_ngrams"),
    grows_with_samples=True,
)
