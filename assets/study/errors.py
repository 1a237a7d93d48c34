"""Bad input, in one sentence that says what to do about it."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_NAMES = 20
_LONGEST = 100
"""Characters of a value that are shown."""


class InputError(ValueError):
    """A study, or a file that it names, that cannot be used as it is."""


def names_of(names: Iterable[str], most: int = _MOST_NAMES) -> str:
    """What there is to choose from, the first of it where it is much."""
    listed = list(names)
    more = f" and {len(listed) - most:,} more" if len(listed) > most else ""
    return ", ".join(map(shown, listed[:most])) + more


def meant(name: str, names: Iterable[str]) -> str:
    """` (did you mean X?)`, where one of the names is near; nothing elsewhere."""
    near = difflib.get_close_matches(name, list(names), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def shown(text: str, most: int = _LONGEST) -> str:
    """A text as a message quotes it: the beginning where it is long."""
    return text if len(text) <= most else f"{text[:most]}…"
