"""Running a function in a process of its own, within limits that the operating system holds."""

from __future__ import annotations

import io
import multiprocessing
import multiprocessing.connection
import os
import pickle
import resource
import signal
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

_CHUNK = 1 << 16
_SPARE = 512 << 20
"""Bytes that a process may use beyond a quarter more than its limit: stacks of threads, buffers."""


class BoundsError(RuntimeError):
    """A process that took longer than it may, or was ended, as it is where memory runs out.

    Attributes:
        timed_out: Whether it took longer than it may.
    """

    def __init__(self, message: str, *, timed_out: bool) -> None:
        super().__init__(message)
        self.timed_out = timed_out


def run_bounded(
    work: Callable[..., None],
    *arguments: Any,
    memory: int,
    seconds: float,
    output: Callable[[bytes], None],
) -> None:
    """Runs a function in a process of its own, and passes on what it writes.

    On Linux the operating system refuses the process memory that is more than a quarter, and half a
    gigabyte, over the limit; elsewhere it holds the time alone. The process ends with this one,
    however that ends.

    Args:
        work: A function of a module, given a file to write to, and the arguments.
        arguments: What it is given; elsewhere than on Linux they are pickled.
        memory: What the process may use, in bytes.
        seconds: How long it may take. Time that `output` takes does not count.
        output: Given what it writes, piece by piece.

    Raises:
        BoundsError: It took too long, or was ended by the system.
        Exception: What the function raised, with its traceback as a note.
    """
    # A fork takes milliseconds. On macOS it is not safe, as the system's libraries have threads.
    context: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(sender, memory, work, arguments), daemon=True)
    process.start()
    sender.close()
    try:
        while (message := _received(receiver, process, seconds)) is not None:
            waited, content = message
            seconds -= waited
            if isinstance(content, BaseException):
                raise content
            output(content)
    finally:
        process.kill()
        process.join()
        receiver.close()


def _received(
    receiver: Connection, process: Any, seconds: float
) -> tuple[float, bytes | BaseException] | None:
    """The next message and how long it took; None where the process is done."""
    began = time.monotonic()
    if not receiver.poll(max(0.0, seconds)):
        raise BoundsError("it took too long", timed_out=True)
    try:
        content = receiver.recv()
    except EOFError:
        process.join()
        raise BoundsError(f"it ended with {process.exitcode}", timed_out=False) from None
    return None if content is None else (time.monotonic() - began, content)


def _work(
    sender: Connection, memory: int, work: Callable[..., None], arguments: tuple[Any, ...]
) -> None:
    """What the process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one that waits for it decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libraries write there as they abort
    _limit_memory(memory)
    try:
        with io.BufferedWriter(_Sender(sender), _CHUNK) as file:
            work(file, *arguments)
        sender.send(None)
    except BaseException as error:
        error.add_note(traceback.format_exc())
        sender.send(_picklable(error))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


def _limit_memory(memory: int) -> None:
    """Limits what the process may write to: its heap, and what it maps for itself alone."""
    if sys.platform == "linux":
        # Address space (RLIMIT_AS) is no measure: most of what threads reserve is never used.
        limit = psutil.Process().memory_info().data + memory + memory // 4 + _SPARE
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _picklable(error: BaseException) -> BaseException:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


class _Sender(io.RawIOBase):
    """A file whose content is sent to the process that waits."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._connection.send(bytes(data))
        return len(data)
