"""How studies, and models themselves, name places: paths of this machine, repositories of the hub.

A name that is let pass here leads nowhere else than it says: none is cut short by the file system,
and no repository or revision is a path that leads up.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_LONGEST_NAME, _LONGEST_PATH = 255, 4095
"""Bytes, of Linux; what other systems take differs little."""
_REPOSITORY = re.compile(r"(?!.*\.\.)\w[\w.-]{0,95}(/\w[\w.-]{0,95})?", re.ASCII)
_REVISION = re.compile(r"(?!.*\.\.)(?!/)[^\s\x00-\x1f\x7f\\^~?*\[]+")


def local_path(text: str, folder: Path) -> Path:
    """A path as it is told apart from others: absolute, a relative one starting at `folder`.

    Raises:
        ValueError: There can be no such path.
    """
    try:
        path = (folder / Path(text).expanduser()).absolute()
        parts = os.fsencode(path).split(b"/")
    except RuntimeError:
        raise ValueError(f"there is no user whose home folder {text.split('/')[0]} means") from None
    except UnicodeEncodeError:
        raise ValueError("a path cannot hold half a surrogate pair") from None
    if any(b"\0" in part for part in parts):
        raise ValueError("a path cannot hold the character NUL")
    if max(map(len, parts)) > _LONGEST_NAME or len(os.fsencode(path)) > _LONGEST_PATH:
        raise ValueError(
            f"a file system takes names of at most {_LONGEST_NAME} bytes, and paths of at most "
            f"{_LONGEST_PATH}; choose a shorter one"
        )
    return path


def is_repository(name: str) -> bool:
    """Whether the hub may have a repository of this name, `org/name` or `name`."""
    return bool(_REPOSITORY.fullmatch(name))


def check_repository(location: str) -> None:
    """Looks at the name of a repository of the hub, and at the revision that follows an `@`.

    Raises:
        ValueError: The hub has no such names.
    """
    name, at, revision = location.partition("@")
    if not is_repository(name):
        raise ValueError(
            "is no repository of the hub: write org/name, with letters, digits, '.', '_' and '-'"
        )
    if at and not (_REVISION.fullmatch(revision) and len(revision) <= _LONGEST_NAME):
        raise ValueError("names no revision after its @: write a branch, a tag or a commit")
