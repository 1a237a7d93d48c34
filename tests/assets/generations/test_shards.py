"""A checkpoint in several processes has the rows of one, whatever happens to these."""

from __future__ import annotations

import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from assets.lineage import staging
from models import ModelError, ModelPool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from assets.study.study import Study
    from tests.studies import Bench

_TABLES = ("generations", "token_distributions")
_BATCH = 4 * 70
"""Tokens of four generations with the longest prompt."""


@pytest.fixture
def pool() -> Iterator[ModelPool]:
    pool = ModelPool()
    yield pool
    pool.release()


def files(bench: Bench) -> dict[str, bytes]:
    """What the lake has of the tables, by place."""
    paths = [path for table in _TABLES for path in (bench.lake.root / table).glob("*/*")]
    return {str(path.relative_to(bench.lake.root)): path.read_bytes() for path in paths}


def study(bench: Bench, shards: int) -> Study:
    """One of several batches of generations, and several groups of texts."""
    for i in range(12):
        text = f"Note {i}: " + "the tide is out " * (40 + 30 * (i % 4))
        (bench.folder / f"note{i:02}.txt").write_text(text)
    checkpoint: dict[str, Any] = {
        "name": "llama",
        "source": str(bench.llama),
        "decodings": [{"top_p": 0.9}, {"cautious": True, "top_p": 0.9}],
        "batch_tokens": _BATCH,
        "shards": shards,
    }
    return bench.study(
        samples_per_prompt=6,
        max_new_tokens=24,
        corpora=[{"name": "notes", "source": "file:note*.txt"}],
        checkpoints=[checkpoint],
    )


@pytest.mark.whole
@pytest.mark.parametrize("shards", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_files_are_byte_for_byte_those_of_one_process(
    bench: Bench, pool: ModelPool, shards: int
) -> None:
    bench.run(study(bench, 1), only=_TABLES)
    undisturbed = files(bench)
    assert len(undisturbed) == 2
    assert bench.run(study(bench, shards), pool, only=_TABLES) == {}  # nothing is stale
    shutil.rmtree(bench.lake.root)
    bench.run(study(bench, shards), pool, only=_TABLES)
    assert files(bench) == undisturbed


def workers() -> list[psutil.Process]:
    """The processes of shards that run."""
    running = []
    for child in psutil.Process().children():
        with suppress(
            psutil.NoSuchProcess
        ):  # as one is called too that ended and was not waited for
            running += [child] if "models.shard_worker" in child.cmdline() else []
    return running


@pytest.mark.slow
@pytest.mark.parametrize("table", _TABLES)
def test_a_killed_process_fails_the_asset_and_another_number_goes_on(
    bench: Bench, pool: ModelPool, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    bench.run(study(bench, 1), only=_TABLES)
    undisturbed = files(bench)
    shutil.rmtree(bench.lake.root)
    module = f"assets.{'generations' if table == 'generations' else 'predictions'}.{table}"

    def stage(*arguments: Any) -> None:
        staging.stage(*arguments)
        for worker in workers()[-1:]:
            worker.kill()

    with monkeypatch.context() as patch:
        patch.setattr(f"{module}.stage", stage)
        with pytest.raises(ModelError, match=r"shard \d of 3 was killed"):
            bench.run(study(bench, 3), pool, only=_TABLES)
    staged = list((bench.lake.staging / table / "llama").glob("**/*.parquet"))
    assert staged
    made = bench.run(study(bench, 2), pool, only=_TABLES)
    if table == "generations":
        assert made[table, "llama"].notes["generations kept from before"] > 0
    assert files(bench) == undisturbed
