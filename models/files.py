"""Files of the disk, and what is remembered of them for as long as they do not change."""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, NamedTuple, TypeVar, TypeVarTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_DATES_DIFFER = 2 * 10**9
"""Nanoseconds between two changes of a file that every file system gives different dates."""
_REMEMBERED = 1 << 16
"""Files and folders; of more than that, read in turn, none would be remembered."""

T = TypeVar("T")
Options = TypeVarTuple("Options")


class File(NamedTuple):
    """A file as it was when it was looked at.

    Attributes:
        path: Where it is.
        size: Bytes.
        modified: When it was last written to, in nanoseconds.
        inode: Which file it is; another one may be moved to its place.
    """

    path: Path
    size: int
    modified: int
    inode: int

    @classmethod
    def at(cls, path: Path) -> File:
        """Looks at a file; raises `OSError` where there is none."""
        return cls.of(path, path.stat())

    @classmethod
    def of(cls, path: Path, status: os.stat_result) -> File:
        """A file that was looked at already."""
        return cls(path, status.st_size, status.st_mtime_ns, status.st_ino)


_listed: ContextVar[dict[Path, tuple[File, ...]] | None] = ContextVar("listed", default=None)
"""The folders that were listed in the look that is being taken, if one is."""


@contextmanager
def one_look() -> Iterator[None]:
    """Lists each folder once until it ends: what is looked at is as it was at one moment.

    Whatever asks about thousands of checkpoints asks of each many times. Nothing that waits for a
    file to change, or notices that it has, belongs into one look.
    """
    if _listed.get() is not None:
        yield
        return
    token = _listed.set({})
    try:
        yield
    finally:
        _listed.reset(token)


def list_files(folder: Path) -> tuple[File, ...]:
    """The files directly in a folder, by name; none where there is no such folder."""
    listed = _listed.get()
    if listed is None:
        return _list_files(folder)
    if folder not in listed:
        listed[folder] = _list_files(folder)
    return listed[folder]


def _list_files(folder: Path) -> tuple[File, ...]:
    files = []
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            with suppress(OSError):  # it may be gone already
                if entry.is_file():
                    files.append(File.of(folder / entry.name, entry.stat()))
    return tuple(files)


def remembered(
    read: Callable[[tuple[File, ...], *Options], T], size: int = _REMEMBERED
) -> Callable[[tuple[File, ...], *Options], T]:
    """Remembers what was read of files for as long as none of them changes.

    Args:
        read: Reads files, of which it is told what they are.
        size: Of how many calls the results are remembered.
    """
    kept = lru_cache(maxsize=size)(read)

    def reading(files: tuple[File, ...], /, *options: *Options) -> T:
        # Who writes to a file twice in a moment may leave it with the same size and date.
        now = time.time_ns()
        settled = all(now - file.modified > _DATES_DIFFER for file in files)
        return (kept if settled else read)(files, *options)

    return reading


def read_once(read: Callable[[Path], T], size: int = _REMEMBERED) -> Callable[[Path], T]:
    """Makes a reader of whole files remember what it read of each until the file changes.

    Args:
        read: Reads a file.
        size: Of how many files it is remembered; a few only where what is read is large.
    """

    def read_file(files: tuple[File, ...]) -> T:
        return read(files[0].path)

    remembering = remembered(read_file, size)

    @wraps(read)
    def reading(path: Path) -> T:
        # Of what is no file, the reader itself says what is wrong.
        return remembering((File.at(path),)) if path.is_file() else read(path)

    return reading


@read_once
def file_digest(path: Path) -> str:
    """The SHA-256 of all of a file, in hexadecimal digits; raises `OSError` as opening it does."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
