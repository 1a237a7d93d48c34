"""Code has a version of its own, without anybody's doing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from assets.drawing import figure_asset as drawing
from assets.figures import FIGURES
from assets.lineage.code import code_version

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, **files: str) -> Path:
    folder.mkdir()
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder


def test_the_version_is_of_names_and_contents_of_code_alone(tmp_path: Path) -> None:
    first = write(tmp_path / "first", a_py="x = 1", b_html="<p>", c_txt="words")
    same = write(tmp_path / "same", a_py="x = 1", b_html="<p>", c_txt="other words")
    assert code_version(first) == code_version(same)
    for other in (
        write(tmp_path / "module", a_py="x = 2", b_html="<p>"),
        write(tmp_path / "template", a_py="x = 1", b_html="<b>"),
        write(tmp_path / "name", d_py="x = 1", b_html="<p>"),
        write(tmp_path / "more", a_py="x = 1", b_html="<p>", c_sql="select 1"),
    ):
        assert code_version(other) != code_version(first)


@pytest.mark.parametrize("changed", ["trajectory.py", "trajectory.sql", "style.py"])
def test_a_figure_changes_with_its_module_its_query_and_what_figures_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    (figure,) = (figure for figure in FIGURES if figure.name == "trajectory")

    def version(folder: Path, shared: Path) -> str:
        monkeypatch.setattr(drawing, "SHARED_CODE", (shared,))
        return drawing.figure_asset(replace(figure, query=folder / "trajectory.sql"), []).version

    files = {"trajectory_py": "draw", "trajectory_sql": "select 1"}
    shared = {"style_py": "blue"}
    before = version(write(tmp_path / "a", **files), write(tmp_path / "b", **shared))
    assert before == version(write(tmp_path / "c", **files), write(tmp_path / "d", **shared))
    key = changed.replace(".", "_")
    files = {name: text + "!" * (name == key) for name, text in files.items()}
    shared = {name: text + "!" * (name == key) for name, text in shared.items()}
    after = version(write(tmp_path / "e", **files), write(tmp_path / "f", **shared))
    assert after != before
