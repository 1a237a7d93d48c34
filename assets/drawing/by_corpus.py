"""How well corpora are predicted: dots with intervals, under the headings of their categories."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np

from assets.drawing import style
from assets.measures.intervals import Interval, bootstrap_sums

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from assets.drawing.figure import FigureCheckpoint, FigureData

_ROW, _GAP, _HEADING = 20, 8, 24
"""Pixels of a checkpoint's dot, after a corpus, and of a category's heading."""
_BETWEEN = 30
"""Pixels between panels that stand beside each other."""


@dataclass(frozen=True)
class Measure:
    """How well text is predicted, in what checkpoints can be compared by.

    Attributes:
        title: Its name.
        per: The column that the log-likelihood is divided by.
        number_format: How its numbers are written.
        statistic: From sums of (nll, `per`), [..., 2], to its values, [...].
    """

    title: str
    per: str
    number_format: str
    statistic: Callable[[np.ndarray], np.ndarray]


def measure(data: FigureData) -> Measure:
    """Perplexity of tokens where all checkpoints share a tokenizer, and bits per byte else."""
    if data.unit == "token":
        return Measure(
            "perplexity per token",
            "n_tokens",
            ".3~r",
            lambda sums: np.exp(sums[..., 0] / sums[..., 1]),
        )
    return Measure(
        "bits per byte",
        "n_bytes",
        ".2f",
        lambda sums: sums[..., 0] / (sums[..., 1] * math.log(2)),
    )


def sums_by_item(
    data: FigureData, per: str
) -> dict[tuple[str, str, str], dict[str, tuple[float, float]]]:
    """For each checkpoint, category and corpus, nll and `per` of each document or prompt."""
    sums: dict[tuple[str, str, str], dict[str, tuple[float, float]]] = {}
    for row in data.rows:
        key = row["checkpoint"], row["category"], row["corpus"]
        if row[per]:  # an empty text has no bytes to divide by
            sums.setdefault(key, {})[row["item"]] = row["nll"], row[per]
    return sums


def values_by_corpus(data: FigureData) -> dict[tuple[str, str, str], Interval]:
    """For each checkpoint, category and corpus the measure over all its documents or prompts."""
    chosen = measure(data)
    return {
        key: bootstrap_sums(np.array(list(items.values())), chosen.statistic)
        for key, items in sums_by_item(data, chosen.per).items()
    }


@dataclass(frozen=True)
class Change:
    """How an aligned model's measure differs from its base's on one corpus.

    Attributes:
        aligned: The aligned model.
        base: Its base.
        category: The corpus's category.
        corpus: The corpus.
        ours: The aligned model's value.
        theirs: The base's.
        change: ours / theirs - 1, over the documents or prompts that both have.
    """

    aligned: FigureCheckpoint
    base: FigureCheckpoint
    category: str
    corpus: str
    ours: Interval
    theirs: Interval
    change: Interval


def changes(data: FigureData) -> Iterator[Change]:
    """Each pair's change on each corpus."""
    chosen = measure(data)
    sums = sums_by_item(data, chosen.per)

    def relative(values: np.ndarray) -> np.ndarray:
        changed: np.ndarray = (
            chosen.statistic(values[..., :2]) / chosen.statistic(values[..., 2:]) - 1
        )
        return changed

    for aligned, base in data.pairs:
        for (checkpoint, category, corpus), ours in sums.items():
            theirs = sums.get((base.checkpoint, category, corpus), {})
            common = sorted(set(ours) & set(theirs))
            if checkpoint != aligned.checkpoint or not common:
                continue
            values = np.array([(*ours[item], *theirs[item]) for item in common])
            yield Change(
                aligned=aligned,
                base=base,
                category=category,
                corpus=corpus,
                ours=bootstrap_sums(values[:, :2], chosen.statistic),
                theirs=bootstrap_sums(values[:, 2:], chosen.statistic),
                change=bootstrap_sums(values, relative),
            )


def point(category: str, corpus: str, shown: FigureCheckpoint, value: Interval) -> dict[str, Any]:
    """A row of what `draw_by_corpus` draws."""
    names = {"checkpoint": shown.checkpoint, "label": shown.label}
    return {"category": category, "corpus": corpus} | names | asdict(value)


def draw_changes(points: list[dict[str, Any]], data: FigureData, width: int) -> Any:
    """Draws changes from the base, each a row of `point`, as `draw_by_corpus` does."""
    if not points:
        return style.note("No checkpoint of the study and its base predict the same text.", width)
    return draw_by_corpus(
        points,
        data,
        title=f"{measure(data).title}, change from the base",
        axis_format="+.0%",
        number_format="+.1%",
        shown=[aligned for aligned, _ in data.pairs],
        field="checkpoint",
        width=width,
        zero_is_marked=True,
    )


def draw_by_corpus(
    points: list[dict[str, Any]],
    data: FigureData,
    *,
    title: str,
    axis_format: str,
    number_format: str,
    shown: list[FigureCheckpoint],
    field: str,
    width: int,
    zero_is_marked: bool = False,
) -> Any:
    """Draws points, each a row of `point`.

    Args:
        points: What is drawn. Those with a `panel` are drawn in panels of that title, beside or
            below one another.
        data: What it comes from.
        title: The axis's title.
        axis_format: How its numbers are written.
        number_format: How a point's number is written beside it.
        shown: The checkpoints, in the order in which a corpus's dots stand.
        field: What they are called: `label`, or `checkpoint` for their names alone.
        width: The figure's width in pixels.
        zero_is_marked: Whether a line stands at 0.
    """
    # The perplexity of a model that diverged may be beyond a double.
    points = [one for one in points if math.isfinite(one["mean"] + one["low"] + one["high"])]
    if not points:
        return style.note("What there is to show here is beyond all numbers.", width)
    colour = style.colours(data, width, field=field, only=shown)
    wide = width > style.NARROW
    left = 130 if wide else 92
    by_panel: dict[str, list[dict[str, Any]]] = {}
    for one in points:
        by_panel.setdefault(one.get("panel", ""), []).append(one)
    beside = len(by_panel) if wide else 1
    low = min(float(point["low"]) for point in points)
    high = max(float(point["high"]) for point in points)
    if zero_is_marked:
        low, high = min(low, 0.0), max(high, 0.0)
    room = (high - low or abs(high) or 1.0) * (0.1 * beside if wide else 0.24)
    scale = alt.Scale(domain=[low - room / 3, high + room], nice=False, zero=False)
    axis = alt.Axis(format=axis_format, tickCount=5, titleAnchor="start", domain=False)
    x = alt.X("mean:Q", title=title, scale=scale, axis=axis)
    panels = []
    for number, (heading, own) in enumerate(by_panel.items()):
        placed, headings, names, height = _place(own, [s.checkpoint for s in shown])
        y = alt.Y("y:Q", scale=alt.Scale(domain=[height, 0], nice=False), axis=None)
        dots = alt.Chart(style.data(placed))
        layers = [
            dots.mark_rule(strokeWidth=2.5).encode(
                x=alt.X("low:Q", scale=scale), x2=alt.X2("high:Q"), y=y, color=colour
            ),
            dots.mark_point(filled=True, size=80, opacity=1).encode(
                x=x,
                y=y,
                color=colour,
                tooltip=[
                    alt.Tooltip("corpus:N"),
                    alt.Tooltip(f"{field}:N", title="checkpoint"),
                    alt.Tooltip("mean:Q", format=number_format),
                    alt.Tooltip("low:Q", format=number_format, title="95% from"),
                    alt.Tooltip("high:Q", format=number_format, title="to"),
                    alt.Tooltip("n:Q", title="documents or prompts"),
                ],
            ),
            dots.mark_text(align="left", dx=6, fontSize=11, color="#222").encode(
                x=alt.X("high:Q", scale=scale), y=y, text=alt.Text("mean:Q", format=number_format)
            ),
        ]
        if number == 0 or not wide:  # panels beside the first have its rows
            layers += [
                alt.Chart(style.data(headings))
                .mark_text(align="left", fontSize=12, fontWeight="bold", color="#222")
                .encode(x=alt.value(-left + 4), y=y, text="text:N"),
                alt.Chart(style.data(names))
                .mark_text(align="right", fontSize=12, color="#222", limit=left - 14)
                .encode(x=alt.value(-8), y=y, text="text:N"),
            ]
        if zero_is_marked:
            origin = dots.mark_rule(color="#555", strokeDash=[4, 3]).encode(x=alt.datum(0.0))
            layers.insert(0, origin)
        inner = (width - left - 14 - _BETWEEN * (beside - 1)) / beside
        panel = alt.layer(*layers).properties(width=inner, height=height)
        if heading:
            panel = panel.properties(title=style.heading(heading))
        panels.append(panel)
    if len(panels) == 1:
        return style.finish(panels[0])
    if wide:
        return style.finish(alt.hconcat(*panels, bounds="flush", spacing=_BETWEEN))
    return style.finish(alt.vconcat(*panels, bounds="flush", spacing=70))


def _place(
    points: list[dict[str, Any]], checkpoints: list[str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]], int]:
    """Where everything stands, in pixels from the top.

    Returns:
        The points with their `y`; `text` and `y` of the categories' headings and of the corpora's
        names; the height of it all.
    """
    placed: list[dict[str, Any]] = []
    headings: list[dict[str, Any]] = []
    names: list[dict[str, Any]] = []
    top = 0
    by_category: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for one in points:
        by_category.setdefault(one["category"], {}).setdefault(one["corpus"], []).append(one)
    for category, corpora in by_category.items():
        headings.append({"text": category, "y": top + _HEADING / 2})
        top += _HEADING
        for corpus, own in corpora.items():
            names.append({"text": corpus, "y": top + _ROW * len(own) / 2})
            own.sort(key=lambda one: checkpoints.index(one["checkpoint"]))
            placed += [one | {"y": top + _ROW * (i + 0.5)} for i, one in enumerate(own)]
            top += _ROW * len(own) + _GAP
    return placed, headings, names, top
