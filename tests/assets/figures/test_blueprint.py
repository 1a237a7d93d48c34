"""The pages of blueprints: each draws the values of its rows, at each size."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest
import vl_convert

from assets.drawing.figure import FigureCheckpoint, FigureData
from assets.drawing.figure_asset import drawing_of
from assets.drawing.figure_files import Drawn, read_drawn, write_drawn
from assets.drawing.sankey import END, START, layout
from assets.drawing.texts import wrap
from assets.figures.blueprint import FIGURE
from warehouse import Lake, Provenance

if TYPE_CHECKING:
    from pathlib import Path

    from assets.drawing.walk import Size

ANCHOR = "It is important to keep in mind that nothing of all this is certain, and that " * 4
FLOWS = {(START, "1"): 6, ("1", "2"): 2, ("1", END): 4, (START, "2"): 1, ("2", END): 3}
FLOWS |= {(START, END): 2}
PASSED = {START: 9, "1": 6, "2": 3, END: 9}


def data(*names: str) -> FigureData:
    """Checkpoints asked the same two prompts; the generations for q are built more alike."""
    shown = [FigureCheckpoint(name, "-", "prompts", "base", None) for name in names]
    row = {
        "n_samples": 9,
        "spans": [
            {"span": "1", "text": f"{ANCHOR}\nand \x00 so on", "n_holders": 6},
            {"span": "2", "text": "In short.", "n_holders": 3},
        ],
        "flows": [{"source": s, "target": t, "n_holders": n} for (s, t), n in FLOWS.items()],
    }
    nothing = {"spans": [], "flows": [{"source": START, "target": END, "n_holders": 9}]}
    rows = [
        {"checkpoint": s.checkpoint, "label": s.label, "prompt_id": p, "prompt": f"Which {p}?"}
        | row
        | {"anchored": 7 if p == "q" else 0}
        | (nothing if p == "p" else {})
        for s in shown
        for p in ("p", "q")
    ]
    return FigureData(rows, shown, "word")


def bars_of(svg: str) -> list[tuple[float, float, float]]:
    """Left, top and width of each bar."""
    shapes = re.findall(
        r'aria-label="[^"]*anchor: [^"]*" role="graphics-symbol" aria-roledescription="rect mark" '
        r'd="M([\d.]+),([\d.]+)h([\d.]+)v14',
        svg,
    )
    return [(float(x), float(y), float(width)) for x, y, width in shapes]


@pytest.mark.parametrize(("size", "names"), [("wide", "ab"), ("narrow", "ab"), ("wide", "a")])
def test_a_page_draws_the_values_of_its_rows(size: Size, names: str) -> None:
    shown = data(*names)
    drawing = drawing_of(FIGURE, shown)
    assert drawing.walk
    page = drawing.walk.pages[0]
    assert page.heading == "Which q?"
    template = drawing.wide if size == "wide" else drawing.narrow
    svg = vl_convert.vegalite_to_svg(drawing.walk.turned_to(page, template, size))

    text = f"{' '.join(ANCHOR.split())} ↵ and \ufffd so on"
    short = {
        START: "the start",
        "1": f"{text[:56]} … {text[-21:]}",
        "2": "In short.",
        END: "the end",
    }
    labels = [
        unescape(re.sub("^.*?(anchor|from): ", r"\1: ", label))
        for label in re.findall(r'aria-label="([^"]*)"', svg)
    ]
    flows = {f"from: {short[s]}; to: {short[t]}; generations: {n}" for (s, t), n in FLOWS.items()}
    assert sorted(label for label in labels if label.startswith("from:")) == sorted(
        [*flows] * len(names)
    )
    whole = short | {"1": text}
    for name, n in PASSED.items():
        assert labels.count(f"anchor: {whole[name]}; generations: {n} of 9") == len(names)

    # Bars are where the layout has them, in panels of one width, beside or below one another.
    width = 720 if names == "a" else 340
    n_flows = int(width * 0.38)
    lines = {"1": wrap(text, int((width - n_flows - 10) / 6.1)), "2": ["In short."]}
    heights = {name: 14 * (1 + len(wrapped)) for name, wrapped in lines.items()}
    placed = layout(["1", "2"], FLOWS, heights, n_flows)
    top = 16 + 14 + 40
    below = placed.height + 24 + 40
    offsets = {"wide": [(0, top), (380, top)], "narrow": [(0, top), (0, top + below)]}[size]
    expected = [
        (left + bar.left, y + bar.top, bar.right - bar.left)
        for left, y in offsets[: len(names)]
        for bar in placed.bars
    ]
    for found, bar in zip(bars_of(svg), expected, strict=True):
        assert found == pytest.approx(bar, abs=0.06)
    texts = [unescape(line) for line in re.findall(r"<text[^>]*>([^<]*)</text>", svg)]
    for line in ("6 of 9", "3 of 9", "START · 9 of 9", "END · 9 of 9", *lines["1"], "In short."):
        assert line in texts
    assert texts.count("7 of 9 generations pass some of 2 anchor spans") == len(names)


def test_panels_of_several_checkpoints_are_stored_once_for_both_sizes() -> None:
    walk = drawing_of(FIGURE, data("a", "b")).walk
    assert walk
    assert set(walk.pages[0].rows) == {"anchors", "ribbons"}
    assert set(walk.pages[0].wide.rows) == set(walk.pages[0].narrow.rows) == {"heading", "panels"}


def test_prompts_of_one_id_have_links_of_their_own() -> None:
    shown = data("a")
    rows: list[dict[str, Any]] = [row | {"prompt_id": "1"} for row in shown.rows]
    walk = drawing_of(FIGURE, FigureData(rows, shown.checkpoints, "word")).walk
    assert walk
    assert [page.link for page in walk.pages] == ["1", "1 (2)"]


def test_pages_are_read_from_the_lake_as_they_were_drawn(tmp_path: Path) -> None:
    drawing = drawing_of(FIGURE, data("a", "b"))
    provenance = Provenance("v", "s", "study", "1")
    write_drawn(Lake(tmp_path), Drawn(FIGURE, provenance, [], [], [], None, drawing))
    drawn = read_drawn(Lake(tmp_path), FIGURE)
    assert drawn
    assert drawn.drawing.walk == drawing.walk
    assert drawn.drawing.first == drawing.first
