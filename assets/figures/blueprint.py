"""Figures 1 (above) and 8 to 12: the blueprint of a prompt's generations, as a Sankey diagram."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import altair as alt

from assets.drawing import style
from assets.drawing.figure import Figure, FigureData, Grid
from assets.drawing.sankey import BAR, END, START, layout
from assets.drawing.texts import short, spelled, wrap
from assets.drawing.walk import Page, Sheet, Walk, links

_LINE = 14
"""Pixels from a line of text to the next."""
_CELL = 6.1
"""Pixels that a character takes, on average; those of East Asia take two."""
_HEADING_CELL = 8.2
"""The same of a heading."""
_FLOWS = 0.38
"""The part of a panel that bars and ribbons take; the rest is their texts'."""
_SPACING = 24
"""Pixels between a panel and the one below it."""
_HEADING_LINE = 16
_TITLE = 40
"""Pixels that a panel's title and subtitle take."""
_PASSED_BY, _COUNT, _ANCHOR = "#b5b5b5", "#777777", "#1c1c1c"
"""The colours of what passes no anchor, of numbers, and of anchors' texts."""


_COLUMNS = {
    "heading": ["line", "y"],
    "panels": ["panel", "panel_x", "panel_y", "label", "subtitle", "colour"],
    "anchors": ["node", "panel", "name", "text", "lines", "count", "left", "y"],
    "ribbons": ["panel", "source", "target", "generations", "width", "left", "y"],
}
"""What the pages' datasets hold. Places are in pixels, those of anchors and ribbons from their
panel's upper left. The text of an anchor is null where its lines are all of it."""


def _draw(data: FigureData, width: int) -> Any:
    """What all pages are drawn by."""
    right = _flows_width(_panel_width(data, width))
    end = f"datum.panel_x + {right}"
    middle = f"datum.panel_y + datum.y + {BAR / 2}"
    grey = f"datum.source_name === '{START}' && datum.target_name === '{END}'"
    ribbons = (
        _layer("ribbons")
        .transform_lookup("source", _anchors(), as_=["source_name", "source_text", "source_lines"])
        .transform_lookup("target", _anchors(), as_=["target_name", "target_text", "target_lines"])
        .transform_flatten(["left", "y"])
        .transform_calculate(
            source_text=_text("source_"),
            target_text=_text("target_"),
            to=_shortened("datum.target_text"),
            **{"from": _shortened("datum.source_text")},
            shade=f"{grey} ? '{_PASSED_BY}' : datum.colour",
            x="datum.panel_x + datum.left",
            x2="datum.panel_x + datum.left + datum.width",
            y="datum.panel_y + datum.y",
        )
        .mark_area(orient="horizontal", interpolate="monotone", opacity=0.35)
        .encode(
            x=_X,
            x2="x2",
            y=_Y,
            detail=[alt.Detail("source:N"), alt.Detail("target:N")],
            color=alt.Color("shade:N", scale=None),
            tooltip=[alt.Tooltip(name) for name in ("from:N", "to:N", "generations:Q")],
        )
    )
    bars = (
        _layer("anchors")
        .transform_calculate(
            anchor=_text(),
            x="datum.panel_x + datum.left",
            x2=end,
            y2=f"datum.panel_y + datum.y + {BAR}",
            y="datum.panel_y + datum.y",
        )
        .mark_rect()
        .encode(
            x=_X,
            x2="x2",
            y=_Y,
            y2="y2",
            color=alt.Color("colour:N", scale=None),
            tooltip=[alt.Tooltip("anchor:N"), alt.Tooltip("count:N", title="generations")],
        )
    )
    counts = (
        _layer("anchors")
        .transform_calculate(
            anchor=_text(),
            line="datum.name ? datum.name + ' · ' + datum.count : datum.count",
            x=f"{end} + 10",
            y=f"{middle} - {_LINE / 2} * length(datum.lines)",
        )
        .mark_text(color=_COUNT, **_SPELLED)
        .encode(x=_X, y=_Y, text="line:N", tooltip="anchor:N")
    )
    # Each line is a mark of its own: renderers misplace the lines of right-to-left texts.
    lines = (
        _layer("anchors")
        .transform_calculate(
            anchor=_text(),
            top=f"{middle} - {_LINE / 2} * length(datum.lines)",
            number="sequence(1, length(datum.lines) + 1)",
        )
        .transform_flatten(["lines", "number"])
        .transform_filter("isValid(datum.lines)")
        .transform_calculate(x=f"{end} + 10", y=f"datum.top + {_LINE} * datum.number")
        .mark_text(color=_ANCHOR, **_SPELLED)
        .encode(x=_X, y=_Y, text="lines:N", tooltip="anchor:N")
    )
    titles = [
        alt.Chart(alt.NamedData("panels"))
        .transform_calculate(x="datum.panel_x", y=f"datum.panel_y - {_TITLE - below}")
        .mark_text(align="left", baseline="top", limit=_panel_width(data, width), **font)
        .encode(x=_X, y=_Y, text=f"{field}:N", description=f"{field}:N")
        for field, below, font in (
            ("label", 0, {"fontSize": 12, "fontWeight": "bold"}),
            ("subtitle", 16, {"fontSize": 11}),
        )
    ]
    heading = (
        alt.Chart(alt.NamedData("heading"))
        .mark_text(x=0, align="left", baseline="top", fontSize=13, fontWeight="bold")
        .encode(y=_Y, text="line:N", description="line:N")
    )
    layers = [ribbons, bars, counts, lines, *titles, heading]
    return style.finish(alt.layer(*layers).properties(width=width))


# Pixels to the right, and downwards.
_X = alt.X("x:Q", axis=None, scale=alt.Scale(domainMin=0, domainMax=alt.expr("width"), nice=False))
_Y = alt.Y(
    "y:Q",
    axis=None,
    scale=alt.Scale(domainMin=0, domainMax=alt.expr("height"), nice=False, reverse=True),
)
_SPELLED: dict[str, Any] = {"align": "left", "baseline": "middle", "fontSize": 11.5}


def _layer(dataset: str) -> alt.Chart:
    """A chart of rows that know where their panel is, and its colour."""
    panel = alt.LookupData(alt.NamedData("panels"), "panel", ["panel_x", "panel_y", "colour"])
    return alt.Chart(alt.NamedData(dataset)).transform_lookup("panel", panel)


def _anchors() -> alt.LookupData:
    return alt.LookupData(alt.NamedData("anchors"), "node", ["name", "text", "lines"])


def _text(of: str = "") -> str:
    """The expression of an anchor's text."""
    return f"(isValid(datum.{of}text) ? datum.{of}text : join(datum.{of}lines, ' '))"


def _shortened(text: str) -> str:
    """The expression of a text as `short` gives it."""
    return f"length({text}) > 80 ? slice({text}, 0, 56) + ' … ' + slice({text}, -21) : {text}"


def _n_columns(data: FigureData, width: int) -> int:
    return 1 if width <= style.NARROW or len(data.with_rows) == 1 else 2


def _panel_width(data: FigureData, width: int) -> int:
    """As wide on large screens as on phones where panels stand in two columns there."""
    return width if _n_columns(data, width) == 1 else style.NARROW


def _flows_width(panel_width: int) -> int:
    return int(panel_width * _FLOWS)


def _pages(data: FigureData) -> Walk:
    """A page for each prompt."""
    prompts = _by_prompt(data)
    names = links(rows[0]["prompt_id"] for rows in prompts.values())
    pages = []
    for (prompt, rows), link in zip(prompts.items(), names, strict=True):
        widths = {size: _panel_width(data, size) for size in (style.WIDE, style.NARROW)}
        panels = {width: [_panel(row, width) for row in rows] for width in set(widths.values())}
        marks = {width: _numbered(placed) for width, placed in panels.items()}
        sheets = {
            size: _sheet(data, rows, [panel.height for panel in panels[width]], size)
            for size, width in widths.items()
        }
        if len(marks) == 1:
            shared = marks[style.NARROW]
        else:
            shared = {}
            for size, width in widths.items():
                sheets[size].rows.update(marks[width])
        pages.append(Page(prompt, link, shared, sheets[style.WIDE], sheets[style.NARROW]))
    return Walk(_COLUMNS, pages)


@dataclass(frozen=True)
class _Panel:
    """A checkpoint's diagram; its rows are those of `_COLUMNS` without `node` and `panel`.

    Attributes:
        anchors: A row for each node, in order.
        ribbons: A row for each flow; nodes are places in `anchors`.
        height: In pixels.
    """

    anchors: list[list[Any]]
    ribbons: list[list[Any]]
    height: float


def _panel(row: dict[str, Any], width: int) -> _Panel:
    n_flows = _flows_width(width)
    texts = {span["span"]: spelled(span["text"]) for span in row["spans"]}
    lines = {name: wrap(text, int((width - n_flows - 10) / _CELL)) for name, text in texts.items()}
    placed = layout(
        list(texts),
        {(flow["source"], flow["target"]): flow["n_holders"] for flow in row["flows"]},
        {name: _LINE * (1 + len(wrapped)) for name, wrapped in lines.items()},
        n_flows,
    )
    passing = {span["span"]: span["n_holders"] for span in row["spans"]}
    passing |= {START: row["n_samples"], END: row["n_samples"]}
    ends = {START: "the start", END: "the end"}
    anchors = [
        [
            bar.name if bar.name in ends else None,
            _unless_whole(lines[bar.name], texts[bar.name])
            if bar.name in texts
            else ends[bar.name],
            lines.get(bar.name, []),
            f"{passing[bar.name]} of {row['n_samples']}",
            _rounded(bar.left),
            _rounded(bar.top),
        ]
        for bar in placed.bars
    ]
    place = {bar.name: i for i, bar in enumerate(placed.bars)}
    ribbons = [
        [
            place[ribbon.source],
            place[ribbon.target],
            ribbon.n_holders,
            _rounded(ribbon.edges[0][2] - ribbon.edges[0][1]),
            [_rounded(left) for _, left, _ in ribbon.edges],
            [_rounded(y) for y, _, _ in ribbon.edges],
        ]
        for ribbon in placed.ribbons
    ]
    return _Panel(anchors, ribbons, placed.height)


def _numbered(panels: list[_Panel]) -> dict[str, list[list[Any]]]:
    """The rows of a page's panels: nodes are numbered one panel after the other."""
    anchors: list[list[Any]] = []
    ribbons: list[list[Any]] = []
    for number, panel in enumerate(panels):
        first = len(anchors)
        ribbons += [
            [number, first + source, first + target, *others]
            for source, target, *others in panel.ribbons
        ]
        anchors += [[first + i, number, *values] for i, values in enumerate(panel.anchors)]
    return {"anchors": anchors, "ribbons": ribbons}


def _sheet(data: FigureData, rows: list[dict[str, Any]], heights: list[float], width: int) -> Sheet:
    """Where a page's heading and panels are, which stand beside or below one another."""
    colours = style.shades_by_checkpoint(data)
    heading = wrap(spelled(rows[0]["prompt"]), int(width / _HEADING_CELL))
    top: float = _HEADING_LINE * len(heading) + _LINE + _TITLE
    n_columns = _n_columns(data, width)
    panels: list[list[Any]] = []
    for first in range(0, len(rows), n_columns):
        beside = rows[first : first + n_columns]
        for i, row in enumerate(beside):
            left = i * (width - _panel_width(data, width))
            colour = colours[row["checkpoint"]]
            panels.append([len(panels), left, top, row["label"], _subtitle(row), colour])
        top += max(heights[first : first + n_columns]) + _SPACING + _TITLE
    lines = [[line, _HEADING_LINE * i] for i, line in enumerate(heading)]
    return Sheet(_rounded(top - _SPACING - _TITLE), {"heading": lines, "panels": panels})


def _rounded(pixels: float) -> float:
    """To a tenth, and without a decimal where there is none."""
    tenths = round(pixels, 1)
    return int(tenths) if tenths == int(tenths) else tenths


def _unless_whole(lines: list[str], text: str) -> str | None:
    return None if " ".join(lines) == text else text


def _subtitle(row: dict[str, Any]) -> str:
    n_spans = len(row["spans"])
    if n_spans == 0:
        return f"no anchor span in {row['n_samples']} generations"
    return (
        f"{row['anchored']} of {row['n_samples']} generations pass "
        f"{'the anchor span' if n_spans == 1 else f'some of {n_spans} anchor spans'}"
    )


def _by_prompt(data: FigureData) -> dict[str, list[dict[str, Any]]]:
    """Rows by prompt, those that most generations are built alike for first."""
    prompts: dict[str, list[dict[str, Any]]] = {}
    for row in data.rows:
        prompts.setdefault(row["prompt"], []).append(row)

    def most_anchored(prompt: str) -> float:
        return -max(float(row["anchored"] / row["n_samples"]) for row in prompts[prompt])

    return {prompt: prompts[prompt] for prompt in sorted(prompts, key=most_anchored)}


def _table(data: FigureData) -> Grid:
    """For each prompt the share of generations that pass an anchor span, and how many there are."""
    names = [shown.checkpoint for shown in data.with_rows]
    rows = []
    for prompt, of_prompt in _by_prompt(data).items():
        cells = {row["checkpoint"]: _cell(row) for row in of_prompt}
        rows.append([short(prompt, 50), *(cells.get(name, "–") for name in names)])
    return Grid(["prompt", *names], rows)


def _cell(row: dict[str, Any]) -> str:
    n_spans = len(row["spans"])
    share = f"{row['anchored'] / row['n_samples']:.0%}"
    return f"{share}, {n_spans} {'span' if n_spans == 1 else 'spans'}"


FIGURE = Figure(
    name="blueprint",
    place=60,
    title="The blueprints that generations follow",
    paper="figures 1 and 8 to 12",
    claim=(
        "Drawn as flows from start to end, nearly all generations of an aligned model pass the "
        "same long anchor spans, word for word and in the same order, like the items of an "
        "outline; a base model's have no such structure, even when it is sampled more narrowly."
    ),
    reads=("anchor_spans", "blueprint_flows", "prompts", "checkpoints"),
    query=Path(__file__).with_suffix(".sql"),
    draw=_draw,
    measures=("anchored", "anchor_spans"),
    grows_with_samples=True,
    table=_table,
    pages=_pages,
)
