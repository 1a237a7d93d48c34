"""Values of several kinds side by side at each stage of a ladder, with their intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt

from assets.drawing import style
from assets.drawing.lines import ladders_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from assets.drawing.figure import FigureCheckpoint, FigureData

AXIS = 56
"""Pixels of a panel's numbers."""
_CHARACTER = 6.6
_LONGEST = 130
"""Pixels of a name below a panel, at most."""
_SHAPES = ("circle", "diamond")


def lines_of(data: FigureData) -> dict[str, list[FigureCheckpoint]]:
    """The checkpoints of each ladder, and under the empty name those of none."""
    ladders = ladders_of(data)
    on_ladders = {shown.checkpoint for line in ladders.values() for shown in line}
    rest = [shown for shown in data.with_rows if shown.checkpoint not in on_ladders]
    return ladders | ({"": rest} if rest else {})


def panels_beside(
    data: FigureData, width: int, titles: Sequence[str]
) -> list[tuple[list[FigureCheckpoint], int, str, str]]:
    """The panels of each line: its checkpoints, a panel's width, its title and its heading."""
    n_columns = _columns(width, titles)
    inner = (width - n_columns * (AXIS + 12)) // n_columns
    return [
        (line, inner, title, f"{name}: {title}" if name else title)
        for name, line in lines_of(data).items()
        for title in titles
    ]


def beside(panels: Sequence[Any], width: int, titles: Sequence[str]) -> Any:
    """The panels of lines, those of each line beside each other where there is room."""
    concatenated = alt.concat(*panels, columns=_columns(width, titles))
    # Each panel has stages of its own width, which what stands beside their middle goes by.
    return style.finish(concatenated.resolve_scale(xOffset="independent"))


def _columns(width: int, titles: Sequence[str]) -> int:
    return len(titles) if width > style.NARROW else 1


def panel(
    points: list[dict[str, Any]],
    line: Sequence[FigureCheckpoint],
    width: int,
    heading: str,
    *,
    kinds: Mapping[str, str],
    items: str,
    axis: str = ",.4~r",
    value: str = ",.2f",
    domain: tuple[float, float] | None = None,
) -> Any:
    """A panel of a line of checkpoints.

    Args:
        points: Rows with `kind`, `stage`, `place`, `checkpoint`, `value`, `low`, `high` and `n`.
        line: The checkpoints, in order.
        width: Its width in pixels.
        heading: What stands above it.
        kinds: Each kind's colour.
        items: What `n` counts.
        axis: How numbers of the axis are written.
        value: How values are written in tooltips.
        domain: From where to where the axis goes; by default as far as the points.
    """
    stages = [shown.tick for shown in line]
    room = width / len(stages)
    names = list(kinds)
    x = alt.X(
        "stage:N",
        title="stage" if line[0].ladder else None,
        sort=stages,
        scale=alt.Scale(domain=stages, paddingInner=0.4, paddingOuter=0.3),
        axis=alt.Axis(
            grid=False,
            labelOverlap=False,
            **(_aslant(room) if max(map(len, stages)) * _CHARACTER > room else {"labelAngle": 0}),
        ),
    )
    offset = alt.XOffset("kind:N", sort=names, scale=alt.Scale(domain=names))
    colour = alt.Color(
        "kind:N",
        title=None,
        scale=alt.Scale(domain=names, range=list(kinds.values())),
        legend=alt.Legend(orient="top", symbolType="circle"),
    )
    shape = alt.Shape(
        "kind:N", scale=alt.Scale(domain=names, range=list(_SHAPES[: len(names)])), legend=None
    )
    y = alt.Y(
        "value:Q",
        title=None,
        scale=alt.Scale(zero=False, nice=False, padding=8)
        if domain is None
        else alt.Scale(zero=False, nice=False, domain=list(domain)),
        axis=alt.Axis(tickCount=5, domain=False, ticks=False, format=axis),
    )
    chart = alt.Chart()
    joined = chart.mark_line(strokeWidth=1.2, opacity=0.6).encode(
        x=x, y=y, color=colour, xOffset=offset, order="place:Q"
    )
    layers = [
        *([joined] if line[0].ladder else []),  # others do not follow each other
        chart.mark_rule(strokeWidth=2).encode(
            x=x, y=alt.Y("low:Q", title=None), y2="high:Q", color=colour, xOffset=offset
        ),
        chart.mark_point(filled=True, opacity=1, size=70).encode(
            x=x,
            y=y,
            color=colour,
            shape=shape,
            xOffset=offset,
            tooltip=[
                "checkpoint:N",
                alt.Tooltip("kind:N", title="of"),
                alt.Tooltip("value:Q", format=value),
                alt.Tooltip("low:Q", format=value, title="95% from"),
                alt.Tooltip("high:Q", format=value, title="to"),
                alt.Tooltip("n:Q", title=items),
            ],
        ),
    ]
    return alt.layer(*layers, data=style.data(points)).properties(
        width=width, height=180, title=style.heading(heading)
    )


def point(row: Mapping[str, Any], shown: FigureCheckpoint, place: int, kind: str) -> dict[str, Any]:
    """A point of a panel.

    Args:
        row: Has `value`, `low`, `high` and `n`.
        shown: The checkpoint that it is of.
        place: The checkpoint's place on its line.
        kind: Which kind it is of.
    """
    return {
        "kind": kind,
        "stage": shown.tick,
        "place": place,
        "checkpoint": shown.checkpoint,
        **{key: row[key] for key in ("value", "low", "high", "n")},
    }


def _aslant(room: float) -> dict[str, Any]:
    """Names that stand aslant below a panel, cut at their beginning, as they differ at the end."""
    most = int(min(_LONGEST, (AXIS + room / 2) * 2**0.5) / _CHARACTER)
    return {
        "labelAngle": -45,
        "labelAlign": "right",
        "labelLimit": 0,
        "labelExpr": f"length(datum.label) > {most} ? '…' + slice(datum.label, {1 - most}) "
        ": datum.label",
    }
