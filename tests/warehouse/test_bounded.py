from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import BinaryIO

import psutil
import pytest

from warehouse import QueryError
from warehouse.bounded import BoundsError, run_bounded

pytestmark = pytest.mark.whole

MEMORY = 64 << 20
only_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds memory limits")


def answer(*arguments: object, work: object = None, **bounds: float) -> bytes:
    pieces: list[bytes] = []
    settings = {"memory": MEMORY, "seconds": 60} | bounds
    run_bounded(work, *arguments, output=pieces.append, **settings)  # type: ignore[arg-type]
    return b"".join(pieces)


def write(file: BinaryIO, content: bytes, times: int) -> None:
    for _ in range(times):
        file.write(content)


def fail(file: BinaryIO) -> None:
    file.write(b"begun")
    raise QueryError("this is wrong")


def fail_strangely(file: BinaryIO) -> None:
    class StrangeError(Exception):
        def __init__(self, one: int, other: int) -> None:
            super().__init__(f"{one} and {other}")

    raise StrangeError(1, 2)


def allocate(file: BinaryIO, size: int) -> None:
    file.write(b"%d" % len(bytearray(size)))


def wait(file: BinaryIO) -> None:
    time.sleep(600)


def end(file: BinaryIO) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.core
def test_what_is_written_arrives() -> None:
    assert answer(b"0123456789", 100_000, work=write) == b"0123456789" * 100_000
    assert answer(b"", 0, work=write) == b""


def test_an_error_arrives_with_its_traceback() -> None:
    with pytest.raises(QueryError, match="this is wrong") as caught:
        answer(work=fail)
    assert "in fail" in caught.value.__notes__[0]
    with pytest.raises(RuntimeError, match="StrangeError: 1 and 2"):
        answer(work=fail_strangely)


@only_linux
def test_the_system_refuses_memory_over_the_limit() -> None:
    assert answer(MEMORY, work=allocate) == b"%d" % MEMORY
    with pytest.raises(MemoryError):
        answer(1 << 30, work=allocate)
    assert answer(1 << 30, work=allocate, memory=1 << 30) == b"%d" % (1 << 30)


def test_time_over_the_limit_ends_it() -> None:
    began = time.monotonic()
    with pytest.raises(BoundsError) as caught:
        answer(work=wait, seconds=0.2)
    assert caught.value.timed_out
    assert 0.2 <= time.monotonic() - began < 30


def test_time_that_the_output_takes_does_not_count() -> None:
    taken = []

    def take(content: bytes) -> None:
        time.sleep(0.3)
        taken.append(content)

    run_bounded(write, bytes(1 << 16), 8, memory=MEMORY, seconds=2, output=take)
    assert len(b"".join(taken)) == 8 << 16


def test_a_process_that_the_system_ends_is_told() -> None:
    with pytest.raises(BoundsError, match="-9") as caught:
        answer(work=end)
    assert not caught.value.timed_out


def test_it_ends_with_the_process_that_waits_for_it() -> None:
    code = (
        "from tests.warehouse.test_bounded import wait\n"
        "from warehouse.bounded import run_bounded\n"
        "run_bounded(wait, memory=1 << 26, seconds=60, output=print)\n"
    )
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(root)}
    parent = psutil.Popen([sys.executable, "-c", code], env=environment)
    while not (children := parent.children()) and parent.is_running():
        time.sleep(0.01)
    parent.kill()
    parent.wait(60)
    _, alive = psutil.wait_procs(children, timeout=60)
    assert children
    assert alive == []
