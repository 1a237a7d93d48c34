"""Pages of a walk on which each checkpoint has a panel of its own, beside or below the others.

What panels hold is the figure's; where they stand, and their titles, are said here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt

from assets.drawing import style
from assets.drawing.texts import spelled, wrap
from assets.drawing.walk import Page, Sheet, Walk, links

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from assets.drawing.figure import FigureData
    from assets.drawing.walk import Rows

LINE = 14
"""Pixels from a line of text to the next."""
CELL = 6.1
"""Pixels that a character takes, on average; those of East Asia take two."""
_HEADING_CELL = 8.2
"""The same of a heading."""
_HEADING_LINE = 16
_SPACING = 24
"""Pixels between a panel and the one below it."""
_TITLE = 40
"""Pixels that a panel's title and subtitle take."""
SPELLED: dict[str, Any] = {"align": "left", "baseline": "middle", "fontSize": 11.5}
"""How texts in panels are set."""
COLUMNS = {
    "heading": ["line", "y"],
    "panels": ["panel", "panel_x", "panel_y", "label", "subtitle", "colour"],
}
"""The datasets of headings and titles; places are in pixels."""

X = alt.X("x:Q", axis=None, scale=alt.Scale(domainMin=0, domainMax=alt.expr("width"), nice=False))
"""Pixels to the right."""
Y = alt.Y(
    "y:Q",
    axis=None,
    scale=alt.Scale(domainMin=0, domainMax=alt.expr("height"), nice=False, reverse=True),
)
"""Pixels downwards."""


def layer(dataset: str) -> alt.Chart:
    """A chart of rows that know where their panel is, and its colour."""
    panel = alt.LookupData(alt.NamedData("panels"), "panel", ["panel_x", "panel_y", "colour"])
    return alt.Chart(alt.NamedData(dataset)).transform_lookup("panel", panel)


def finish(data: FigureData, width: int, layers: Sequence[Any]) -> Any:
    """The layers of panels, with their titles and the page's heading."""
    titles = [
        alt.Chart(alt.NamedData("panels"))
        .transform_calculate(x="datum.panel_x", y=f"datum.panel_y - {_TITLE - below}")
        .mark_text(align="left", baseline="top", limit=panel_width(data, width), **font)
        .encode(x=X, y=Y, text=f"{field}:N", description=f"{field}:N")
        for field, below, font in (
            ("label", 0, {"fontSize": 12, "fontWeight": "bold"}),
            ("subtitle", 16, {"fontSize": 11}),
        )
    ]
    heading = (
        alt.Chart(alt.NamedData("heading"))
        .mark_text(x=0, align="left", baseline="top", fontSize=13, fontWeight="bold")
        .encode(y=Y, text="line:N", description="line:N")
    )
    return style.finish(alt.layer(*layers, *titles, heading).properties(width=width))


def _n_columns(data: FigureData, width: int) -> int:
    return 1 if width <= style.NARROW or len(data.with_rows) == 1 else 2


def panel_width(data: FigureData, width: int) -> int:
    """As wide on large screens as on phones where panels stand in two columns there."""
    return width if _n_columns(data, width) == 1 else style.NARROW


def links_of(prompts: Mapping[str, list[dict[str, Any]]]) -> list[str]:
    """What the page of each prompt is called in addresses."""
    return links(rows[0]["prompt_id"] for rows in prompts.values())


def walk(
    data: FigureData,
    columns: dict[str, list[str]],
    prompts: Mapping[str, list[dict[str, Any]]],
    drawn: Callable[[list[dict[str, Any]], int], tuple[dict[str, Rows], list[float]]],
    subtitle: Callable[[dict[str, Any]], str],
) -> Walk:
    """A page for each prompt.

    Args:
        data: What is shown.
        columns: Of each of the panels' datasets what the values of its rows are called.
        prompts: For each prompt a row for each panel, with `prompt_id`, `prompt`, `checkpoint` and
            `label`.
        drawn: Gives the rows of the panels' datasets, and the height of each panel, of a prompt's
            rows and a panel's width. What is in a panel is at places from its upper left.
        subtitle: What stands under the title of a row's panel.
    """
    names = links_of(prompts)
    widths = {size: panel_width(data, size) for size in (style.WIDE, style.NARROW)}
    pages = []
    for (prompt, rows), link in zip(prompts.items(), names, strict=True):
        panels = {width: drawn(rows, width) for width in set(widths.values())}
        sheets = {
            size: _sheet(data, rows, panels[width][1], size, subtitle)
            for size, width in widths.items()
        }
        if len(panels) == 1:
            shared = panels[style.NARROW][0]
        else:
            shared = {}
            for size, width in widths.items():
                sheets[size].rows.update(panels[width][0])
        pages.append(Page(prompt, link, shared, sheets[style.WIDE], sheets[style.NARROW]))
    return Walk(COLUMNS | columns, pages)


def _sheet(
    data: FigureData,
    rows: list[dict[str, Any]],
    heights: list[float],
    width: int,
    subtitle: Callable[[dict[str, Any]], str],
) -> Sheet:
    """Where a page's heading and panels are, which stand beside or below one another."""
    colours = style.shades_by_checkpoint(data)
    heading = wrap(spelled(rows[0]["prompt"]), int(width / _HEADING_CELL))
    top: float = _HEADING_LINE * len(heading) + LINE + _TITLE
    n_columns = _n_columns(data, width)
    panels: Rows = []
    for first in range(0, len(rows), n_columns):
        beside = rows[first : first + n_columns]
        for i, row in enumerate(beside):
            left = i * (width - panel_width(data, width))
            colour = colours[row["checkpoint"]]
            panels.append([len(panels), left, top, row["label"], subtitle(row), colour])
        top += max(heights[first : first + n_columns]) + _SPACING + _TITLE
    lines = [[line, _HEADING_LINE * i] for i, line in enumerate(heading)]
    return Sheet(rounded(top - _SPACING - _TITLE), {"heading": lines, "panels": panels})


def rounded(pixels: float) -> float:
    """To a tenth, and without a decimal where there is none."""
    tenths = round(pixels, 1)
    return int(tenths) if tenths == int(tenths) else tenths
