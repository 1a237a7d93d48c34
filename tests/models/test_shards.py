"""A model in several processes: what is shared out, and how a process ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import torch

from models import ModelError, ModelPool
from models.shards import ShardedModel, _environment, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from models import LanguageModel, Source

ROOT = Path(__file__).parents[2]
_N = 2


@dataclass(frozen=True)
class Squares:
    """Gives each number's square, the process that made it, and what else it is told to do."""

    kill_at: int = -1
    fail_at: int = -1

    def room(self, model: LanguageModel) -> int:
        return os.getpid()

    def results(
        self,
        model: LanguageModel,
        room: int,
        pieces: Iterable[int],
        told: Callable[..., None],
    ) -> Iterator[tuple[int, int, int]]:
        for number in pieces:
            if number == self.kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            if number == self.fail_at:
                raise KeyError(f"no square of {number}")
            time.sleep(0.01)
            told(1, number)
            yield number**2, os.getpid(), room


def processes() -> list[psutil.Process]:
    """Those that have models for this one."""
    children = [child for child in psutil.Process().children() if child.is_running()]
    return [child for child in children if "models.shard_worker" in child.cmdline()]


@pytest.fixture(scope="module")
def model(llama_source: Source) -> Iterator[LanguageModel]:
    pool = ModelPool()
    model = pool.get(llama_source, shards=_N)
    assert processes() == []  # until it is run
    yield model
    pool.release()
    assert processes() == []


def _ignore(*done: int) -> None:
    """Is told of progress."""


def squares(model: LanguageModel, n: int, work: Squares | None = None) -> list[Any]:
    return list(run(model, work or Squares(), lambda room: range(n), _ignore))


def test_what_is_known_of_it_is_what_is_known_of_the_loaded_model(
    model: LanguageModel, llama_source: Source
) -> None:
    loaded = ModelPool().get(llama_source)
    for name in ("device", "dtype", "vocab_size", "n_parameters", "context_length"):
        assert getattr(model, name) == getattr(loaded, name)
    assert model.tokenizer_digest == loaded.tokenizer_digest
    assert model.stop_token_ids == loaded.stop_token_ids


@pytest.mark.whole
def test_every_piece_is_worked_on_once_and_each_process_has_some(model: LanguageModel) -> None:
    done = [0, 0]

    def told(pieces: int, numbers: int) -> None:
        done[0] += pieces
        done[1] += numbers

    rooms: list[int] = []

    def cut(room: int) -> Iterable[int]:
        rooms.append(room)
        return range(30)

    for _ in range(2):  # the processes are the same ones in the second run
        results = list(run(model, Squares(), cut, told))
        assert sorted(square for square, _, _ in results) == [n**2 for n in range(30)]
        assert {pid for _, pid, _ in results} == {process.pid for process in processes()}
        assert len(processes()) == _N
        # All have the room that the least of them has.
        least = min(process.pid for process in processes())
        assert {room for _, _, room in results} == {least}
    assert rooms == [rooms[0]] * 2 == [least] * 2
    assert done == [60, 2 * sum(range(30))]


@pytest.mark.whole
def test_there_may_be_fewer_pieces_than_processes(model: LanguageModel) -> None:
    assert squares(model, 0) == []
    assert [square for square, _, _ in squares(model, 1)] == [0]


@pytest.mark.slow
def test_what_a_process_raises_is_raised_here_and_ends_them_all(model: LanguageModel) -> None:
    with pytest.raises(KeyError, match="no square of 7") as raised:
        squares(model, 30, Squares(fail_at=7))
    assert "in results" in str(raised.value.__cause__)  # where it was raised
    assert processes() == []
    assert len(squares(model, 4)) == 4  # others are started


@pytest.mark.slow
def test_a_process_that_is_killed_is_told_in_a_sentence(model: LanguageModel) -> None:
    results = []

    def collect() -> None:
        for square, _, _ in run(model, Squares(kill_at=9), lambda room: range(30), _ignore):
            results.append(square)

    with pytest.raises(
        ModelError, match=r"^shard \d of 2 was killed, as happens where .* memory .* `shards:`"
    ):
        collect()
    assert results  # what was made before is there
    assert processes() == []


@pytest.mark.slow
def test_a_run_that_is_left_early_leaves_no_process_at_work(model: LanguageModel) -> None:
    running = run(model, Squares(), lambda room: range(10_000), _ignore)
    next(running)
    assert len(processes()) == _N
    running.close()  # type: ignore[attr-defined]
    assert processes() == []


@pytest.mark.slow
def test_a_run_does_not_mix_with_one_that_nobody_goes_on_with(model: LanguageModel) -> None:
    left = run(model, Squares(), lambda room: range(1000, 2000), _ignore)
    next(left)
    assert sorted(square for square, _, _ in squares(model, 5)) == [0, 1, 4, 9, 16]
    left.close()  # type: ignore[attr-defined]
    assert len(processes()) == _N  # those of the later run
    assert len(squares(model, 3)) == 3


_ENDLESS = """
import itertools, sys
from models import ModelPool, Source
from models.shards import run
from tests.models.test_shards import Squares, processes
model = ModelPool().get(Source("dir", sys.argv[1]), shards=2)
for _ in run(model, Squares(), lambda room: itertools.count(), lambda *done: None):
    print(*(process.pid for process in processes()), flush=True)
"""


@pytest.mark.slow
def test_processes_end_with_the_one_that_they_work_for(llama_source: Source) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", _ENDLESS, llama_source.location],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    children = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
    assert len(children) == 2
    parent.kill()  # which leaves it no time to end them
    parent.wait(10)
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []


def test_each_process_has_a_gpu_in_turn_and_as_many_threads_as_this_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("torch.get_num_threads", lambda: 8)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def given(name: str, device: str) -> list[str | None]:
        place = torch.device(device)
        return [_environment(number, place).get(name) for number in range(3)]

    assert given("OMP_NUM_THREADS", "cpu") == ["8"] * 3
    assert given("CUDA_VISIBLE_DEVICES", "cpu") == [None] * 3
    assert given("CUDA_VISIBLE_DEVICES", "cuda") == ["0", "1", "0"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-7f")
    assert given("CUDA_VISIBLE_DEVICES", "cuda") == ["4", "GPU-7f", "4"]
    assert given("CUDA_VISIBLE_DEVICES", "cuda:1") == ["4,GPU-7f"] * 3  # all on that one


@pytest.mark.slow
def test_weights_that_cannot_be_loaded_are_told_as_they_are_of_one_process(
    llama_source: Source, tmp_path: Path
) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(llama_source.location, folder)
    before = processes()
    model = ShardedModel(type(llama_source)("dir", str(folder)), _N)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:2000])
    with pytest.raises(ModelError, match=r"broken"):
        squares(model, 3)
    assert processes() == before
