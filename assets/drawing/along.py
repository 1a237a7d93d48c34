"""Curves along an alignment: means over prompts in hundredths of its kept columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np

from assets.drawing import style
from assets.measures.statistics import mean_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from assets.drawing.figure import FigureCheckpoint, FigureData

_BINS = 100
_SIGMA = 2.0
"""Bins; the standard deviation that curves are smoothed with, as the paper does."""


def smooth(curves: np.ndarray, sigma: float = _SIGMA) -> np.ndarray:
    """Convolves with a Gaussian; beyond its ends a curve is its mirror image.

    Args:
        curves: float [..., points].
        sigma: The Gaussian's standard deviation, in points.

    Returns:
        float [..., points].
    """
    reach = min(int(4 * sigma + 0.5), curves.shape[-1])
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    padding = [(0, 0)] * (curves.ndim - 1) + [(reach, reach)]
    padded = np.pad(curves, padding, mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=-1)
    smoothed: np.ndarray = windows @ (weights / weights.sum())
    return smoothed


def curves_of(data: FigureData, shown: FigureCheckpoint, value: str) -> dict[str, np.ndarray]:
    """For each prompt's text a checkpoint's curve, float [100]."""
    curves: dict[str, np.ndarray] = {}
    for row in data.rows:
        if row["checkpoint"] == shown.checkpoint:
            curves.setdefault(row["prompt"], np.zeros(_BINS))[row["bin"]] = row[value]
    return curves


def _points(label: str, curves: np.ndarray) -> Iterator[dict[str, Any]]:
    """The mean of curves, float [n, 100], at each of their places, with its interval."""
    mean = mean_of(smooth(curves))
    for place in range(_BINS):
        yield {
            "label": label,
            "along": (place + 0.5) / _BINS,
            "value": float(mean.value[place]),
            "low": float(mean.low[place]),
            "high": float(mean.high[place]),
            "n": len(curves),
        }


def draw(data: FigureData, width: int, panels: Mapping[str, str]) -> Any:
    """Draws curves with their intervals, a panel beside or below another.

    Args:
        data: A row for each prompt and bin.
        width: In pixels.
        panels: Titles of columns of shares.
    """
    beside = len(panels) > 1 and width > style.NARROW
    inner = (width - 110) // 2 if beside else width - 50
    charts = []
    for value, title in panels.items():
        points = [
            point
            for shown in data.with_rows
            for point in _points(shown.label, np.array([*curves_of(data, shown, value).values()]))
        ]
        chart = alt.Chart(style.data(points))
        x = alt.X(
            "along:Q",
            title="place in the alignment",
            scale=alt.Scale(domain=[0, 1], nice=False),
            axis=alt.Axis(format="%", tickCount=5, grid=False),
        )
        # Where all is 0, a scale of its own would have no other number.
        is_flat = not any(point["high"] for point in points)
        scale = alt.Scale(domain=[0, 1]) if is_flat else alt.Undefined
        y = alt.Y("value:Q", title=None, axis=alt.Axis(format="%", tickCount=5), scale=scale)
        colour = style.colours(data, width, only=data.with_rows)
        band = chart.mark_area(opacity=0.2).encode(
            x=x, y=alt.Y("low:Q", title=None), y2=alt.Y2("high:Q"), color=colour
        )
        line = chart.mark_line(strokeWidth=2).encode(
            x=x,
            y=y,
            color=colour,
            tooltip=[
                alt.Tooltip("label:N", title="checkpoint"),
                alt.Tooltip("along:Q", format=".0%", title="place"),
                alt.Tooltip("value:Q", format=".1%"),
                alt.Tooltip("low:Q", format=".1%", title="95% from"),
                alt.Tooltip("high:Q", format=".1%", title="to"),
                alt.Tooltip("n:Q", title="prompts"),
            ],
        )
        panel = alt.layer(band, line).properties(width=inner, height=220)
        charts.append(panel.properties(title=style.heading(title)))
    if not beside:
        return style.finish(alt.vconcat(*charts))
    return style.finish(alt.hconcat(*charts, bounds="flush", spacing=56))
