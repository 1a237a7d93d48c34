"""Figures 1 (above) and 8 to 12: the blueprint of a prompt's generations, as a Sankey diagram."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import altair as alt
from rich.console import Console
from rich.text import Text

from assets.drawing import style
from assets.drawing.figure import Figure, FigureData, Grid
from assets.drawing.sankey import END, START, layout

_LINE = 14
"""Pixels from a line of text to the next."""
_CELL = 6.1
"""Pixels that a character takes, on average; those of East Asia take two."""
_HEADING_CELL = 8.2
"""The same of a heading."""
_LINES = 5
"""Lines that an anchor's text takes at most; the tooltip has all of it."""
_FLOWS = 0.38
"""The part of a panel that bars and ribbons take; the rest is their texts'."""
_SPACING = 24
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that are not in XML, and so cannot be in an SVG."""
_PASSED_BY, _COUNT, _ANCHOR = "#b5b5b5", "#777", "#1c1c1c"
"""The colours of what passes no anchor, of numbers, and of anchors' texts."""


def _draw(data: FigureData, width: int) -> Any:
    columns = 1 if width <= style.NARROW or len(data.rows) == 1 else 2
    inner = (width - _SPACING * (columns - 1)) // columns
    panels = []
    datasets: dict[str, Any] = {}
    for place, row in enumerate(data.rows):
        colour = style.colour_of(data, row["checkpoint"])
        marks, height = _marks(row, inner, colour)
        named = {kind: f"{kind}-{place}" for kind in marks}
        # Named and added last, as Altair copies all rows with every step that makes a chart.
        datasets |= {named[kind]: rows for kind, rows in marks.items()}
        title = alt.TitleParams(
            row["label"],
            subtitle=_subtitle(row),
            anchor="start",
            fontSize=12,
            offset=10,
            limit=inner,
        )
        panels.append(_panel(named, colour, inner, height).properties(title=title))
    chart = alt.concat(*panels, columns=columns, spacing=_SPACING).resolve_scale(
        x="independent", y="independent"
    )
    heading = alt.TitleParams(
        _wrap(_spelled(data.rows[0]["prompt"]), int(width / _HEADING_CELL)),
        anchor="start",
        fontSize=13,
        offset=14,
    )
    finished = style.finish(chart.properties(title=heading))
    finished.datasets = datasets
    return finished


def _marks(
    row: dict[str, Any], width: int, colour: str
) -> tuple[dict[str, list[dict[str, Any]]], float]:
    """The rows of a diagram's three kinds of marks, and its height in pixels."""
    n_flows = int(width * _FLOWS)
    texts = {span["span"]: _spelled(span["text"]) for span in row["spans"]}
    lines = {name: _wrap(text, int((width - n_flows - 10) / _CELL)) for name, text in texts.items()}
    placed = layout(
        list(texts),
        {(flow["source"], flow["target"]): flow["n_holders"] for flow in row["flows"]},
        {name: _LINE * (1 + len(wrapped)) for name, wrapped in lines.items()},
        n_flows,
    )
    passing = {span["span"]: span["n_holders"] for span in row["spans"]}
    passing |= {START: row["n_samples"], END: row["n_samples"]}
    counts = {name: f"{n} of {row['n_samples']}" for name, n in passing.items()}
    anchors = texts | {START: "the start", END: "the end"}
    ribbons = [
        {
            "flow": f"{ribbon.source}-{ribbon.target}",
            "colour": _PASSED_BY if (ribbon.source, ribbon.target) == (START, END) else colour,
            "from": _short(anchors[ribbon.source]),
            "to": _short(anchors[ribbon.target]),
            "generations": ribbon.n_holders,
            "y": [round(y, 1) for y, _, _ in ribbon.edges],
            "left": [round(left, 1) for _, left, _ in ribbon.edges],
            "right": [round(right, 1) for _, _, right in ribbon.edges],
        }
        for ribbon in placed.ribbons
    ]
    bars = [
        {
            "left": bar.left,
            "right": bar.right,
            "y": bar.top,
            "bottom": bar.bottom,
            "anchor": anchors[bar.name],
            "generations": counts[bar.name],
        }
        for bar in placed.bars
    ]
    # Each line is a mark of its own: renderers misplace the lines of right-to-left texts.
    labels = [
        {
            "left": n_flows + 10,
            "y": bar.middle + _LINE * (i - len(lines.get(bar.name, [])) / 2),
            "line": line,
            "colour": _COUNT if i == 0 else _ANCHOR,
            "anchor": anchors[bar.name],
        }
        for bar in placed.bars
        for i, line in enumerate(
            [
                counts[bar.name] if bar.name in texts else f"{bar.name} · {counts[bar.name]}",
                *lines.get(bar.name, []),
            ]
        )
    ]
    return {"ribbons": ribbons, "bars": bars, "labels": labels}, placed.height


def _panel(named: dict[str, str], colour: str, width: int, height: float) -> Any:
    x = alt.X("left:Q", scale=alt.Scale(domain=[0, width], nice=False), axis=None)
    y = alt.Y("y:Q", scale=alt.Scale(domain=[height, 0], nice=False), axis=None)
    flows = (
        alt.Chart(alt.NamedData(named["ribbons"]))
        .transform_flatten(["y", "left", "right"])
        .mark_area(orient="horizontal", interpolate="monotone", opacity=0.35)
        .encode(
            x=x,
            x2=alt.X2("right:Q"),
            y=y,
            detail=alt.Detail("flow:N"),
            color=alt.Color("colour:N", scale=None),
            tooltip=[alt.Tooltip(name) for name in ("from:N", "to:N", "generations:Q")],
        )
    )
    nodes = (
        alt.Chart(alt.NamedData(named["bars"]))
        .mark_rect(color=colour)
        .encode(
            x=x,
            x2=alt.X2("right:Q"),
            y=y,
            y2=alt.Y2("bottom:Q"),
            tooltip=[alt.Tooltip("anchor:N"), alt.Tooltip("generations:N")],
        )
    )
    spelled = (
        alt.Chart(alt.NamedData(named["labels"]))
        .mark_text(align="left", baseline="middle", fontSize=11.5)
        .encode(
            x=x,
            y=y,
            text=alt.Text("line:N"),
            color=alt.Color("colour:N", scale=None),
            tooltip=[alt.Tooltip("anchor:N")],
        )
    )
    return alt.layer(flows, nodes, spelled).properties(width=width, height=height)


def _subtitle(row: dict[str, Any]) -> str:
    n_spans = len(row["spans"])
    if n_spans == 0:
        return f"no anchor span in {row['n_samples']} generations"
    return (
        f"{row['anchored']} of {row['n_samples']} generations pass "
        f"{'the anchor span' if n_spans == 1 else f'some of {n_spans} anchor spans'}"
    )


def _spelled(text: str) -> str:
    """A text as it is read: ends of lines are seen, and what no renderer can draw is replaced."""
    return " ".join(_NOT_XML.sub("\ufffd", text).replace("\n", " ↵ ").split())


def _wrap(text: str, width: int) -> list[str]:
    """Lines of at most so many characters; of a long text the middle is left out."""
    lines = [line.plain.strip() for line in Text(text).wrap(Console(width=width), width)]
    if len(lines) <= _LINES:
        return lines
    kept = _LINES // 2
    return [*lines[: _LINES - kept - 1], "…", *lines[-kept:]]


def _short(text: str, length: int = 80) -> str:
    text = _spelled(text)
    return text if len(text) <= length else f"{text[: length - 24]} … {text[-21:]}"


def _pages(data: FigureData) -> dict[str, FigureData]:
    """A diagram for each prompt, those that most generations are built alike for first."""
    prompts: dict[str, list[dict[str, Any]]] = {}
    for row in data.rows:
        prompts.setdefault(row["prompt"], []).append(row)

    def most_anchored(prompt: str) -> float:
        return -max(float(row["anchored"] / row["n_samples"]) for row in prompts[prompt])

    ordered = sorted(prompts, key=most_anchored)
    return {prompt: replace(data, rows=prompts[prompt]) for prompt in ordered}


def _table(data: FigureData) -> Grid:
    """For each prompt the share of generations that pass an anchor span, and how many there are."""
    names = [shown.checkpoint for shown in data.with_rows]
    rows = []
    for prompt, page in _pages(data).items():
        cells = {row["checkpoint"]: _cell(row) for row in page.rows}
        rows.append([_short(prompt, 50), *(cells.get(name, "–") for name in names)])
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
