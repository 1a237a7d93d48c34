"""Beyond the paper: phrases that recur across different prompts, more than the base has them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import altair as alt

from assets.drawing import style
from assets.drawing.figure import Figure, FigureData
from assets.drawing.texts import small_share
from assets.drawing.walk import Page, Walk

_SHOWN = 20


_COLUMNS = {
    "phrases": ["phrase", "n_prompts", "share", "other_share", "log_odds", "low", "high"],
    "shares": ["phrase", "written_by", "share"],
}
_WRITERS = {"the checkpoint": "#c2410c", "its base": "#6b7280"}


def _draw(data: FigureData, width: int) -> Any:
    """What all pages are drawn by."""
    wide = width > style.NARROW
    left = 200 if wide else 150
    panel_width = (width - left - 60) / 2 if wide else width - left - 30
    labels = alt.Axis(labelLimit=left - 12, minExtent=left, maxExtent=left, grid=True)
    y = alt.Y("phrase:N", title=None, sort=None, axis=labels)
    tooltip = [
        alt.Tooltip("phrase:N"),
        alt.Tooltip("n_prompts:Q", title="prompts"),
        alt.Tooltip("share:Q", format=".1%", title="generations"),
        alt.Tooltip("other_share:Q", format=".1%", title="the base's"),
        alt.Tooltip("log_odds:Q", format=".2f", title="log-odds"),
        alt.Tooltip("low:Q", format=".2f", title="95% from"),
        alt.Tooltip("high:Q", format=".2f", title="to"),
    ]
    chart = alt.Chart(alt.NamedData("phrases")).encode(y=y, tooltip=tooltip)
    odds = alt.layer(
        chart.mark_rule(color="#222").encode(x=alt.X("low:Q"), x2=alt.X2("high:Q")),
        chart.mark_point(color=_WRITERS["the checkpoint"], filled=True, opacity=1, size=50).encode(
            x=alt.X(
                "log_odds:Q",
                title="log-odds against the base",
                scale=alt.Scale(zero=True),
                axis=alt.Axis(tickCount=4, titleAnchor="start"),
            )
        ),
    ).properties(width=panel_width, height=alt.Step(20))
    shares = (
        alt.Chart(alt.NamedData("shares"))
        .mark_point(filled=True, opacity=1, size=50)
        .encode(
            x=alt.X(
                "share:Q",
                title="generations that hold it",
                scale=alt.Scale(zero=True),
                axis=alt.Axis(format="~%", tickCount=3, titleAnchor="start"),
            ),
            y=alt.Y("phrase:N", title=None, sort=None, axis=None if wide else labels),
            color=alt.Color(
                "written_by:N",
                title=None,
                scale=alt.Scale(domain=[*_WRITERS], range=[*_WRITERS.values()]),
                legend=alt.Legend(orient="top", columns=2),
            ),
            tooltip=[
                alt.Tooltip("written_by:N", title="generations of"),
                alt.Tooltip("phrase:N"),
                alt.Tooltip("share:Q", format=".1%"),
            ],
        )
        .properties(width=panel_width, height=alt.Step(20))
    )
    return style.finish(
        alt.hconcat(odds, shares, spacing=20) if wide else alt.vconcat(odds, shares, spacing=14)
    )


def told_apart(rows: list[dict[str, Any]], most: int = _SHOWN) -> list[dict[str, Any]]:
    """The first phrases, but those that share two words in a row with one before."""
    kept: list[dict[str, Any]] = []
    taken: set[tuple[str, str]] = set()
    for row in rows:
        pairs = {*pairwise(row["phrase"].split())}
        if not pairs & taken and len(kept) < most:
            kept.append(row)
            taken |= pairs
    return kept


def _pages(data: FigureData) -> Walk:
    """A page for each checkpoint."""
    pages = []
    for shown in data.with_rows:
        rows = told_apart(_phrases(data, shown.checkpoint))
        if not rows:
            continue
        phrases = [[row[column] for column in _COLUMNS["phrases"]] for row in rows]
        shares = [
            [row["phrase"], writer, share]
            for row in rows
            for writer, share in zip(_WRITERS, (row["share"], row["other_share"]), strict=True)
        ]
        rows_by_dataset = {"phrases": phrases, "shares": shares}
        pages.append(Page.of_any_size(shown.label, shown.checkpoint, rows_by_dataset))
    return Walk(_COLUMNS, pages)


def _phrases(data: FigureData, checkpoint: str) -> list[dict[str, Any]]:
    return [row for row in data.rows if row["checkpoint"] == checkpoint and row["phrase"]]


def _findings(data: FigureData) -> list[str]:
    sentences = []
    for shown in data.with_rows:
        first = next(row for row in data.rows if row["checkpoint"] == shown.checkpoint)
        listed = f"Of {first['n_listed']:,} phrases that recur across the prompts of {shown.label}"
        if not first["n_phrases"]:
            sentences.append(f"{listed} none is surely more frequent than in {first['other']}.")
            continue
        sentences.append(
            f"{listed} {first['n_phrases']:,} are surely more frequent than in {first['other']}. "
            f"The surest, “{first['phrase']}”, is in {small_share(first['share'])} of its "
            f"generations, of {first['n_prompts']} prompts, and in "
            f"{small_share(first['other_share'])} of the base's."
        )
    if any(row["phrase"] for row in data.rows):
        sentences.append(
            "Sure is what has p < 0.05 after Holm's adjustment over all phrases that recur. Of "
            "phrases that share two words in a row the surest is drawn."
        )
    return sentences


FIGURE = Figure(
    name="stock_phrases",
    place=35,
    title="Stock phrases: what recurs across prompts, against the base",
    claim=(
        "Aligned models have turns of phrase that they use whatever they are asked. Phrases of a "
        "few words that generations of different prompts hold are ordered by how far they stand "
        "out against the base: log-odds with an informative Dirichlet prior (Monroe et al., 2008)."
    ),
    reads=("stock_phrases", "checkpoints"),
    query=Path(__file__).with_suffix(".sql"),
    draw=_draw,
    findings=_findings,
    pages=_pages,
    applies=lambda study: any(checkpoint.base for checkpoint in study.checkpoints),
)
