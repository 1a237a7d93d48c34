"""Writes of DuckDB and Arrow may fail, too: a shim stands between them and the C library."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.soak.lakes import Tally, finish, report, write_study

if TYPE_CHECKING:
    from models import Source

_HERE = Path(__file__).parent
_RUNS, _FAULTS = 6, 40


@pytest.mark.soak
@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_writes_below_python_may_fail(tmp_path: Path, llama_source: Source, gemma: Source) -> None:
    shim = tmp_path / "shim.so"
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-O2", "-o", shim, _HERE / "shim.c", "-ldl"], check=True
    )
    write_study(tmp_path, str(llama_source), str(gemma), whole=True)
    finish(tmp_path, "undisturbed", "materialize")
    tally = Tally()
    for seed in range(_RUNS):
        done = subprocess.run(
            [sys.executable, "-m", "tests.soak.shimmed", tmp_path, shim, str(seed), str(_FAULTS)],
            cwd=_HERE.parents[1],
            env=os.environ | {"LD_PRELOAD": str(shim)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        for line in done.stdout.splitlines():
            error, _, said = line.partition(": ")
            tally.faults[f"{error} below Python"] += 1
            tally.resumed += bool(said)
        tally.compare(tmp_path / "lake", tmp_path / "undisturbed")
        shutil.rmtree(tmp_path / "lake")
    report(tally)
    assert tally.faults.total() >= _RUNS * 10
    assert (tally.lost, tally.repeated, tally.different) == (0, 0, set())
