"""Folders for what a process needs while it runs. What a dead one left the next one removes."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from warehouse.lake import Lake

_LOCK = "lock"
_OLD = 24 * 60 * 60
"""Seconds after which what has no lock is nobody's."""


@contextmanager
def scratch(lake: Lake) -> Iterator[Path]:
    """Gives a folder in the lake's staging, and removes it at the end.

    A lock on a file in it says that its process is alive, as the operating system drops the lock
    when the process ends, however it does. So folders of processes that were killed are told apart
    safely, and are removed here.

    Args:
        lake: The lake.

    Raises:
        OSError: The lake cannot be written to.
    """
    parent = lake.staging / "scratch"
    parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(lake)
    folder, lock = _claim(parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def remove_abandoned(lake: Lake) -> None:
    """Removes the folders of processes that have ended."""
    with suppress(FileNotFoundError):
        for entry in os.scandir(lake.staging / "scratch"):
            # Another process may remove it at the same time.
            with suppress(OSError):
                _remove_if_abandoned(entry)


def _claim(parent: Path) -> tuple[Path, int]:
    while True:
        folder = parent / f"{os.getpid()}-{secrets.token_hex(8)}"
        folder.mkdir()
        lock = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        flock(lock, LOCK_EX)
        if (folder / _LOCK).exists():
            return folder, lock
        os.close(lock)  # another process took it for abandoned, before it was locked


def _remove_if_abandoned(entry: os.DirEntry[str]) -> None:
    try:
        lock = os.open(f"{entry.path}/{_LOCK}", os.O_RDWR)
    except (FileNotFoundError, NotADirectoryError):
        # It is being made or removed just now; or it is of a version that had no locks.
        if time.time() - entry.stat(follow_symlinks=False).st_mtime > _OLD:
            _remove(entry)
        return
    try:
        flock(lock, LOCK_EX | LOCK_NB)
        _remove(entry)
    finally:
        os.close(lock)


def _remove(entry: os.DirEntry[str]) -> None:
    if entry.is_dir(follow_symlinks=False):
        shutil.rmtree(entry.path, ignore_errors=True)
    else:
        os.unlink(entry.path)
