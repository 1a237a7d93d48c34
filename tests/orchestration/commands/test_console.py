from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from rich.table import Table as Grid

from orchestration.commands.console import err, out, show
from orchestration.progress import BarProgress, LogProgress

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WRITTEN_BY_A_MODEL = "[red]\x1b[31m:smile:\u202e\u2028\x9b\r\x07"
PRINTED = r"[red]\u001b[31m:smile:\u202e\u2028\u009b\u000d\u0007"


def in_a_table(text: str) -> None:
    grid = Grid("column", text, box=None)
    grid.add_row(text, text)
    show(grid)


@pytest.mark.parametrize(
    "write",
    [
        out.print,
        err.print,
        in_a_table,
        lambda text: LogProgress(out.print).say(text),
        lambda text: BarProgress(out).say(text),
    ],
    ids=["output", "errors", "tables", "log", "bar"],
)
def test_no_printer_gives_a_terminal_what_it_would_obey(
    write: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    write(WRITTEN_BY_A_MODEL)
    printed = "".join(capsys.readouterr())
    assert PRINTED in printed
    assert "\x1b" not in printed
    assert "\u202e" not in printed


def test_a_run_logs_nothing_that_a_terminal_would_obey() -> None:
    lines: list[str] = []
    log = LogProgress(lines.append)
    log.start(WRITTEN_BY_A_MODEL, 2, "tokens")
    log.advance(1, 1)
    log.finish()
    assert len(lines) == 1
    assert lines[0].startswith(f"{PRINTED}: 50%, 1 tokens, ")


@pytest.mark.parametrize(
    ("command", "slow"),
    [
        ("--help", {"duckdb", "pyarrow", "pydantic", "sqlalchemy", "dagster", "torch"}),
        ("tables", {"pandas", "sqlalchemy", "dagster", "torch"}),
    ],
)
def test_a_command_imports_nothing_slow_that_it_does_not_need(
    tmp_path: Path, command: str, slow: set[str]
) -> None:
    code = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr))"
    code += "; from orchestration.main import main; main()"
    process = [sys.executable, "-c", code, command]
    finished = subprocess.run(process, cwd=tmp_path, capture_output=True, text=True, check=True)
    loaded = set(finished.stderr.split())
    assert "typer" in loaded
    assert not slow & loaded
