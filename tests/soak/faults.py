"""Errors in place of file operations: those of our own storage layer, each of them in turn."""

from __future__ import annotations

import os
import re
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_NAMES_OF_A_MOMENT = re.compile(r"[0-9a-f]{12,}|[0-9]{6}\.")


class Faults:
    """Has each operation on a lake's files fail once with each of some errors.

    An operation is known by what it does and by the file that it does it to, so that a run that
    tries it again gets past it.

    Attributes:
        injected: Operations that failed, by error and by what they do.
    """

    def __init__(self, root: Path, errors: tuple[int, ...], every: int = 1) -> None:
        """Begins without any.

        Args:
            root: The lake; what is done elsewhere succeeds.
            errors: Numbers of errors, such as `errno.EIO`.
            every: Of so many operations one fails.
        """
        self.injected: Counter[str] = Counter()
        self._root = os.path.realpath(root)
        self._errors = errors
        self._every = every
        self._seen: Counter[tuple[str, str]] = Counter()
        self._n_seen = 0

    @contextmanager
    def on(self) -> Iterator[None]:
        """Injects them while it is open."""
        with pytest.MonkeyPatch.context() as patch:
            for owner, name in (
                (Path, "replace"),
                (Path, "mkdir"),
                (Path, "rename"),
                (Path, "write_text"),
                (Path, "write_bytes"),
                (pq.ParquetWriter, "__init__"),
                (pq.ParquetWriter, "write_batch"),
                (pq.ParquetWriter, "close"),
                (os, "fsync"),
                (os, "link"),
            ):
                patch.setattr(owner, name, self._failing(name, getattr(owner, name)))
            yield

    def _failing(self, name: str, operation: Callable[..., Any]) -> Callable[..., Any]:
        def failing(*arguments: Any, **keywords: Any) -> Any:
            self._fail(name, self._file(*arguments))
            return operation(*arguments, **keywords)

        return failing

    def _file(self, first: Any, *rest: Any) -> str:
        """The file that an operation is about, by its arguments."""
        if isinstance(first, int):
            return os.readlink(f"/proc/self/fd/{first}")
        if isinstance(first, pq.ParquetWriter):
            where = rest[0] if rest and not hasattr(rest[0], "schema") else first.where
            first._written_to = str(where) if isinstance(where, str | Path) else first._written_to
            return first._written_to
        return os.path.abspath(first)

    def _fail(self, name: str, file: str) -> None:
        if not file.startswith(self._root):
            return
        operation = name, _NAMES_OF_A_MOMENT.sub("*", file)
        self._seen[operation] += 1
        self._n_seen += 1
        turn = self._seen[operation] - 1
        if turn < len(self._errors) and self._n_seen % self._every == 0:
            number = self._errors[turn]
            self.injected[f"{os.strerror(number)} in {name}"] += 1
            raise OSError(number, os.strerror(number), file)
