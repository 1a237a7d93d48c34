"""Two runs on one lake at once do the work of one."""

from __future__ import annotations

import random
import shutil
import time
from typing import TYPE_CHECKING

import pytest

from tests.soak.lakes import Tally, finish, report, start, write_study

if TYPE_CHECKING:
    from pathlib import Path

    from models import Source


@pytest.mark.soak
def test_twenty_pairs_lose_and_repeat_nothing(
    tmp_path: Path, llama_source: Source, gemma: Source
) -> None:
    write_study(tmp_path, str(llama_source), str(gemma), whole=False)
    finish(tmp_path, "undisturbed")
    moments = random.Random(2)
    tally = Tally()
    for _ in range(20):
        first = start(tmp_path, "shared")
        time.sleep(moments.uniform(0, 2))
        second = start(tmp_path, "shared")
        for process in (first, second):
            process.join(300)
        assert (first.exitcode, second.exitcode) == (0, 0), (tmp_path / "shared.log").read_text()
        tally.faults["a second run beside"] += 1
        tally.compare(tmp_path / "shared", tmp_path / "undisturbed")
        shutil.rmtree(tmp_path / "shared")
    report(tally)
    assert (tally.lost, tally.repeated, tally.different) == (0, 0, set())
