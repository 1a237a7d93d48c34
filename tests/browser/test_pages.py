"""The pages of a figure, as somebody turns them in a browser without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from assets.drawing.figure_asset import drawing_of
from assets.drawing.page import Section, write_page
from assets.figures.blueprint import FIGURE
from tests.assets.figures.test_blueprint import data

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("width", [1280, 390])
def test_pages_are_turned_without_a_network_and_each_is_a_link(
    tmp_path: Path, page: Page, width: int
) -> None:
    from playwright.sync_api import expect

    drawing = drawing_of(FIGURE, data("a", "b"))
    section = Section("blueprint", FIGURE.title, None, "Claim.", [], [], "-", None, drawing)
    write_page(tmp_path / "chart.html", FIGURE.title, [section])
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.context.set_offline(True)
    page.set_viewport_size({"width": width, "height": 900})
    address = f"file://{tmp_path}/chart.html"

    page.goto(address)
    chart = page.locator("#chart-blueprint svg")
    expect(chart).to_contain_text("Which q?")
    expect(chart.locator("text", has_text="6 of 9")).to_have_count(2)
    page.get_by_role("button", name="next").click()
    expect(chart).to_contain_text("Which p?")
    expect(chart).not_to_contain_text("6 of 9")
    assert page.url == f"{address}#blueprint/p"
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.go_back()
    expect(chart).to_contain_text("Which q?")
    page.locator("select").select_option(index=1)
    expect(chart).to_contain_text("Which p?")

    page.goto("about:blank")
    page.goto(f"{address}#blueprint/p")
    expect(chart).to_contain_text("Which p?")
    assert page.locator("select").input_value() == "Which p?"
    for strange in ("#blueprint/%E0%", "#blueprint/none", "#constructor/p"):
        page.goto("about:blank")
        page.goto(address + strange)
        expect(chart).to_contain_text("Which q?")
    assert errors == []
