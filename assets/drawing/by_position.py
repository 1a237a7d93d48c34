"""Curves over positions in a text, in logarithmic buckets, or over times, with their intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt

from assets.drawing import style

if TYPE_CHECKING:
    from collections.abc import Mapping

    from assets.drawing.figure import FigureCheckpoint, FigureData

_HEIGHT = 240
_TITLE = "position in the text, in tokens"


def panel(
    rows: list[dict[str, Any]],
    data: FigureData,
    width: int,
    *,
    inner: int,
    heading: str,
    number: str,
    shown: list[FigureCheckpoint],
    dashes: Mapping[str, list[int]] | None = None,
    rule: float | None = None,
    logarithmic: bool = False,
    along: str = _TITLE,
) -> Any:
    """One panel: a line with its band for each checkpoint, and for each kind of value.

    Args:
        rows: Rows with checkpoint, position, value, low, high and n_items, and kind where there are
            dashes.
        data: What is shown.
        width: The figure's width in pixels.
        inner: The panel's.
        heading: What stands above it.
        number: D3's format of its numbers.
        shown: The checkpoints of the legend.
        dashes: How the line of each kind of value is dashed.
        rule: Where a line goes across.
        logarithmic: Whether values are on a logarithmic scale, too.
        along: What is counted from left to right.
    """
    kinds = [kind for kind in dashes or {} if any(row["kind"] == kind for row in rows)]
    points = [row | {"line": f"{row['checkpoint']}, {row.get('kind')}"} for row in rows]
    positions = sorted({row["position"] for row in rows})
    x = alt.X(
        "position:Q",
        title=along,
        scale=alt.Scale(
            type="log", base=2, domain=[positions[0], max(2, positions[-1])], nice=False
        ),
        axis=alt.Axis(values=positions, format="d", grid=False, labelOverlap=True),
    )
    scale = alt.Scale(
        type="log" if logarithmic else "linear", zero=not logarithmic, nice=not logarithmic
    )
    axis = alt.Axis(format=number, tickCount=6)
    y = alt.Y("value:Q", title=None, scale=scale, axis=axis)
    colour = style.colours(data, width, field="checkpoint", only=shown)
    chart = alt.Chart(style.data(points))
    bands = chart.mark_area(opacity=0.16).encode(
        x=x, y=alt.Y("low:Q", title=None, scale=scale), y2="high:Q", color=colour, detail="line:N"
    )
    marks: dict[str, Any] = {"x": x, "y": y, "color": colour, "detail": "line:N"}
    dashed = {}
    if dashes and kinds:
        dashed["strokeDash"] = alt.StrokeDash(
            "kind:N",
            title=None,
            scale=alt.Scale(domain=kinds, range=[dashes[kind] for kind in kinds]),
            legend=alt.Legend(
                orient="bottom",
                direction="horizontal" if width > style.NARROW else "vertical",
                symbolType="stroke",
                symbolStrokeColor="#333",
                symbolStrokeWidth=2,
                symbolSize=500,
                labelLimit=inner,
            ),
        )
    lines = chart.mark_line(strokeWidth=2.2).encode(**marks, **dashed)
    dots = chart.mark_point(filled=True, size=26, opacity=1).encode(
        **marks,
        tooltip=[
            alt.Tooltip("line:N", title="of"),
            alt.Tooltip("position:Q", title="from position" if along == _TITLE else "time"),
            alt.Tooltip("value:Q", format=number),
            alt.Tooltip("low:Q", format=number, title="95% from"),
            alt.Tooltip("high:Q", format=number, title="to"),
            alt.Tooltip("n_items:Q", title="prompts or documents"),
        ],
    )
    layers = [bands, lines, dots]
    if rule is not None:
        zero = alt.Chart(style.data([{"value": rule}])).mark_rule(color="#888")
        layers.insert(0, zero.encode(y=y))
    drawn = alt.layer(*layers).properties(width=inner, height=_HEIGHT)
    return drawn.properties(title=style.heading(heading))


def inner_width(n_panels: int, width: int) -> int:
    """The width of each of some panels in a figure that wide."""
    if n_panels == 1 or width <= style.NARROW:
        return width - 60
    return (width - 130) // n_panels


def together(panels: list[Any], width: int) -> Any:
    """Panels beside each other, or below where it is narrow."""
    if len(panels) == 1 or width <= style.NARROW:
        return style.finish(alt.vconcat(*panels, spacing=24))
    return style.finish(alt.hconcat(*panels, bounds="flush", spacing=64))
