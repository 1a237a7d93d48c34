"""A model in several processes at once, which share out what it is run for.

Whoever runs a model for much cuts that into pieces, by one rule whatever the number of processes.
A piece is worked on as a whole, by whichever process is free, so what comes of it is the same. The
processes keep nothing: what is finished goes to this one at once.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import wait
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeVar

import torch

from models.devices import resolve_device
from models.errors import ModelError
from models.language_model import LanguageModel
from models.loading import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from multiprocessing.connection import Connection

    from models.sources.source import Source

Piece = TypeVar("Piece")
Result = TypeVar("Result")
Taken = TypeVar("Taken", contravariant=True)
Given = TypeVar("Given", covariant=True)

_WORKER = "models.shard_worker"
_AHEAD = 2
"""Pieces that a process has at most, so that it begins the next one without waiting for us."""
_SECONDS_TO_END = 5
"""In which a process that has closed its end is expected to be gone."""


class Work(Protocol[Taken, Given]):
    """What a model is run for; pickled, as it goes from one process to another."""

    def room(self, model: LanguageModel) -> int:
        """How much of it a loaded model's memory holds at once, which pieces are cut by."""

    def results(
        self,
        model: LanguageModel,
        room: int,
        pieces: Iterable[Taken],
        told: Callable[..., None],
    ) -> Iterator[Given]:
        """Works on pieces, one result each; `told` is called with numbers that add up."""


def run(
    model: LanguageModel,
    work: Work[Piece, Result],
    cut: Callable[[int], Iterable[Piece]],
    told: Callable[..., None],
) -> Iterator[Result]:
    """Runs a model, in this process or in those that it is in.

    Args:
        model: The model.
        work: What it is run for.
        cut: Gives the pieces of that, by how much the model's memory holds at once.
        told: Called with how much was done since the last call.

    Yields:
        The result of each piece: in their order where the model is in this process, else as soon as
        it is there.

    Raises:
        ModelError: One of the model's processes ended; or as `work` does.
    """
    if isinstance(model, ShardedModel):
        yield from model.run(work, cut, told)
    else:
        room = work.room(model)
        yield from work.results(model, room, cut(room), told)


class ShardedModel(LanguageModel):
    """What is known of a model without its weights, and processes that have them.

    They are started when the model is first run, and again after they were ended.
    """

    def __init__(
        self, source: Source, n_shards: int, *, device: str | None = None, dtype: str = "auto"
    ) -> None:
        """Describes the model.

        Args:
            source: Where it is.
            n_shards: The number of processes.
            device: As for `load`; without a number, they take the GPUs in turn.
            dtype: As for `load`.

        Raises:
            ModelError: As `load` does.
        """
        self._place = resolve_device(device)
        facts = describe(source, device=device, dtype=dtype)
        super().__init__(facts.model, facts.tokenizer, facts.stop_token_ids, facts.revision)
        self._loading = (source, str(self._place), dtype)
        self._n_shards = n_shards
        self._all: list[_Shard] = []
        self._idle: list[_Shard] = []

    @property
    def device(self) -> torch.device:
        """Where the processes have it; each may see another GPU there."""
        return self._place

    def run(
        self,
        work: Work[Piece, Result],
        cut: Callable[[int], Iterable[Piece]],
        told: Callable[..., None],
    ) -> Iterator[Result]:
        """As the function `run` does, in the processes; one run ends before the next begins."""
        shards, self._idle = self._idle or self._started(), []
        self._all = shards
        try:
            for shard in shards:
                shard.send((work, self.batch_tokens))
            # The least of them, as pieces must not depend on who works on them.
            room = min(shard.receive_room() for shard in shards)
            for shard in shards:
                shard.send(room)
            yield from _results(shards, iter(cut(room)), told)
            self._idle = shards
        finally:
            if self._idle is not shards:  # they are still at work on what nobody wants any more
                _end(shards)

    def _started(self) -> list[_Shard]:
        self.close()
        shards = [_Shard.start(i, self._n_shards, self._place) for i in range(self._n_shards)]
        for shard in shards:
            shard.send(self._loading)
        return shards

    def close(self) -> None:
        """Ends the processes."""
        _end(self._all)
        self._all = self._idle = []


def _results(
    shards: list[_Shard], pieces: Iterator[Any], told: Callable[..., None]
) -> Iterator[Any]:
    to_be_fed = set(shards)

    def feed(shard: _Shard) -> None:
        if shard in to_be_fed:
            piece = next(pieces, None)
            shard.send(piece)
            if piece is None:
                to_be_fed.remove(shard)

    for _ in range(_AHEAD):
        for shard in shards:
            feed(shard)
    at_work = {shard.connection: shard for shard in shards}
    while at_work:
        for connection in wait(list(at_work)):
            shard = at_work[connection]  # type: ignore[index]
            kind, value = shard.receive()
            if kind == "told":
                told(*value)
            elif kind == "result":
                feed(shard)
                yield value
            else:
                del at_work[shard.connection]


def _end(shards: list[_Shard]) -> None:
    for shard in shards:
        shard.end()


@dataclass(eq=False)
class _Shard:
    """A process that has the model.

    Attributes:
        name: What messages call it.
        connection: Our end of what it is told and tells by.
        process: The process.
        printed: What it prints.
    """

    name: str
    connection: Connection
    process: subprocess.Popen[bytes]
    printed: IO[bytes] = field(repr=False)

    @classmethod
    def start(cls, number: int, n_shards: int, place: torch.device) -> _Shard:
        ours, theirs = Pipe()
        printed = tempfile.TemporaryFile()  # noqa: SIM115 closed by `end`
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", _WORKER, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=printed,
            env=_environment(number, place),
            start_new_session=True,  # Ctrl-C is for the run, which ends it
        )
        theirs.close()
        return cls(f"{number + 1} of {n_shards}", ours, process, printed)

    def send(self, message: Any) -> None:
        with suppress(OSError):  # it has ended: `receive` finds out, and why
            self.connection.send(message)

    def receive_room(self) -> int:
        _, room = self.receive()
        return int(room)

    def receive(self) -> tuple[str, Any]:
        """What it tells next.

        Raises:
            ModelError: It ended.
            Exception: What it raised.
        """
        try:
            kind, value = self.connection.recv()
        except (EOFError, OSError):
            raise self._death() from None
        if kind == "failed":
            error, trace = value
            raise error from RuntimeError(f"in shard {self.name}:\n{trace}")
        return kind, value

    def _death(self) -> ModelError:
        try:
            status = self.process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            status = 0
        if status == -signal.SIGKILL:
            how = "was killed, as happens where the machine's memory is not enough"
        else:
            how = f"ended with status {status} ({self._last_line()})"
        return ModelError(
            f"shard {self.name} {how}; what was finished is kept, and the next run goes on from "
            "there; lower `shards:` or `batch_tokens:` if it happens again"
        )

    def _last_line(self) -> str:
        self.printed.seek(0)
        lines = self.printed.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")

    def end(self) -> None:
        self.connection.close()
        self.process.kill()
        self.process.wait()
        self.printed.close()


def _environment(number: int, place: torch.device) -> dict[str, str]:
    """What a process sees of ours; each has as many threads, and of several GPUs one."""
    environment = {
        **os.environ,
        # With fewer, a CPU adds up in another order, and last bits would not be those of one alone.
        "OMP_NUM_THREADS": str(torch.get_num_threads()),
        # Modules that this process has from a folder are not found by another one's.
        "PYTHONPATH": os.pathsep.join(
            [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
        ),
    }
    if place.type == "cuda" and place.index is None:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        gpus = visible.split(",") if visible else [str(i) for i in range(torch.cuda.device_count())]
        environment["CUDA_VISIBLE_DEVICES"] = gpus[number % len(gpus)]
    return environment


def sendable(error: BaseException) -> BaseException:
    """An error as it can be sent to another process: itself, or one with its message."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # what an exception that cannot be pickled raises has no common type
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
