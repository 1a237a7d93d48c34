"""The report as somebody reads it: on a large screen and on a phone, without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from assets.drawing.figure import Grid
from assets.drawing.figure_asset import drawing_of
from assets.drawing.page import Cell, Front, Headline, Sampled, Section, write_page
from assets.figures.blueprint import FIGURE
from tests.assets.figures.test_blueprint import data

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

NAMES = [f"a-family-of-models-{stage}" for stage in ("base", "sft", "dpo", "rl")]


def written(folder: Path, names: list[str]) -> str:
    """The address of a report of these checkpoints."""
    cells = [
        Cell("50% [45, 55]", "+20 points [+15, +25]", "higher, p < 0.001, 9 prompts", "higher")
    ]
    rows = [(title, cells * len(names)) for title in ("generations in an anchor span", "overlap")]
    figure = FIGURE.table
    assert figure
    section = Section(
        "blueprint",
        FIGURE.title,
        None,
        "Claim.",
        [f"Sentence {i}." for i in range(8)],
        [],
        "-",
        figure(data("a", "b")),
        drawing_of(FIGURE, data("a", "b")),
    )
    front = Front(
        opening="Opening.",
        lines=["Say `controlled: true`."],
        headline=Headline(
            [Sampled(name, "100 samples of 9 prompts") for name in names],
            {"blueprint": rows},
            {"surface": rows},
        ),
        warnings=["Whether they were made from it is not known. Say `controlled: true`."],
        checkpoints=Grid(
            ["checkpoint", "parameters"], [[n, f"{i},000"] for i, n in enumerate("cab")]
        ),
    )
    write_page(folder / "report.html", "Report", [section, section], front=front)
    return f"file://{folder}/report.html"


@pytest.mark.parametrize("n", [2, 4, 12])
@pytest.mark.parametrize("width", [1280, 390])
def test_no_table_is_cut_and_no_checkpoint_is_out_of_sight(
    tmp_path: Path, page: Page, width: int, n: int
) -> None:
    names = [f"{name}-{i}" for i, name in enumerate(NAMES * 3)][:n]
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(written(tmp_path, names))
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    cells = page.locator(".headline").first.locator("tr", has_text="overlap").locator("td")
    assert cells.count() == n
    for cell in cells.all():
        box = cell.bounding_box()
        assert box
        if width == 390:  # a measure's checkpoints stand below each other
            assert box["x"] + box["width"] <= width
    if n == 4:
        # Names, values and changes of the first table fit a large screen.
        last = cells.last.bounding_box()
        assert last
        assert last["x"] + last["width"] <= width


def test_what_is_less_needed_opens(tmp_path: Path, page: Page) -> None:
    from playwright.sync_api import expect

    page.goto(written(tmp_path, NAMES))
    further = page.locator("details.all")
    expect(further.locator("table")).not_to_be_visible()
    further.locator("summary").click()
    expect(further.locator("table")).to_be_visible()
    expect(page.get_by_text("Sentence 4.").first).to_be_visible()
    expect(page.get_by_text("Sentence 5.").first).not_to_be_visible()
    assert page.locator(".warning code").inner_text() == "controlled: true"


def test_tables_are_sorted_by_the_column_that_is_clicked(tmp_path: Path, page: Page) -> None:
    page.goto(written(tmp_path, NAMES))
    table = page.locator("#measured table.sorted").first

    def column(i: int) -> list[str]:
        return table.locator(f"tbody td:nth-child({i})").all_inner_texts()

    table.get_by_text("checkpoint").click()
    assert column(1) == ["a", "b", "c"]
    table.get_by_text("parameters").click()
    assert column(2) == ["0,000", "1,000", "2,000"]
    table.get_by_text("parameters").click()
    assert column(2) == ["2,000", "1,000", "0,000"]


def test_figures_are_taken_away_as_pictures_and_numbers(tmp_path: Path, page: Page) -> None:
    page.context.set_offline(True)
    page.goto(written(tmp_path, NAMES))
    page.locator("#chart-blueprint svg").first.wait_for()
    for kind, begins in (("SVG", b"<svg"), ("PNG", b"\x89PNG"), ("CSV", b"")):
        with page.expect_download() as downloading:
            page.locator(".files").first.get_by_text(kind).click()
        assert downloading.value.suggested_filename == f"blueprint.{kind.lower()}"
        content = downloading.value.path().read_bytes()
        assert content.startswith(begins)
    lines = content.decode().split("\r\n")
    assert len(lines) > 5
    assert all(len(line) for line in lines)
    assert page.locator(f'[aria-label="{FIGURE.title}"]').count() >= 1
