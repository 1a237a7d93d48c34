"""How well corpora are predicted: dots with intervals, under the headings of their categories."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import altair as alt

from assets.drawing import style
from assets.drawing.figure import Grid
from assets.measures.sentences import Number, relative

if TYPE_CHECKING:
    from assets.drawing.figure import FigureCheckpoint, FigureData

_ROW, _GAP, _HEADING = 20, 8, 24
"""Pixels of a checkpoint's dot, after a corpus, and of a category's heading."""
_BETWEEN = 30
"""Pixels between panels that stand beside each other."""


def title(data: FigureData) -> str:
    """What predictions are measured in: perplexity where all checkpoints share a tokenizer."""
    return "perplexity per token" if data.unit == "token" else "bits per byte"


def number_format(data: FigureData) -> str:
    """How charts write the numbers that `title` names."""
    return ".3~r" if data.unit == "token" else ".2f"


def kind(data: FigureData) -> str:
    """The format of the measure that `title` names."""
    return "perplexity" if data.unit == "token" else "bits"


def table(data: FigureData, items: str) -> Grid:
    """Each corpus's values and changes from the base.

    Args:
        data: Rows with category, corpus, checkpoint, what (value or change), and n.
        items: What they are over.
    """
    changes = {
        (row["corpus"], row["checkpoint"]): row for row in data.rows if row["what"] == "change"
    }
    rows = []
    for row in data.rows:
        if row["what"] == "value":
            changed = changes.get((row["corpus"], row["checkpoint"]))
            value = Number.of(row).text(kind(data))
            cells = [row["category"], row["corpus"], row["checkpoint"], value]
            rows.append([*cells, relative(Number.of(changed)) if changed else "–", f"{row['n']}"])
    heads = ["category", "corpus", "checkpoint", title(data), "change from the base", items]
    return Grid(heads, sorted(rows))


def draw_changes(points: list[dict[str, Any]], data: FigureData, width: int) -> Any:
    """Draws changes from the base as `draw_by_corpus` does."""
    if not points:
        return style.note("No checkpoint of the study and its base predict the same text.", width)
    return draw_by_corpus(
        points,
        data,
        heading=f"{title(data)}, change from the base",
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
    heading: str,
    axis_format: str,
    number_format: str,
    shown: list[FigureCheckpoint],
    field: str,
    width: int,
    zero_is_marked: bool = False,
) -> Any:
    """Draws values with their intervals, by category and corpus.

    Args:
        points: Rows with category, corpus, checkpoint, label, value, low, high and n. Those with a
            `panel` are drawn in panels of that title, beside or below one another.
        data: What it comes from.
        heading: The axis's title.
        axis_format: How its numbers are written.
        number_format: How a point's number is written beside it.
        shown: The checkpoints, in the order in which a corpus's dots stand.
        field: What they are called: `label`, or `checkpoint` for their names alone.
        width: The figure's width in pixels.
        zero_is_marked: Whether a line stands at 0.
    """
    # The perplexity of a model that diverged may be beyond a double.
    points = [one for one in points if math.isfinite(one["value"] + one["low"] + one["high"])]
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
    x = alt.X("value:Q", title=heading, scale=scale, axis=axis)
    panels = []
    for number, (panel_heading, own) in enumerate(by_panel.items()):
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
                    alt.Tooltip("value:Q", format=number_format),
                    alt.Tooltip("low:Q", format=number_format, title="95% from"),
                    alt.Tooltip("high:Q", format=number_format, title="to"),
                    alt.Tooltip("n:Q", title="documents or prompts"),
                ],
            ),
            dots.mark_text(align="left", dx=6, fontSize=11, color="#222").encode(
                x=alt.X("high:Q", scale=scale), y=y, text=alt.Text("value:Q", format=number_format)
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
        if panel_heading:
            panel = panel.properties(title=style.heading(panel_heading))
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
