"""Versions of code: digests of the files that it stands in, not numbers to be remembered."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from assets.study.digests import digest

if TYPE_CHECKING:
    from pathlib import Path


@cache
def code_version(*places: Path) -> str:
    """A digest of files, and of all modules, templates and queries of folders, but not below them.

    Args:
        places: Files and folders. Where they are does not count, their names and contents do.
    """
    files = [file for place in places for file in (_code_in(place) if place.is_dir() else [place])]
    return digest([[file.name, file.read_text(encoding="utf-8")] for file in files])


def _code_in(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix in (".py", ".html", ".sql"))
