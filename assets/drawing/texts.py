"""Texts of models and of people as figures show them: readable, in lines, cut where long."""

from __future__ import annotations

import re

from rich.console import Console
from rich.text import Text

_LINES = 5
"""Lines that a text takes at most."""
_CONSOLE = Console()
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that are not in XML, and so cannot be in an SVG."""


def spelled(text: str) -> str:
    """A text as it is read: ends of lines are seen, and what no renderer can draw is replaced."""
    return " ".join(_NOT_XML.sub("\ufffd", text).replace("\n", " ↵ ").split())


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most so many characters; of a long text the middle is left out."""
    lines = [line.plain.strip() for line in Text(text).wrap(_CONSOLE, width)]
    if len(lines) <= _LINES:
        return lines
    kept = _LINES // 2
    return [*lines[: _LINES - kept - 1], "…", *lines[-kept:]]


def short(text: str, length: int = 80) -> str:
    """A text in one line of at most so many characters, without its middle where it is longer."""
    text = spelled(text)
    return text if len(text) <= length else f"{text[: length - 24]} … {text[-21:]}"
