"""Figures 1 (above) and 8 to 12: the blueprint of a prompt's generations, as a Sankey diagram."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import altair as alt

from assets.drawing import panels
from assets.drawing.figure import Figure, FigureData, Grid
from assets.drawing.panels import CELL, LINE, SPELLED, X, Y, layer, panel_width, rounded
from assets.drawing.sankey import BAR, END, START, layout
from assets.drawing.texts import names_of_prompts, spelled, wrap

if TYPE_CHECKING:
    from assets.drawing.walk import Walk

_FLOWS = 0.38
"""The part of a panel that bars and ribbons take; the rest is their texts'."""
_PASSED_BY, _COUNT, _ANCHOR = "#b5b5b5", "#777777", "#1c1c1c"
"""The colours of what passes no anchor, of numbers, and of anchors' texts."""
_COLUMNS = {
    "anchors": ["node", "panel", "name", "text", "lines", "count", "left", "y"],
    "ribbons": ["panel", "source", "target", "generations", "width", "left", "y"],
}
"""What the panels' datasets hold. Places are in pixels, those of anchors and ribbons from their
panel's upper left. The text of an anchor is null where its lines are all of it."""


def _draw(data: FigureData, width: int) -> Any:
    """What all pages are drawn by."""
    right = _flows_width(panel_width(data, width))
    end = f"datum.panel_x + {right}"
    middle = f"datum.panel_y + datum.y + {BAR / 2}"
    grey = f"datum.source_name === '{START}' && datum.target_name === '{END}'"
    ribbons = (
        layer("ribbons")
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
            x=X,
            x2="x2",
            y=Y,
            detail=[alt.Detail("source:N"), alt.Detail("target:N")],
            color=alt.Color("shade:N", scale=None),
            tooltip=[alt.Tooltip(name) for name in ("from:N", "to:N", "generations:Q")],
        )
    )
    bars = (
        layer("anchors")
        .transform_calculate(
            anchor=_text(),
            x="datum.panel_x + datum.left",
            x2=end,
            y2=f"datum.panel_y + datum.y + {BAR}",
            y="datum.panel_y + datum.y",
        )
        .mark_rect()
        .encode(
            x=X,
            x2="x2",
            y=Y,
            y2="y2",
            color=alt.Color("colour:N", scale=None),
            tooltip=[alt.Tooltip("anchor:N"), alt.Tooltip("count:N", title="generations")],
        )
    )
    counts = (
        layer("anchors")
        .transform_calculate(
            anchor=_text(),
            line="datum.name ? datum.name + ' · ' + datum.count : datum.count",
            x=f"{end} + 10",
            y=f"{middle} - {LINE / 2} * length(datum.lines)",
        )
        .mark_text(color=_COUNT, **SPELLED)
        .encode(x=X, y=Y, text="line:N", tooltip="anchor:N")
    )
    # Each line is a mark of its own: renderers misplace the lines of right-to-left texts.
    lines = (
        layer("anchors")
        .transform_calculate(
            anchor=_text(),
            top=f"{middle} - {LINE / 2} * length(datum.lines)",
            number="sequence(1, length(datum.lines) + 1)",
        )
        .transform_flatten(["lines", "number"])
        .transform_filter("isValid(datum.lines)")
        .transform_calculate(x=f"{end} + 10", y=f"datum.top + {LINE} * datum.number")
        .mark_text(color=_ANCHOR, **SPELLED)
        .encode(x=X, y=Y, text="lines:N", tooltip="anchor:N")
    )
    return panels.finish(data, width, [ribbons, bars, counts, lines])


def _anchors() -> alt.LookupData:
    return alt.LookupData(alt.NamedData("anchors"), "node", ["name", "text", "lines"])


def _text(of: str = "") -> str:
    """The expression of an anchor's text."""
    return f"(isValid(datum.{of}text) ? datum.{of}text : join(datum.{of}lines, ' '))"


def _shortened(text: str) -> str:
    """The expression of a text as `short` gives it."""
    return f"length({text}) > 80 ? slice({text}, 0, 56) + ' … ' + slice({text}, -21) : {text}"


def _flows_width(panel_width: int) -> int:
    return int(panel_width * _FLOWS)


def _pages(data: FigureData) -> Walk:
    """A page for each prompt."""
    return panels.walk(data, _COLUMNS, _by_prompt(data), _drawn, _subtitle)


def _drawn(
    rows: list[dict[str, Any]], width: int
) -> tuple[dict[str, list[list[Any]]], list[float]]:
    placed = [_panel(row, width) for row in rows]
    return _numbered(placed), [panel.height for panel in placed]


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
    lines = {name: wrap(text, int((width - n_flows - 10) / CELL)) for name, text in texts.items()}
    placed = layout(
        list(texts),
        {(flow["source"], flow["target"]): flow["n_holders"] for flow in row["flows"]},
        {name: LINE * (1 + len(wrapped)) for name, wrapped in lines.items()},
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
            rounded(bar.left),
            rounded(bar.top),
        ]
        for bar in placed.bars
    ]
    place = {bar.name: i for i, bar in enumerate(placed.bars)}
    ribbons = [
        [
            place[ribbon.source],
            place[ribbon.target],
            ribbon.n_holders,
            rounded(ribbon.edges[0][2] - ribbon.edges[0][1]),
            [rounded(left) for _, left, _ in ribbon.edges],
            [rounded(y) for y, _, _ in ribbon.edges],
        ]
        for ribbon in placed.ribbons
    ]
    return _Panel(anchors, ribbons, placed.height)


def _numbered(placed: list[_Panel]) -> dict[str, list[list[Any]]]:
    """The rows of a page's panels: nodes are numbered one panel after the other."""
    anchors: list[list[Any]] = []
    ribbons: list[list[Any]] = []
    for number, panel in enumerate(placed):
        first = len(anchors)
        ribbons += [
            [number, first + source, first + target, *others]
            for source, target, *others in panel.ribbons
        ]
        anchors += [[first + i, number, *values] for i, values in enumerate(panel.anchors)]
    return {"anchors": anchors, "ribbons": ribbons}


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
    by_prompt = _by_prompt(data)
    prompt_names = names_of_prompts(by_prompt)
    rows = []
    for prompt, of_prompt in by_prompt.items():
        cells = {row["checkpoint"]: _cell(row) for row in of_prompt}
        rows.append([prompt_names[prompt], *(cells.get(name, "–") for name in names)])
    pages = panels.links_of(by_prompt)
    return Grid(["prompt", *names], rows, [f"blueprint/{quote(page, safe='')}" for page in pages])


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
