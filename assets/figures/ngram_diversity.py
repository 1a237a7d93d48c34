"""Table 4: how diverse generations are, by the nucleus's mass."""

from __future__ import annotations

import itertools
from dataclasses import asdict
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np

from assets.drawing import style
from assets.drawing.figure import Figure, FigureCheckpoint, FigureData
from assets.measures.sentences import Number
from assets.measures.statistics import mean_of

_MATCHED_AT = 3
"""Length of the n-grams whose diversity is quoted and matched in words."""


def _draw(data: FigureData, width: int) -> Any:
    points = _points(data)
    columns = 3 if width > style.NARROW else 2
    x = alt.X(
        "top_p:Q",
        title="top_p",
        scale=alt.Scale(zero=False, nice=False, padding=8),
        axis=alt.Axis(values=sorted({point["top_p"] for point in points}), format=".1f"),
    )
    y = alt.Y(
        "value:Q",
        title="different n-grams",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format="%", tickCount=5),
    )
    colour = style.colours(data, width, field="checkpoint")
    chart = alt.Chart()
    bands = chart.mark_area(opacity=0.2).encode(
        x=x, y=alt.Y("low:Q"), y2=alt.Y2("high:Q"), color=colour
    )
    lines = chart.mark_line(point=alt.OverlayMarkDef(size=30)).encode(
        x=x,
        y=y,
        color=colour,
        tooltip=[
            alt.Tooltip("checkpoint:N"),
            alt.Tooltip("n:O"),
            alt.Tooltip("top_p:Q"),
            alt.Tooltip("value:Q", format=".1%"),
            alt.Tooltip("low:Q", format=".1%", title="95% from"),
            alt.Tooltip("high:Q", format=".1%", title="to"),
            alt.Tooltip("prompts:Q"),
        ],
    )
    panels = alt.layer(bands, lines, data=style.data(points)).properties(
        width=(width - 60) / columns - 22, height=130
    )
    return style.finish(
        panels.facet(
            facet=alt.Facet(
                "n:O",
                title=None,
                header=alt.Header(labelExpr=f"datum.value + '-grams ({data.unit}s)'"),
            ),
            columns=columns,
            spacing=16,
        )
    )


def _points(data: FigureData) -> list[dict[str, Any]]:
    """The diversity of each checkpoint at each n and top_p, over prompts."""
    groups: dict[tuple[str, int, float], list[float]] = {}
    for row in data.rows:
        key = row["checkpoint"], row["n"], row["top_p"]
        groups.setdefault(key, []).append(row["diversity"])
    points = []
    for (checkpoint, n, top_p), values in groups.items():
        number = _mean(values)
        point = {"checkpoint": checkpoint, "n": n, "top_p": top_p, "prompts": len(values)}
        points.append(point | asdict(number))
    return points


def _mean(values: list[float]) -> Number:
    mean = mean_of(np.array(values)[:, None])
    return Number(float(mean.value[0]), float(mean.low[0]), float(mean.high[0]))


def _findings(data: FigureData) -> list[str]:
    sentences = []
    for aligned, base in data.pairs:
        target = _diversity(data, aligned).get(_top_p(aligned))
        curve = _diversity(data, base)
        if target is None or not curve:
            continue
        goal = _mean(target)
        matched = matched_top_p({p: float(np.mean(v)) for p, v in curve.items()}, goal.value)
        where = (
            f"{base.checkpoint} is as diverse at top_p = {matched:.2f}"
            if matched is not None
            else f"{base.checkpoint} is that diverse at no top_p "
            f"from {min(curve):g} to {max(curve):g}"
        )
        sentences.append(
            f"{goal.text('share')} of the {_MATCHED_AT}-grams of {aligned.label} are different "
            f"ones ({len(target)} prompts); {where}."
        )
    return sentences


def matched_top_p(curve: dict[float, float], diversity: float) -> float | None:
    """The top_p at which a checkpoint is so diverse, interpolated between those sampled.

    Args:
        curve: Diversity at each top_p.
        diversity: The diversity to match.

    Returns:
        The lowest such top_p; None where the curve does not reach it.
    """
    points = sorted(curve.items())
    for (p, low), (q, high) in itertools.pairwise(points):
        if min(low, high) <= diversity <= max(low, high):
            return p if low == high else p + (q - p) * (diversity - low) / (high - low)
    return points[0][0] if len(points) == 1 and points[0][1] == diversity else None


def _top_p(shown: FigureCheckpoint) -> float:
    name, _, value = shown.decoding.partition("=")
    return float(value) if name == "top_p" and "," not in value else float("nan")


def _diversity(data: FigureData, shown: FigureCheckpoint) -> dict[float, list[float]]:
    diversities: dict[float, list[float]] = {}
    for row in data.rows:
        if row["checkpoint"] == shown.checkpoint and row["n"] == _MATCHED_AT:
            diversities.setdefault(row["top_p"], []).append(row["diversity"])
    return diversities


FIGURE = Figure(
    name="ngram_diversity",
    place=30,
    title="How diverse generations are, by top_p",
    paper="table 4",
    claim=(
        "A base model sampled with top_p = 0.7 repeats n-grams about as much as its aligned "
        "partner does with 0.9; the more of the distribution is sampled, the further the two "
        "come apart. The "
        "paper compares models at such matched values, so that sharing is not mere repetition."
    ),
    reads=("ngram_diversity", "checkpoints"),
    query=Path(__file__).with_suffix(".sql"),
    draw=_draw,
    findings=_findings,
    applies=lambda study: any(not c.source.is_generations for c in study.checkpoints),
    grows_with_samples=True,
)
