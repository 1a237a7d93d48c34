"""What a prompt's generations say alike, along their texts: semantic anchors and anchor spans."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import altair as alt

from assets.drawing import panels
from assets.drawing.figure import Figure, FigureData, Grid
from assets.drawing.panels import CELL, LINE, SPELLED, X, Y, layer, rounded
from assets.drawing.texts import names_of_prompts, short, spelled, wrap

if TYPE_CHECKING:
    from collections.abc import Iterable

    from assets.drawing.walk import Rows, Walk

_HIGH = 24
"""Pixels that the highest curve of a page is high."""
_INDENT = 14
_GAP = 12
"""Pixels between a curve and the text below it."""
_PLAIN, _GREY = "#1c1c1c", "#777777"
_COLUMNS = {
    "lines": ["panel", "left", "y", "line", "shade"],
    "curves": ["panel", "curve", "left", "y", "width", "heights", "opacity", "text", "count"],
}
"""What the panels' datasets hold; places are in pixels, from the panel's upper left."""


def _draw(data: FigureData, width: int) -> Any:
    """What all pages are drawn by."""
    placed = layer("curves").transform_calculate(
        x="datum.panel_x + datum.left",
        x2="datum.panel_x + datum.left + datum.width",
        y="datum.panel_y + datum.y",
    )
    tooltip = [alt.Tooltip("text:N"), alt.Tooltip("count:N", title="generations")]
    areas = (
        placed.transform_calculate(number="sequence(0, length(datum.heights))", y2="datum.y")
        .transform_flatten(["heights", "number"])
        .transform_calculate(
            x="datum.x + datum.width * datum.number / 39", y="datum.y - datum.heights"
        )
        .mark_area(interpolate="monotone")
        .encode(
            x=X,
            y=Y,
            y2="y2",
            detail=[alt.Detail("panel:N"), alt.Detail("curve:N")],
            color=alt.Color("colour:N", scale=None),
            opacity=alt.Opacity("opacity:Q", scale=None),
            tooltip=tooltip,
        )
    )
    grounds = placed.mark_rule(color="#bbb").encode(x=X, x2="x2", y=Y)
    lines = (
        layer("lines")
        .transform_calculate(x="datum.panel_x + datum.left", y="datum.panel_y + datum.y")
        .mark_text(**SPELLED)
        .encode(x=X, y=Y, text="line:N", color=alt.Color("shade:N", scale=None))
    )
    return panels.finish(data, width, [areas, grounds, lines])


def _pages(data: FigureData) -> Walk:
    """A page for each prompt."""
    prompts = {
        prompt: [of_checkpoint[0] | {"passages": of_checkpoint} for of_checkpoint in by_checkpoint]
        for prompt, by_checkpoint in _by_prompt(data).items()
    }

    def drawn(rows: list[dict[str, Any]], width: int) -> tuple[dict[str, Rows], list[float]]:
        column = _Column(rows, width)
        heights = [column.add(number, row["passages"]) for number, row in enumerate(rows)]
        return {"lines": column.lines, "curves": column.curves}, heights

    return panels.walk(data, _COLUMNS, prompts, drawn, lambda row: _counted(row["passages"]))


class _Column:
    """The lines and curves of a page's panels, put below one another in each."""

    def __init__(self, rows: list[dict[str, Any]], width: int) -> None:
        self.lines: Rows = []
        self.curves: Rows = []
        self._width = width
        shares = [
            max(passage["held"]) / passage["n_samples"]
            for row in rows
            for passage in _with_text(row["passages"])
        ]
        self._scale = _HIGH / max(shares, default=1)

    def add(self, panel: int, passages: list[dict[str, Any]]) -> float:
        """Puts a checkpoint's passages into a panel, and gives the panel's height."""
        y = 0.0
        for anchor, spans in _along(passages):
            if anchor:
                wordings = f"in {anchor['n_wordings']} wordings"
                y = self._add(panel, 0, y, anchor, f"in sense · {_holders(anchor)}, {wordings}")
            for span in spans:
                where = "word for word" if anchor else "word for word, in no semantic anchor"
                y = self._add(
                    panel, _INDENT if anchor else 0, y, span, f"{where} · {_holders(span)}"
                )
        if y:
            most = max(max(passage["held"]) for passage in _with_text(passages))
            start = f"↑ start of the text (highest curve: {most} of {passages[0]['n_samples']})"
            self.lines.append([panel, 0, rounded(y), start, _GREY])
            end = "its end ↑"
            self.lines.append(
                [panel, rounded(self._width - len(end) * CELL), rounded(y), end, _GREY]
            )
            y += LINE
        return y

    def _add(self, panel: int, left: float, y: float, passage: dict[str, Any], count: str) -> float:
        width = self._width - left
        texts = wrap(spelled(passage["text"]), int(width / CELL))
        for line, shade in [(count, _GREY), *((line, _PLAIN) for line in texts)]:
            self.lines.append([panel, left, rounded(y + LINE / 2), line, shade])
            y += LINE
        heights = [rounded(self._scale * held / passage["n_samples"]) for held in passage["held"]]
        y += 4 + max(heights)
        opacity = 0.4 if passage["span"] is None else 0.9
        place = [panel, len(self.curves), left, rounded(y), width]
        told = [short(passage["text"], 120), _holders(passage)]
        self.curves.append([*place, heights, opacity, *told])
        return y + _GAP


def _holders(passage: dict[str, Any]) -> str:
    return f"{passage['n_holders']} of {passage['n_samples']}"


def _with_text(passages: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [passage for passage in passages if passage["text"] is not None]


def _along(
    passages: list[dict[str, Any]],
) -> list[tuple[dict[str, Any] | None, list[dict[str, Any]]]]:
    """Semantic anchors with their spans, and spans of none by themselves, by where they begin."""
    listed = _with_text(passages)
    spans = [passage for passage in listed if passage["span"] is not None]
    groups: list[tuple[dict[str, Any] | None, list[dict[str, Any]]]] = [
        (anchor, [span for span in spans if span["anchor"] == anchor["anchor"]])
        for anchor in listed
        if anchor["span"] is None
    ]
    groups += [(None, [span]) for span in spans if span["anchor"] is None]
    return sorted(groups, key=lambda group: float((group[0] or group[1][0])["middle"]))


def _counted(passages: list[dict[str, Any]]) -> str:
    """Such as "3 in sense, 2 also word for word; 1 in words alone"."""
    groups = _along(passages)
    anchors = [spans for anchor, spans in groups if anchor]
    alone = len(groups) - len(anchors)
    if not groups:
        return f"no anchor in {passages[0]['n_samples']} generations"
    in_words = sum(1 for spans in anchors if spans)
    said = f"{len(anchors)} in sense, {in_words} also word for word"
    return said + (f"; {alone} in words alone" if alone else "")


def _by_prompt(data: FigureData) -> dict[str, list[list[dict[str, Any]]]]:
    """For each prompt the passages of each checkpoint; those whose anchors most hold come first."""
    prompts: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for row in data.rows:
        prompts.setdefault(row["prompt"], {}).setdefault(row["checkpoint"], []).append(row)

    def most_held(prompt: str) -> float:
        passages = _with_text(p for listed in prompts[prompt].values() for p in listed)
        return -max((p["n_holders"] / p["n_samples"] for p in passages), default=0.0)

    return {prompt: list(prompts[prompt].values()) for prompt in sorted(prompts, key=most_held)}


def _table(data: FigureData) -> Grid:
    """For each prompt how many anchors each checkpoint's generations have."""
    names = [shown.checkpoint for shown in data.with_rows]
    by_prompt = _by_prompt(data)
    prompt_names = names_of_prompts(by_prompt)
    rows = []
    for prompt, by_checkpoint in by_prompt.items():
        cells = {passages[0]["checkpoint"]: _counted(passages) for passages in by_checkpoint}
        rows.append([prompt_names[prompt], *(cells.get(name, "–") for name in names)])
    return Grid(["prompt", *names], rows)


FIGURE = Figure(
    name="semantic_anchors",
    place=61,
    title="What generations say alike, in whatever words",
    claim=(
        "A semantic anchor is a sentence that many generations of a prompt say, in the words of "
        "the most typical one; a curve shows how many say it at each place of their texts. Below "
        "it, dark, are the anchor spans that lie in it: the same anchor word for word. Several "
        "spans of one anchor are other words for it, or parts of it."
    ),
    reads=(
        *("semantic_anchors", "anchor_spans", "span_meanings"),
        *("generations", "prompts", "checkpoints"),
    ),
    query=Path(__file__).with_suffix(".sql"),
    draw=_draw,
    grows_with_samples=True,
    table=_table,
    pages=_pages,
    applies=lambda study: study.embedder is not None,
)
