"""Files that results go into: replaced whole or not at all, and never the lake's own."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from warehouse.results import ResultError, reason

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from warehouse.lake import Lake


@contextmanager
def replacing(path: Path, lake: Lake) -> Iterator[Path]:
    """Gives a file to write, which at the end takes the place of another if all went well.

    It is beside the other one, which it takes the permissions of. A device or a pipe is given
    itself.

    Args:
        path: The file that is to be replaced or made.
        lake: The lake, which nothing may be written into.

    Raises:
        ResultError: It cannot be written, or is the lake's.
    """
    try:
        target, mode = _look_at(path, lake)
        if target is None:
            unfinished = path
        else:
            unfinished = target.with_name(f".anchorlake-{secrets.token_hex(8)}")
            # While it is written nobody else can read what is to be a file that nobody else can.
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
            os.close(os.open(unfinished, flags, 0o666 if mode is None else 0o600))
    except (OSError, RuntimeError) as error:
        raise ResultError(f"{path} cannot be written: {reason(error)}") from None
    if target is None:
        yield unfinished
        return
    try:
        yield unfinished
        if mode is not None:
            unfinished.chmod(mode)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def _look_at(path: Path, lake: Lake) -> tuple[Path | None, int | None]:
    """The file that is to be replaced, and its permissions; None for what is not, or not there."""
    target = path.resolve()
    status = path.stat() if path.exists() else None
    if status is not None and stat.S_ISDIR(status.st_mode):
        raise ResultError(f"{path} is a folder; name a file")
    if _is_within(target, lake.root):
        raise ResultError(f"{path} is in the lake, where only runs write; name a file elsewhere")
    if status is None:
        return target, None
    if not stat.S_ISREG(status.st_mode) or path.absolute().is_relative_to("/dev"):
        return None, None
    if not os.access(target, os.W_OK):
        raise ResultError(f"{path} cannot be written: it may only be read")
    return target, stat.S_IMODE(status.st_mode)


def _is_within(target: Path, folder: Path) -> bool:
    """Whether a file is, or would be, in a folder, by whatever name the folder is reached."""
    status = folder.stat()
    return any(
        os.path.samestat(status, parent.stat()) for parent in target.parents if parent.exists()
    )
