"""Figures 1 (above) and 8 to 12: the blueprint of a prompt's generations, as a Sankey diagram."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import altair as alt
from rich.console import Console
from rich.text import Text

from assets.figures import style
from assets.figures.figure import Evidence, Figure, Grid
from assets.figures.intervals import bootstrap
from assets.figures.sankey import END, START, layout

_LINE = 14
"""Pixels from a line of text to the next."""
_CELL = 6.1
"""Pixels that a character takes, on average; those of East Asia take two."""
_LINES = 5
"""Lines that an anchor's text takes at most; the tooltip has all of it."""
_FLOWS = 0.38
"""The part of a panel that bars and ribbons take; the rest is their texts'."""
_SPACING = 24


def _draw(evidence: Evidence, width: int) -> Any:
    columns = 1 if width <= style.NARROW or len(evidence.rows) == 1 else 2
    inner = (width - _SPACING * (columns - 1)) // columns
    panels = [_panel(evidence, row, inner) for row in evidence.rows]
    return style.finish(
        alt.concat(*panels, columns=columns, spacing=_SPACING).resolve_scale(
            x="independent", y="independent"
        )
    )


def _panel(evidence: Evidence, row: dict[str, Any], width: int) -> Any:
    n_flows = int(width * _FLOWS)
    texts = {span["span"]: _spelled(span["text"]) for span in row["spans"]}
    lines = {name: _wrap(text, int((width - n_flows - 10) / _CELL)) for name, text in texts.items()}
    found = layout(
        list(texts),
        {(flow["source"], flow["target"]): flow["n_samples"] for flow in row["flows"]},
        {name: _LINE * (1 + len(wrapped)) for name, wrapped in lines.items()},
        n_flows,
    )
    passing = {span["span"]: span["n_samples"] for span in row["spans"]}
    passing |= {START: row["n_samples"], END: row["n_samples"]}
    shares = {name: f"{n} of {row['n_samples']}" for name, n in passing.items()}
    height = found.height
    x = alt.X("left:Q", scale=alt.Scale(domain=[0, width], nice=False), axis=None)
    y = alt.Y("y:Q", scale=alt.Scale(domain=[height, 0], nice=False), axis=None)
    colour = style.colour_of(evidence, row["checkpoint"])
    titles = {START: "the start", END: "the end"}
    ribbons = [
        {
            "flow": f"{ribbon.source}-{ribbon.target}",
            "skips": ribbon.source == START and ribbon.target == END and len(found.bars) > 2,
            "from": _short(texts.get(ribbon.source, titles.get(ribbon.source, ""))),
            "to": _short(texts.get(ribbon.target, titles.get(ribbon.target, ""))),
            "generations": ribbon.n_samples,
            "y": [round(edge[0], 1) for edge in ribbon.edges],
            "left": [round(edge[1], 1) for edge in ribbon.edges],
            "right": [round(edge[2], 1) for edge in ribbon.edges],
        }
        for ribbon in found.ribbons
    ]
    bars = [
        {
            "left": bar.left,
            "right": bar.right,
            "y": bar.top,
            "bottom": bar.bottom,
            "anchor": texts.get(bar.name, titles.get(bar.name)),
            "generations": shares[bar.name],
        }
        for bar in found.bars
    ]
    # Each line is a mark of its own: renderers misplace the lines of right-to-left texts.
    labels = [
        {
            "left": n_flows + 10,
            "y": bar.middle + _LINE * (i - len(lines.get(bar.name, [])) / 2),
            "line": line,
            "is_count": i == 0,
            "anchor": texts.get(bar.name, titles.get(bar.name)),
        }
        for bar in found.bars
        for i, line in enumerate(
            [
                f"{bar.name} · {shares[bar.name]}" if bar.name in titles else shares[bar.name],
                *lines.get(bar.name, []),
            ]
        )
    ]
    flows = (
        alt.Chart(style.data(ribbons))
        .transform_flatten(["y", "left", "right"])
        .mark_area(orient="horizontal", interpolate="monotone", opacity=0.35)
        .encode(
            x=x,
            x2=alt.X2("right:Q"),
            y=y,
            detail="flow:N",
            color=alt.condition("datum.skips", alt.value("#b5b5b5"), alt.value(colour)),
            tooltip=["from:N", "to:N", "generations:Q"],
        )
    )
    nodes = (
        alt.Chart(style.data(bars))
        .mark_rect(color=colour)
        .encode(
            x=x,
            x2=alt.X2("right:Q"),
            y=y,
            y2=alt.Y2("bottom:Q"),
            tooltip=["anchor:N", "generations:N"],
        )
    )
    spelled = (
        alt.Chart(style.data(labels))
        .mark_text(align="left", baseline="middle", fontSize=11.5)
        .encode(
            x=x,
            y=y,
            text="line:N",
            color=alt.condition("datum.is_count", alt.value("#777"), alt.value("#1c1c1c")),
            tooltip=["anchor:N"],
        )
    )
    return alt.layer(flows, nodes, spelled).properties(
        width=width,
        height=height,
        title=alt.TitleParams(
            row["label"],
            subtitle=_subtitle(row),
            anchor="start",
            fontSize=12,
            offset=10,
            limit=width,
        ),
    )


def _subtitle(row: dict[str, Any]) -> str:
    n_spans = len(row["spans"])
    if n_spans == 0:
        return f"no anchor span in {row['n_samples']} generations"
    return (
        f"{row['anchored']} of {row['n_samples']} generations pass "
        f"{'the anchor span' if n_spans == 1 else f'some of {n_spans} anchor spans'}"
    )


def _spelled(text: str) -> str:
    """An anchor as it is read: ends of lines are seen."""
    return " ".join(text.replace("\n", " ↵ ").split())


def _wrap(text: str, width: int) -> list[str]:
    """Lines of at most so many characters; of a long text the middle is left out."""
    lines = [line.plain.strip() for line in Text(text).wrap(Console(width=width), width)]
    if len(lines) <= _LINES:
        return lines
    kept = _LINES // 2
    return [*lines[: _LINES - kept - 1], "…", *lines[-kept:]]


def _short(text: str, length: int = 80) -> str:
    return text if len(text) <= length else f"{text[: length - 24]} … {text[-21:]}"


def _pages(evidence: Evidence) -> dict[str, Evidence]:
    """A diagram for each prompt, those that most generations are built alike for first."""
    prompts: dict[str, list[dict[str, Any]]] = {}
    for row in evidence.rows:
        prompts.setdefault(row["prompt"] or row["prompt_id"], []).append(row)

    def most_anchored(prompt: str) -> float:
        return -max(float(row["anchored"] / row["n_samples"]) for row in prompts[prompt])

    return {p: replace(evidence, rows=prompts[p]) for p in sorted(prompts, key=most_anchored)}


def _findings(evidence: Evidence) -> list[str]:
    sentences = []
    for shown in evidence.with_rows:
        rows = [row for row in evidence.rows if row["checkpoint"] == shown.checkpoint]
        passing = bootstrap([row["anchored"] / row["n_samples"] for row in rows])
        spans = bootstrap([len(row["spans"]) for row in rows])
        sentences.append(
            f"{shown.label}: {passing.percent()} of a prompt's generations pass an anchor span; a "
            f"prompt has {spans.number()} of them, on average over {len(rows)} prompts."
        )
    return sentences


def _table(evidence: Evidence) -> Grid:
    """For each prompt the share of generations that pass an anchor span, and how many there are."""
    cells: dict[str, dict[str, str]] = {}
    for prompt, page in _pages(evidence).items():
        cells[prompt] = {
            row[
                "checkpoint"
            ]: f"{row['anchored'] / row['n_samples']:.0%}, {len(row['spans'])} spans"
            for row in page.rows
        }
    names = [shown.checkpoint for shown in evidence.with_rows]
    return Grid(
        ["prompt", *names],
        [
            [_short(prompt, 50), *(row.get(name, "–") for name in names)]
            for prompt, row in cells.items()
        ],
    )


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
    reads=("anchor_spans", "blueprint_flows", "checkpoints"),
    query=Path(__file__).with_suffix(".sql"),
    draw=_draw,
    findings=_findings,
    table=_table,
    pages=_pages,
)
