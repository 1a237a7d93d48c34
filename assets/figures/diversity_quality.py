"""Semantic diversity against the scores that the study brings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import altair as alt

from assets.drawing import style
from assets.drawing.figure import Figure, FigureData

if TYPE_CHECKING:
    from collections.abc import Iterator


def _draw(data: FigureData, width: int) -> Any:
    x = alt.X("score:Q", title="mean score", scale=alt.Scale(zero=False, padding=14))
    y = alt.Y("diversity:Q", title="semantic diversity", scale=alt.Scale(zero=False, padding=14))
    chart = alt.Chart(style.data(data.rows))
    colour = style.colours(data, width, only=data.with_rows)
    across = chart.mark_rule(strokeWidth=2).encode(
        x=alt.X("score_low:Q"), x2="score_high:Q", y=y, color=colour
    )
    along = chart.mark_rule(strokeWidth=2).encode(
        x=x, y=alt.Y("diversity_low:Q"), y2="diversity_high:Q", color=colour
    )
    points = chart.mark_point(filled=True, size=90, opacity=1).encode(
        x=x,
        y=y,
        color=colour,
        tooltip=[
            alt.Tooltip("label:N", title="checkpoint"),
            alt.Tooltip("score:Q", format=".3f"),
            alt.Tooltip("score_low:Q", format=".3f", title="95% from"),
            alt.Tooltip("score_high:Q", format=".3f", title="to"),
            alt.Tooltip("diversity:Q", format=".3f"),
            alt.Tooltip("diversity_low:Q", format=".3f", title="95% from"),
            alt.Tooltip("diversity_high:Q", format=".3f", title="to"),
            alt.Tooltip("n_items:Q", title="prompts"),
        ],
    )
    steps = (
        alt.Chart(style.data(list(_steps(data))))
        .mark_rule(color="#999", strokeDash=[4, 3])
        .encode(x=x, y=y, x2="to_score:Q", y2="to_diversity:Q")
    )
    return style.finish(
        alt.layer(steps, across, along, points).properties(width=width - 60, height=280)
    )


def _steps(data: FigureData) -> Iterator[dict[str, float]]:
    """From each checkpoint of a ladder to the next, and from other bases to what has them."""
    rows = {row["checkpoint"]: row for row in data.rows}
    by_rung = {(shown.ladder, shown.rung): shown.checkpoint for shown in data.checkpoints}
    for shown in data.with_rows:
        before = shown.base
        if shown.ladder is not None and shown.rung:
            before = by_rung.get((shown.ladder, shown.rung - 1), before)
        if before in rows:
            start, end = rows[before], rows[shown.checkpoint]
            yield {
                **{name: start[name] for name in ("score", "diversity")},
                **{f"to_{name}": end[name] for name in ("score", "diversity")},
            }


FIGURE = Figure(
    name="diversity_quality",
    place=66,
    title="Diversity against quality",
    claim=(
        "A model whose generations are more alike may have lost range, or only wrong answers: "
        "diversity is to be read beside quality. Dashed lines lead from each stage of "
        "post-training to the next."
    ),
    reads=("summary", "checkpoints"),
    query=Path(__file__).with_suffix(".sql"),
    draw=_draw,
    measures=("semantic_diversity", "mean_score", "coverage_at_k"),
    applies=lambda study: study.embedder is not None and study.scores is not None,
)
