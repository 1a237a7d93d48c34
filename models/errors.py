"""What goes wrong with a model, in one sentence that says what to do about it."""

from __future__ import annotations


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
    return first if len(first) <= 300 else f"{first[:300]}…"
