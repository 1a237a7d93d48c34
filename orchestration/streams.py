"""Standard output and error that outlive who reads them: a closed pipe or full disk ends no work.

Python raises where it cannot print, in the middle of whatever prints. Here what cannot be printed
is dropped, and what was wrong is remembered for the end.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class PrintError(OSError):
    """What was printed is lost."""


class Stream:
    """A stream of text that writing to never fails.

    Attributes:
        lost: Why what was written is lost; empty as long as it is not, or nobody wants it.
    """

    def __init__(self, stream: TextIO) -> None:
        """Takes the stream that is written to."""
        self._stream = stream
        self.lost = ""
        if isinstance(stream, io.TextIOWrapper):  # a test's may be another
            with suppress(OSError):  # where it is closed already
                stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        """Writes it, or drops it."""
        try:
            self._stream.write(text)
        except OSError as error:
            self._lose(error)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Writes them, or drops them."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Writes what waits to be written, or drops it."""
        try:
            self._stream.flush()
        except OSError as error:
            self._lose(error)

    def _lose(self, error: OSError) -> None:
        if error.errno != errno.EPIPE:  # who reads no further has seen enough, such as `head`
            self.lost = self.lost or error.strerror or str(error)
        with suppress(OSError, ValueError):
            discard(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def discard(stream: TextIO) -> None:
    """Has a stream write nowhere: what it still holds would be tried again as Python ends.

    Raises:
        OSError: It is no stream of the system's.
        ValueError: It is closed.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream.fileno())
    finally:
        os.close(nowhere)


@contextmanager
def unfailing() -> Iterator[None]:
    """Puts such streams in the place of standard output and error, as long as they are there.

    Raises:
        PrintError: At the end, where what was printed is lost.
    """
    before = sys.stdout, sys.stderr
    out = None if sys.stdout is None else Stream(sys.stdout)
    if out is not None:
        sys.stdout = out
    if sys.stderr is not None:
        sys.stderr = Stream(sys.stderr)
    try:
        yield
        if out is not None:
            out.flush()
            if out.lost:
                raise PrintError(
                    f"what is printed cannot be written: {out.lost}; print it somewhere else"
                )
    finally:
        sys.stdout, sys.stderr = before
