"""Table 1: how well models guess the last words of passages."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np

from assets.drawing import style
from assets.drawing.figure import Figure, FigureCheckpoint, FigureData, Grid
from assets.measures.intervals import Interval, bootstrap, bootstrap_sums

_MEASURES = {
    "exact": ("first guess is right", ".0%"),
    "f1": ("F1 of the greedy guess", ".0%"),
    "guesses": ("wrong guesses on average", ",.0f"),
}


def _values(data: FigureData, shown: FigureCheckpoint, measure: str) -> dict[str, float]:
    return {
        row["passage_id"]: float(row[measure])
        for row in data.rows
        if row["checkpoint"] == shown.checkpoint
    }


def _draw(data: FigureData, width: int) -> Any:
    shown = data.with_rows
    colour = style.colours(data, width, field="checkpoint", only=shown)
    wide = width > style.NARROW
    panel_width = width / 3 - 34 if wide else width - 40
    panels = [_panel(data, shown, measure, panel_width, colour) for measure in _MEASURES]
    return style.finish(
        alt.hconcat(*panels, spacing=26) if wide else alt.vconcat(*panels, spacing=14)
    )


def _panel(
    data: FigureData, shown: list[FigureCheckpoint], measure: str, width: float, colour: alt.Color
) -> Any:
    title, number = _MEASURES[measure]
    points = [
        {"checkpoint": one.checkpoint}
        | asdict(bootstrap(list(_values(data, one, measure).values())))
        for one in shown
    ]
    y = alt.Y("checkpoint:N", title=None, sort=None, axis=None)
    x = alt.X("mean:Q", title=title, axis=alt.Axis(format=number, tickCount=3, titleAnchor="start"))
    chart = alt.Chart(style.data(points))
    bars = chart.mark_bar().encode(
        x=x,
        y=y,
        color=colour,
        tooltip=[
            alt.Tooltip("checkpoint:N"),
            alt.Tooltip("mean:Q", format=number),
            alt.Tooltip("low:Q", format=number, title="95% from"),
            alt.Tooltip("high:Q", format=number, title="to"),
            alt.Tooltip("n:Q", title="passages"),
        ],
    )
    rules = chart.mark_rule(color="#222").encode(x=alt.X("low:Q"), x2=alt.X2("high:Q"), y=y)
    return alt.layer(bars, rules).properties(width=width, height=alt.Step(26))


def _perplexity(logprobs: list[float]) -> Interval:
    values = np.array([(-logprob, 1.0) for logprob in logprobs])
    return bootstrap_sums(values, lambda sums: np.exp(sums[..., 0] / sums[..., 1]))


def _table(data: FigureData) -> Grid:
    rows = []
    for shown in data.with_rows:
        values = {m: list(_values(data, shown, m).values()) for m in (*_MEASURES, "logprob")}
        rows.append(
            [
                shown.checkpoint,
                bootstrap(values["exact"]).percent(),
                bootstrap(values["f1"]).percent(),
                bootstrap(values["guesses"]).number(),
                f"{np.median(values['guesses']):g}",
                _perplexity(values["logprob"]).number(),
                f"{len(values['exact'])}",
            ]
        )
    return Grid(["checkpoint", "exact", "F1", "guesses", "median", "perplexity", "passages"], rows)


def _findings(data: FigureData) -> list[str]:
    sentences = []
    for aligned, base in data.pairs:
        ours, theirs = (_values(data, checkpoint, "exact") for checkpoint in (aligned, base))
        common = sorted(set(ours) & set(theirs))
        if not common:
            continue
        gap = bootstrap([ours[passage] - theirs[passage] for passage in common])
        verdict = gap.verdict("more often than", "less often than", "about as often as")
        sentences.append(
            f"{aligned.checkpoint} guesses the last word right at once {verdict} "
            f"{base.checkpoint} ({gap.points()}, over {gap.n} passages)."
        )
    return sentences


FIGURE = Figure(
    name="shannon_game",
    place=6,
    title="The Shannon game: guessing a passage's last word",
    paper="table 1",
    claim=(
        "Aligned models are not only less sure of the right word, they also rank more wrong ones "
        "above it: Llama 2 7B finds 68% of LAMBADA's last words at once and its chat version 57%, "
        "with 7.6 and 10.0 wrong guesses on average."
    ),
    reads=("shannon_guesses", "checkpoints"),
    query=Path(__file__).with_suffix(".sql"),
    draw=_draw,
    findings=_findings,
    table=_table,
)
