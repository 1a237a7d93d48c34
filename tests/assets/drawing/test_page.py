from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from assets.drawing.page import Cell, Front, Headline, Sampled, _library, write_page

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.whole
def test_the_script_of_pages_is_bundled_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANCHORLAKE_CACHE", str(tmp_path / "cache"))
    _library.cache_clear()
    bundled = _library()
    assert "window.vegaEmbed" in bundled
    (kept,) = (tmp_path / "cache").iterdir()
    assert kept.read_text() == bundled
    kept.write_text("kept")
    assert _library() == bundled
    _library.cache_clear()
    assert _library() == "kept"
    # Where nothing can be kept it is bundled each time.
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ANCHORLAKE_CACHE", str(tmp_path / "file"))
    _library.cache_clear()
    assert _library() == bundled
    _library.cache_clear()


@pytest.mark.parametrize("change", ["", "+20 points [+15, +25]"])
def test_what_a_change_is_is_said_where_there_is_one(tmp_path: Path, change: str) -> None:
    leading = {"Surface": [("words", [Cell("5", change)])]}
    front = Front(headline=Headline([Sampled("base", "9 samples")], leading, {}))
    write_page(tmp_path / "report.html", "Report", [], front=front)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "with its 95% interval" in page
    assert ("the change from the base" in page) == bool(change)
