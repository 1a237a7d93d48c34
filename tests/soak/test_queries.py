"""Statements that do more than read: none that the command is given writes a file."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from orchestration import cli
from tests.warehouse.hostile import HOSTILE
from tests.warehouse.watched import digest, placed, write_watched

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.soak
def test_hostile_statements_write_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = tmp_path / "watched"
    watched.mkdir()
    lake, readable = write_watched(watched)
    monkeypatch.chdir(watched / "out")
    before = digest(watched)
    n_answered = 0
    for statement in HOSTILE.values():
        arguments = ["--lake", str(lake.root), "--read", readable, placed(statement, watched)]
        result = CliRunner().invoke(cli.app, ["sql", "--timeout", "20", *arguments])
        n_answered += result.exit_code == 0
    after = digest(watched)
    written = {path for path in before.keys() | after if before.get(path) != after.get(path)}
    written = {path for path in written if not path.startswith("lake/.staging/")}
    print(
        f"\nsoak: hostile statements: {len(HOSTILE)}; answered: {n_answered}; "
        f"files written by queries: {len(written)}",
        file=sys.__stderr__,
    )
    assert (n_answered, written) == (0, set())
