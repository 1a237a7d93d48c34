"""A run may be killed at any moment: nothing is lost, and nothing is made twice."""

from __future__ import annotations

import random
import shutil
import time
from typing import TYPE_CHECKING

import pytest

from tests.soak.lakes import Tally, finish, kill, report, start, write_study

if TYPE_CHECKING:
    from pathlib import Path

    from models import Source


def soak(folder: Path, n_kills: int, seed: int, longest: float, command: str) -> Tally:
    """Kills runs at seeded moments, lets each lake be finished, and compares it.

    Args:
        folder: The folder of a study.
        n_kills: Kills in all.
        seed: Of their moments.
        longest: Seconds that a run has at most, before it is killed.
        command: What is run.
    """
    finish(folder, "undisturbed", command)
    moments = random.Random(seed)
    tally = Tally()
    lake = "killed"
    while tally.faults["kill -9"] < n_kills:
        process = start(folder, lake, command=command)
        process.join(moments.uniform(0.05, longest))
        if process.exitcode is None:
            kill(process)
            tally.faults["kill -9"] += 1
            tally.resumed += 1
            continue
        assert process.exitcode == 0, (folder / f"{lake}.log").read_text()[-3000:]
        tally.compare(folder / lake, folder / "undisturbed")
        shutil.rmtree(folder / lake)
    finish(folder, lake, command)
    tally.compare(folder / lake, folder / "undisturbed")
    leftovers = [path.name for path in (folder / lake / ".staging").iterdir()]
    assert not [name for name in leftovers if name.endswith((".parquet", ".duckdb"))], leftovers
    report(tally)
    return tally


@pytest.mark.slow
def test_a_run_that_is_killed_time_and_again_ends_as_one_that_is_not(
    tmp_path: Path, llama_source: Source, gemma: Source
) -> None:
    write_study(tmp_path, str(llama_source), str(gemma), whole=False)
    tally = soak(tmp_path, 4, seed=0, longest=1.0, command="materialize")
    assert (tally.lost, tally.repeated, tally.different) == (0, 0, set())


@pytest.mark.soak
def test_two_hundred_kills_over_all_stages(
    tmp_path: Path, llama_source: Source, gemma: Source
) -> None:
    write_study(tmp_path, str(llama_source), str(gemma), whole=True)
    start_time = time.monotonic()
    tally = soak(tmp_path, 200, seed=1, longest=6.0, command="run")
    print(f"{time.monotonic() - start_time:.0f} s")
    assert (tally.lost, tally.repeated, tally.different) == (0, 0, set())
