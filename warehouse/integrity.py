"""Whether a file still holds what was written: its digest, and what was found of it before.

A Parquet file's footer holds a digest of the whole file, computed with the digest's own bytes as
zeros. Parquet's own checksums cover neither headers nor footers, and DuckDB does not look at them.
The digest finds what a disk or a transfer did to a file. It keeps nobody out: whoever can write to
the lake's folder can write a digest.

What was found of a file is kept in the lake, and holds for as long as the file is the same by its
size, date and inode. So a lake is read whole once, and not by every command.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import xxhash

if TYPE_CHECKING:
    from pathlib import Path

_DIGEST = "anchorlake.digest"
_SEALED = "anchorlake.sealed"
_HASH = "xxh3_128"
_DIGITS = 32
UNSEALED = {_SEALED: _HASH, _DIGEST: "0" * _DIGITS}
"""Key-value pairs for the footer of a file that `seal` is to close."""

_MAGIC = b"PAR1"
_PIECE = 1 << 20
"""Bytes that are read at once."""
_WORTH_REWRITING = 1000
"""Lines of a record that say nothing any more, before it is written anew."""

Identity = tuple[int, int, int]
"""Size, date and inode: what tells a file from the one that stood in its place before."""


def identity(status: os.stat_result) -> Identity:
    """Tells a file from the one that stood in its place before."""
    return status.st_size, status.st_mtime_ns, status.st_ino


def seal(file: Path) -> None:
    """Puts a file's digest into its footer, which has `UNSEALED`."""
    with file.open("r+b") as opened:
        footer = _footer(opened)
        place = None if footer is None else footer.place
        if place is None:
            raise ValueError(f"{file} has no room for a digest in its footer")
        digest = _digest(opened, place)
        opened.seek(place)
        opened.write(digest)


def is_whole(file: Path) -> bool:
    """Whether a Parquet file holds what was written; reads all of it.

    A file of an older version, which has no digest, is taken for whole if it ends as a Parquet file
    does.

    Raises:
        OSError: It cannot be read.
    """
    with file.open("rb") as opened:
        footer = _footer(opened)
        if footer is None:
            return False
        if footer.place is None:
            return not footer.is_sealed
        opened.seek(footer.place)
        held = opened.read(_DIGITS)
        return footer.is_sealed and held == _digest(opened, footer.place)


class _Footer(NamedTuple):
    """What a file's footer says of its digest.

    Attributes:
        is_sealed: Whether it says that there is one.
        place: Where the digest's own bytes are in the file; None where there are none.
    """

    is_sealed: bool
    place: int | None


def _footer(file: BinaryIO) -> _Footer | None:
    """Reads the footer; None where there is none."""
    size = file.seek(0, os.SEEK_END)
    if size < 12:
        return None
    file.seek(0)
    begins_well = file.read(4) == _MAGIC
    file.seek(size - 8)
    end = file.read(8)
    start = size - 8 - int.from_bytes(end[:4], "little")
    if not begins_well or end[4:] != _MAGIC or start < 4:
        return None
    file.seek(start)
    content = file.read()
    # A value comes after its key, behind a byte for its type and one for its length.
    key = content.find(_DIGEST.encode())
    place = start + key + len(_DIGEST) + 2
    has_room = key >= 0 and place + _DIGITS <= size
    return _Footer(_SEALED.encode() in content, place if has_room else None)


def _digest(file: BinaryIO, place: int) -> bytes:
    """The digest of a file with the digest's own bytes as zeros, in hexadecimal digits."""
    # Pages of a file that is mapped count as a process's memory, so pieces are read.
    computed = xxhash.xxh3_128()
    file.seek(0)
    for start in range(0, place, _PIECE):
        computed.update(file.read(min(_PIECE, place - start)))
    file.seek(_DIGITS, os.SEEK_CUR)
    computed.update(b"0" * _DIGITS)
    while piece := file.read(_PIECE):
        computed.update(piece)
    return computed.hexdigest().encode()


class Verified:
    """What was found of the files of a lake: a line each in a file, of which the last counts.

    Lines are appended by all processes that work on the lake. One that is lost or cut short costs
    another look at its file.
    """

    def __init__(self, record: Path, root: Path) -> None:
        """Reads the record.

        Args:
            record: The file, there or not.
            root: The folder that the files are in.
        """
        self._record = record
        self._root = root
        self._found: dict[str, tuple[Identity, bool]] = {}
        lines: list[str] = []
        with suppress(OSError):
            lines = record.read_text(encoding="utf-8", errors="replace").splitlines()
        for line in lines:
            with suppress(ValueError):
                size, modified, inode, whole, name = line.split(" ", 4)
                self._found[name] = (int(size), int(modified), int(inode)), whole == "whole"
        if len(lines) > 2 * len(self._found) + _WORTH_REWRITING:
            with suppress(OSError):
                rewritten = record.with_name(f"{record.name}.{os.getpid()}")
                rewritten.write_text(
                    "".join(map(self._line, self._found)), encoding="utf-8", errors="replace"
                )
                rewritten.replace(record)

    def is_whole(self, file: Path, *, anew: bool = False) -> bool:
        """Whether a file holds what was written; reads it where that is not known.

        Args:
            file: A Parquet file below the root.
            anew: Whether to read it also where it is known.

        Raises:
            OSError: It cannot be read.
        """
        which = identity(os.stat(file))
        known, whole = self._found.get(self._name(file), (None, False))
        if anew or known != which:
            whole = is_whole(file)
            self._remember(file, which, whole)
        return whole

    def written(self, file: Path) -> None:
        """Remembers a file that was sealed just now."""
        self._remember(file, identity(os.stat(file)), True)

    def _remember(self, file: Path, which: Identity, whole: bool) -> None:
        name = self._name(file)
        self._found[name] = which, whole
        with suppress(OSError):  # a lake that can only be read is verified by every command
            self._record.parent.mkdir(parents=True, exist_ok=True)
            with self._record.open("a", encoding="utf-8", errors="replace") as record:
                record.write(self._line(name))

    def _name(self, file: Path) -> str:
        return os.path.relpath(file, self._root)

    def _line(self, name: str) -> str:
        (size, modified, inode), whole = self._found[name]
        return f"{size} {modified} {inode} {'whole' if whole else 'damaged'} {name}\n"
