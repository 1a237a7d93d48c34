"""A run that was stopped anywhere ends with the files of one that was not."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from models import sampling as model_sampling
from models import scoring as model_scoring

if TYPE_CHECKING:
    from pathlib import Path

    from tests.studies import Bench

_MADE = ("generations", "token_distributions")
_SETTINGS: dict[str, Any] = {
    "samples_per_prompt": 6,
    "max_new_tokens": 24,
    "corpora": [{"name": "notes", "source": "file:note*.txt"}],
}


def files(bench: Bench) -> dict[str, bytes]:
    """What the lake has of the tables, by place."""
    paths: list[Path] = [path for table in _MADE for path in (bench.lake.root / table).glob("*/*")]
    return {str(path.relative_to(bench.lake.root)): path.read_bytes() for path in paths}


class Stopped(BaseException):
    """Stands for a kill."""


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches small enough for there to be many."""
    monkeypatch.setattr("models.LanguageModel.rows_that_fit", lambda self, length: 4)
    monkeypatch.setattr("models.scoring.GROUP_TOKENS", 150)
    monkeypatch.setattr(model_scoring.score, "__kwdefaults__", _kwdefaults(group_tokens=150))


def _kwdefaults(**changed: Any) -> dict[str, Any]:
    defaults = model_scoring.score.__kwdefaults__
    assert defaults is not None
    return {**defaults, **changed}


@pytest.mark.core
@pytest.mark.usefixtures("small_batches")
def test_a_run_that_is_stopped_at_every_batch_ends_byte_for_byte_as_one_that_is_not(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(12):
        text = f"Note {i}: " + "the tide is out " * (1 + i % 4)
        (bench.folder / f"note{i:02}.txt").write_text(text)
    study = bench.study(**_SETTINGS)
    bench.run(study, only=_MADE)
    undisturbed = files(bench)
    assert len(undisturbed) == 2
    shutil.rmtree(bench.lake.root)

    n_batches = 0
    for module, name in ((model_sampling, "_run_batch"), (model_scoring, "_start_batch")):
        original = getattr(module, name)

        def stopping(*arguments: Any, original: Any = original) -> Any:
            nonlocal n_batches
            result = original(*arguments)
            n_batches += 1
            if n_batches % 2 == 0:  # after its work is done, and before it is kept
                raise Stopped
            return result

        monkeypatch.setattr(module, name, stopping)
    n_stops = 0
    while True:
        try:
            bench.run(study, only=_MADE)
        except Stopped:
            n_stops += 1
            assert n_stops < 200
        else:
            break
    assert n_stops > 10
    assert files(bench) == undisturbed


@pytest.mark.usefixtures("small_batches")
def test_staged_rows_that_a_disk_damaged_are_made_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = bench.study(**_SETTINGS | {"corpora": []})
    bench.run(study, only=("generations",))
    undisturbed = files(bench)
    shutil.rmtree(bench.lake.root)
    n_batches = 0
    original = model_sampling._run_batch

    def stopping(*arguments: Any) -> Any:
        nonlocal n_batches
        n_batches += 1
        if n_batches == 4:
            raise Stopped
        return original(*arguments)

    monkeypatch.setattr(model_sampling, "_run_batch", stopping)
    with pytest.raises(Stopped):
        bench.run(study, only=("generations",))
    staged = sorted((bench.lake.staging / "generations" / "llama").glob("*.parquet"))
    assert len(staged) == 3
    content = bytearray(staged[1].read_bytes())
    content[len(content) // 3] ^= 1
    staged[1].write_bytes(content)
    staged[2].write_bytes(staged[2].read_bytes()[:100])
    made = bench.run(study, only=("generations",))["generations", "llama"]
    assert made.notes["generations kept from before"] == 4
    assert files(bench) == undisturbed
