"""Files and folders that a power cut cannot halve."""

from __future__ import annotations

import os
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def in_one_step(target: Path) -> Iterator[Path]:
    """Gives a file to write beside another, which it replaces at the end, if all goes well."""
    unfinished = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        yield unfinished
        publish(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)


def publish(unfinished: Path, target: Path) -> None:
    """Moves a file into place in one step that a power cut cannot halve.

    Its content reaches the disk before its name does, and the name before this returns.
    """
    _flush(unfinished)
    make_folder(target.parent)
    unfinished.replace(target)
    _flush(target.parent)


def make_folder(folder: Path) -> None:
    """Makes a folder and those above it, each of them durably."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _flush(folder.parent)


def _flush(path: Path) -> None:
    """Has a file's content, or a folder's names, written to the disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
