from __future__ import annotations

from typing import TYPE_CHECKING

from assets.drawing.page import _library

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


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
