"""What a machine refuses, in a sentence that says what to do: its disk, memory or permissions.

Nothing of it is wrong with Anchorlake, and trying again at once changes nothing.
"""

from __future__ import annotations

import errno
import sqlite3
from typing import TYPE_CHECKING

import duckdb

from assets.study.errors import shown
from orchestration.streams import PrintError

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST_SHOWN = 300
"""Characters of a path."""
_FULL = "no space is left on the disk; make some, and the same command goes on from there"
_NO_MEMORY = (
    "this machine's memory is not enough; free some, or ask for less at once, such as with a "
    "checkpoint's `batch_tokens:`"
)
_REASONS = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: "the disk has no more room for you; make some, and the same command goes on",
    errno.EACCES: "permission denied; change who may read and write there, or name another place",
    errno.EPERM: "permission denied; change who may read and write there, or name another place",
    errno.EROFS: "the disk can only be read; name another place",
    errno.ENAMETOOLONG: "the name is too long for the disk; choose a shorter one",
    errno.ENOENT: "there is no such file or folder; look whether something removed it",
    errno.ENOTDIR: "a part of the path is no folder; name another place",
    errno.EISDIR: "a folder is in the place of a file; move it away",
    errno.EEXIST: "a file is in the place of a folder; move it away",
    errno.ELOOP: "links lead to each other; name another place",
    errno.ENXIO: "it is no file; name another one",
    errno.EIO: "the disk cannot be read or written; look whether it is damaged",
    errno.EFBIG: "the file would be larger than the disk allows; name another place",
    errno.EMFILE: "too many files are open; allow more with `ulimit -n`",
    errno.ENFILE: "too many files are open on this machine; close some",
    errno.ENOMEM: _NO_MEMORY,
}


def trouble(error: BaseException) -> str | None:
    """What the machine refused, where that is what an error, or one that led to it, tells of.

    Returns:
        A sentence; None of any other error.
    """
    for cause in _causes(error):
        if isinstance(cause, PrintError):
            return str(cause)
        if isinstance(cause, MemoryError | duckdb.OutOfMemoryException):
            return _NO_MEMORY
        if isinstance(cause, OSError) and cause.errno in _REASONS:
            reason = _REASONS[cause.errno]
            path = cause.filename2 or cause.filename  # what is in the way of a file that is moved
            return reason if path is None else f"{shown(str(path), _LONGEST_SHOWN)}: {reason}"
        if isinstance(cause, sqlite3.Error) and (said := _of_database(cause)):
            return said
        if said := _of_server(cause):
            return said
        if isinstance(cause, duckdb.IOException):
            message = str(cause).partition("\n")[0]
            return _FULL if "No space left" in message else f"{message}; look at the file or disk"
    return None


def _of_database(error: sqlite3.Error) -> str | None:
    """Dagster's databases are the only ones of SQLite."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return _FULL
    if code == sqlite3.SQLITE_BUSY:
        return "another process keeps Dagster's database locked; end it, or wait until it is done"
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR):
        return (
            f"Dagster's database cannot be written ({error}); look whether the disk is full, and "
            "who may write to the folder .dagster of the lake, or to $DAGSTER_HOME"
        )
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return (
            f"a database of Dagster is damaged ({error}); move the folder .dagster of the lake, or "
            "$DAGSTER_HOME, away: Dagster begins a new history, and the lake's tables stay"
        )
    return None


def _of_server(error: BaseException) -> str | None:
    """A database of Dagster's that is no file, such as PostgreSQL."""
    import sqlalchemy.exc  # takes longer than all that most commands import

    if not isinstance(error, sqlalchemy.exc.OperationalError):
        return None
    if error.orig is None or isinstance(error.orig, sqlite3.Error):
        return None
    return (
        f"Dagster's database cannot be reached ({' '.join(str(error.orig).split())}); look whether "
        "it runs, and at its address in $ANCHORLAKE_POSTGRES or dagster.yaml"
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error, and those that led to it."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__
