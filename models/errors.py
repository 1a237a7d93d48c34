"""What goes wrong with a model, in one sentence that says what to do about it."""

from __future__ import annotations

_LONGEST_LINE = 300
"""Characters."""


class ModelError(ValueError):
    """A model that cannot be found, loaded or prompted as asked."""


class IncompleteError(ModelError):
    """A checkpoint that is not wholly there, or not yet."""


class RefusedError(ModelError):
    """A checkpoint that would run code of its own as it is read."""


def sentence(error: Exception) -> str:
    """The beginning of an error's message; those of some libraries go on for paragraphs."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first = " ".join(lines[:2]) if lines and lines[0].endswith((":", "(")) else "".join(lines[:1])
    if isinstance(error, KeyError) or not first:  # whose message is the key alone
        first = f"{type(error).__name__} {first}".strip()
    return shortened(first)


def shortened(line: str) -> str:
    """A line, cut where it goes on for long."""
    return line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}…"
