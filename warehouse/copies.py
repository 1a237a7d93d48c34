"""Copies of a bucket's files in a lake's folder, and which version each of them is.

A file that was not copied may have its footer here: as a Parquet file without rows, in staging.
"""

from __future__ import annotations

import json
import os
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fcntl import LOCK_EX, flock
from functools import cached_property
from typing import TYPE_CHECKING, TypedDict

from warehouse.integrity import seal

if TYPE_CHECKING:
    from collections.abc import Container, Iterator
    from pathlib import Path

_MAGIC = b"PAR1"


class Version(TypedDict):
    """What tells a file from those before it in its place: S3 goes by the tag, others by both."""

    e_tag: str
    version: str | None


@dataclass(frozen=True)
class Copies:
    """The copies in a lake's folder; files are named by their paths within it.

    Attributes:
        root: The folder.
    """

    root: Path

    def has(self, name: str, e_tag: str) -> bool:
        """Whether the copy of a file is the version of it that has this tag."""
        version = self._version(name) if (self.root / name).exists() else None
        return version is not None and version["e_tag"] == e_tag

    def has_footer(self, name: str, e_tag: str) -> bool:
        """Whether a file's footer is here, in a copy or without one."""
        return self.has(name, e_tag) or self.has(_rowless(name), e_tag)

    def footer(self, name: str) -> Path:
        """The file with the footer of what was seen last; the copy's path where there is none."""
        rowless = self.root / _rowless(name)
        return rowless if rowless.exists() else self.root / name

    def seen(self, name: str) -> Version | None:
        """The version of a file that was seen last; None where there was none."""
        file = self.footer(name)
        return self._version(file.relative_to(self.root).as_posix()) if file.exists() else None

    @contextmanager
    def unfinished(self) -> Iterator[Path]:
        """Gives a name for a copy in the making, and removes what is left of it at the end."""
        file = self._scratch / uuid.uuid4().hex
        try:
            yield file
        finally:
            file.unlink(missing_ok=True)

    def keep(self, unfinished: Path, name: str, version: Version) -> None:
        """Moves a copy into its place, and notes its version."""
        (self.root / _rowless(name)).unlink(missing_ok=True)
        self._keep(unfinished, name, version)

    def keep_footer(self, tail: bytes, unfinished: Path, name: str, version: Version) -> None:
        """Makes a Parquet file without rows of a file's end, which its footer is."""
        unfinished.write_bytes(_MAGIC + tail)
        with suppress(ValueError):  # it has no digest, or is no Parquet file
            seal(unfinished)
        self._keep(unfinished, _rowless(name), version)

    def forget_others(self, folder: str, names: Container[str]) -> None:
        """Removes what is here of a folder, or of all of them, and is none of some files."""
        for root in (self.root, self.root / _rowless("")):
            for copy in root.glob(f"{folder or '[!.]*'}/**/data.parquet"):
                if copy.relative_to(root).as_posix() not in names:
                    copy.unlink(missing_ok=True)

    def _keep(self, unfinished: Path, name: str, version: Version) -> None:
        file, note = self.root / name, self._note(name)
        for folder in (file.parent, note.parent):
            folder.mkdir(parents=True, exist_ok=True)
        # Another process may fetch another version. Where the two steps are cut apart, the note is
        # of a version that is past, and the file is fetched again.
        with self.unfinished() as unfinished_note:
            noted = {"e_tag": version["e_tag"] or "", "version": version["version"]}
            unfinished_note.write_text(json.dumps(noted), encoding="utf-8")
            with self._in_turn():
                unfinished.replace(file)
                unfinished_note.replace(note)

    def _version(self, name: str) -> Version | None:
        with suppress(FileNotFoundError, ValueError):
            version: Version = json.loads(self._note(name).read_text(encoding="utf-8"))
            return version
        return None

    def _note(self, name: str) -> Path:
        return self.root / ".staging" / "published" / name

    @cached_property
    def _scratch(self) -> Path:
        """Where what a dead process left is removed."""
        return self._made("scratch")

    @cached_property
    def _lock(self) -> Path:
        return self._made("locks") / "copies"

    def _made(self, name: str) -> Path:
        folder = self.root / ".staging" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        """Has threads and processes take turns: each opens the lock's file by itself."""
        lock = os.open(self._lock, os.O_CREAT | os.O_RDWR, 0o644)
        try:
            flock(lock, LOCK_EX)
            yield
        finally:
            os.close(lock)


def _rowless(name: str) -> str:
    return f".staging/footers/{name}"
