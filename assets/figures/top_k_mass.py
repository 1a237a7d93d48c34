"""Figures 3 and 16: how much probability the most likely tokens hold."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np

from assets.drawing import style
from assets.drawing.figure import Figure, FigureCheckpoint, FigureData
from assets.measures.intervals import bootstrap, bootstrap_curve, bootstrap_difference
from models.distributions import K_GRID

_WRITTEN = {"human text": [1, 0], "its own": [6, 3], "its own, greedy": [2, 2]}
"""Who wrote the text, and how its line is dashed."""


def _masses(
    data: FigureData, shown: FigureCheckpoint, written: str
) -> dict[tuple[str, str], np.ndarray]:
    """For each corpus and document or prompt the mass at each k, mean over its tokens.

    It is no number at those k beyond what a server tells of.
    """
    sums: dict[tuple[str, str], np.ndarray] = {}
    n_tokens: dict[tuple[str, str], int] = {}
    for row in data.rows:
        if row["checkpoint"] == shown.checkpoint and row["written"] == written:
            key = row["corpus"], row["item"]
            sums[key] = sums.get(key, 0.0) + row["n_tokens"] * np.array(row["mass"], float)
            n_tokens[key] = n_tokens.get(key, 0) + row["n_tokens"]
    return {key: total / n_tokens[key] for key, total in sums.items()}


def _draw(data: FigureData, width: int) -> Any:
    points = []
    for shown in data.checkpoints:
        for written in _WRITTEN:
            masses = _masses(data, shown, written)
            if not masses:
                continue
            line = {
                "checkpoint": shown.checkpoint,
                "written": written,
                "line": f"{shown.checkpoint}, {written}",
            }
            curve = bootstrap_curve(np.stack(list(masses.values())))
            points += [
                line | {"k": k} | asdict(at)
                for k, at in zip(K_GRID, curve, strict=True)
                if at.is_finite
            ]
    present = [written for written in _WRITTEN if any(p["written"] == written for p in points)]
    x = alt.X(
        "k:Q",
        title="k most likely tokens",
        scale=alt.Scale(type="log", domain=[1, 100], nice=False),
        axis=alt.Axis(values=[1, 2, 5, 10, 20, 50, 100], format="d", grid=False),
    )
    lowest = min(float(str(point["low"])) for point in points)
    scale = alt.Scale(domain=[math.floor(10 * lowest) / 10, 1], zero=False)
    y = alt.Y(
        "mean:Q",
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
            alt.Tooltip("mean:Q", format=".1%"),
            alt.Tooltip("low:Q", format=".1%", title="95% from"),
            alt.Tooltip("high:Q", format=".1%", title="to"),
            alt.Tooltip("n:Q", title="documents or prompts"),
        ],
    )
    fit = alt.AutoSizeParams(type="fit-x", contains="padding")
    return style.finish(
        alt.layer(bands, lines, dots).properties(width=width, height=300, autosize=fit)
    )


def _first(masses: dict[tuple[str, str], np.ndarray]) -> np.ndarray:
    return np.array([mass[0] for mass in masses.values()])


def _text(written: str) -> str:
    """Such as `its own greedy text`."""
    return written if written == "human text" else f"{written.replace(',', '')} text"


def _findings(data: FigureData) -> list[str]:
    sentences = []
    for shown in data.with_rows:
        human = _masses(data, shown, "human text")
        for written in list(_WRITTEN)[1:]:
            masses = _masses(data, shown, written)
            if human and masses:
                gap = bootstrap_difference(_first(masses), _first(human))
                sentences.append(
                    f"The most likely token has {bootstrap(_first(masses)).percent()} of the "
                    f"probability where {shown.checkpoint} predicts {_text(written)}, and "
                    f"{bootstrap(_first(human)).percent()} on human text ({gap.points()})."
                )
    for aligned, base in data.pairs:
        for written in _WRITTEN:
            ours, theirs = (_masses(data, checkpoint, written) for checkpoint in (aligned, base))
            common = sorted(set(ours) & set(theirs))
            if not common:
                continue
            gap = bootstrap([ours[item][0] - theirs[item][0] for item in common])
            verdict = gap.verdict(
                "more concentrated",
                "less concentrated",
                "not clearly more or less concentrated",
            )
            text = _text(written).replace("its", "their")
            sentences.append(
                f"On {text} {aligned.checkpoint} is {verdict} than {base.checkpoint} "
                f"({gap.points()} for the most likely token, over {gap.n} documents or prompts)."
            )
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
    reads=("text_statistics", "checkpoints"),
    query=Path(__file__).with_suffix(".sql"),
    draw=_draw,
    findings=_findings,
)
