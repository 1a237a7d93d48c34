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
    first = str(error).strip().partition("\n")[0] or type(error).__name__
    return first if len(first) <= 300 else f"{first[:300]}…"
