"""Where the published tables of a lake lie: in its folder, or in a bucket that it holds copies of.

A lake is always read in its folder. What else it may lie in is a class of this protocol.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from warehouse.durable import publish

if TYPE_CHECKING:
    from collections.abc import Sequence

_BUCKET = re.compile(r"(s3|gs|az):/+([^/?#@*\[\]{}]+(?:/[^/?#@*\[\]{}]+)*)/*")
"""A path has one slash after the colon, where it was made of an address."""


class Place(Protocol):
    """What a lake needs of the place that its tables lie in; files are named by their copies."""

    def exists(self, root: Path) -> bool:
        """Whether there is anything where the lake lies."""

    def files(self, root: Path, pattern: str) -> list[Path]:
        """The files that are published, in order; copies of them need not be there.

        Args:
            root: The lake's folder.
            pattern: A glob within it, in which each star stands for a part of one name.
        """

    def fetch(self, root: Path, files: Sequence[Path]) -> None:
        """Has copies of files be as these are published now."""

    def footer(self, root: Path, file: Path) -> Path:
        """A Parquet file whose footer is that of a file as it is published now."""

    def folders(self, root: Path) -> set[str]:
        """The names of the folders that what is published lies in."""

    def publish(self, root: Path, unfinished: Path, target: Path) -> None:
        """Moves a file into its place in one step.

        Raises:
            OvertakenError: Another machine published it since this one last looked.
        """

    def __str__(self) -> str:
        """Its address; empty where it is the lake's folder."""


class OvertakenError(Exception):
    """Another machine was first. What it published is as it left it."""


class BucketError(OSError):
    """A bucket that cannot be reached, or does not let us in."""


@dataclass(frozen=True)
class Folder:
    """The lake's folder: what lies in it is what is published."""

    def exists(self, root: Path) -> bool:
        """Whether the folder is there."""
        return root.is_dir()

    def files(self, root: Path, pattern: str) -> list[Path]:
        """Those in the folder."""
        if "*" in pattern:
            return sorted(root.glob(pattern))
        return [file] if (file := root / pattern).exists() else []

    def fetch(self, root: Path, files: Sequence[Path]) -> None:
        """Does nothing, as nothing is copied."""

    def footer(self, root: Path, file: Path) -> Path:
        """The file itself."""
        return file

    def folders(self, root: Path) -> set[str]:
        """Those in the folder."""
        return {folder.name for folder in root.glob("*/")}

    def publish(self, root: Path, unfinished: Path, target: Path) -> None:
        """Moves a file into place; of several writers the last to finish wins."""
        publish(unfinished, target)

    def __str__(self) -> str:
        """Empty."""
        return ""


FOLDER = Folder()


def bucket_url(address: str) -> str | None:
    """The URL of a bucket, also where a path was made of it; None where it is a path.

    Raises:
        ValueError: It begins like one and cannot be one. It may hold a secret and is not repeated.
    """
    if not re.match(r"(s3|gs|az):/", address):
        return None
    if not (parts := _BUCKET.fullmatch(address)):
        raise ValueError(
            "the lake's address is no bucket's: write s3://BUCKET/PREFIX, gs:// or az://; "
            "credentials are read from the environment"
        )
    return f"{parts[1]}://{parts[2]}"


def cache_of(url: str) -> Path:
    """The folder of a bucket's copies, and of all that is not published: `$ANCHORLAKE_CACHE`."""
    name = re.sub(r"[^A-Za-z0-9.]+", "-", url)
    digest = hashlib.sha256(url.encode()).hexdigest()[:8]  # tells a/b from a-b
    caches = os.environ.get("ANCHORLAKE_CACHE") or Path.home() / ".cache" / "anchorlake"
    return Path(caches).expanduser().absolute() / f"{name}-{digest}"
