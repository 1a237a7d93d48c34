"""A reliability diagram: how often the likeliest token comes, by how likely it is taken to be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import altair as alt

from assets.drawing import style
from assets.drawing.figure import Figure, FigureData
from assets.measures.sentences import Number

_BINS = 15
_SHARE_HEIGHT = 70


def _draw(data: FigureData, width: int) -> Any:
    shown = data.with_rows
    names = [one.checkpoint for one in shown]
    points = []
    for row in data.rows:
        if row["bin"]:
            # Side by side within their bin, so that bars do not cover each other.
            place = (names.index(row["checkpoint"]) + 0.5) / len(names)
            left = (row["bin"] - 1 + 0.1) / _BINS
            points.append(row | {"left": left + 0.8 * place / _BINS})
    inner = width - 60
    ends = alt.Scale(domain=[0, 1], nice=False)
    percent = alt.Axis(format="%", tickCount=5, grid=False)
    x = alt.X("confidence:Q", title="probability of the likeliest token", scale=ends, axis=percent)
    y = alt.Y(
        "value:Q",
        title="how often it came",
        scale=ends,
        axis=alt.Axis(format="%", tickCount=5),
    )
    colour = style.colours(data, width, field="checkpoint", only=shown)
    chart = alt.Chart(style.data(points))
    diagonal = (
        alt.Chart(style.data([{"confidence": 0, "value": 0}, {"confidence": 1, "value": 1}]))
        .mark_line(color="#888", strokeDash=[4, 4], strokeWidth=1.2)
        .encode(x=x, y=y)
    )
    lines = chart.mark_line(strokeWidth=2).encode(x=x, y=y, color=colour)
    rules = chart.mark_rule(strokeWidth=1.6).encode(
        x=x, y=alt.Y("low:Q", scale=ends), y2="high:Q", color=colour
    )
    dots = chart.mark_point(filled=True, size=40, opacity=1).encode(
        x=x,
        y=y,
        color=colour,
        tooltip=[
            alt.Tooltip("checkpoint:N"),
            alt.Tooltip("confidence:Q", format=".1%", title="probability"),
            alt.Tooltip("value:Q", format=".1%", title="came"),
            alt.Tooltip("low:Q", format=".1%", title="95% from"),
            alt.Tooltip("high:Q", format=".1%", title="to"),
            alt.Tooltip("share:Q", format=".1%", title="of the tokens"),
            alt.Tooltip("n_tokens:Q", format=",", title="tokens"),
        ],
    )
    diagram = alt.layer(diagonal, lines, rules, dots).properties(width=inner, height=300)
    bars = (
        chart.mark_bar(size=max(1, 0.7 * inner / _BINS / len(shown)))
        .encode(
            x=alt.X(
                "left:Q",
                title=None,
                scale=ends,
                axis=alt.Axis(labels=False, ticks=False, grid=False),
            ),
            y=alt.Y("share:Q", title="tokens", axis=alt.Axis(format="%", tickCount=3)),
            color=colour,
        )
        .properties(width=inner, height=_SHARE_HEIGHT)
    )
    return style.finish(alt.vconcat(diagram, bars, spacing=12))


def _findings(data: FigureData) -> list[str]:
    return [
        f"The expected calibration error of {row['checkpoint']} is {Number.of(row).text('signed')} "
        f"over {row['n_items']:,} documents."
        for row in data.rows
        if row["bin"] == 0
    ]


FIGURE = Figure(
    name="calibration",
    place=9,
    title="How well models know how sure they may be",
    claim=(
        "On human text, a calibrated model's likeliest token comes as often as its probability "
        "says; below the diagonal a model is surer than it may be. Pretraining calibrates, and "
        "alignment is known to undo some of it. Dots are means over corpora, in 15 equal bins."
    ),
    reads=("summary", "calibration", "checkpoints"),
    query=Path(__file__).with_suffix(".sql"),
    draw=_draw,
    measures=("calibration_error",),
    findings=_findings,
)
