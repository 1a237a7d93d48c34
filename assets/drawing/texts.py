"""Texts of models and of people as figures show them: readable, in lines, cut where long."""

from __future__ import annotations

import re
from itertools import takewhile
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable

_COMMON = 20
"""Characters that several texts have to begin with, so that these are left out."""
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


def names_of_prompts(prompts: Iterable[str], length: int = 50) -> dict[str, str]:
    """Each prompt in one line, without the words that all of them begin with."""
    spelled_out = {prompt: spelled(prompt) for prompt in prompts}
    words = zip(*(text.split() for text in spelled_out.values()), strict=False)
    common = takewhile(lambda nth: len(set(nth)) == 1, words)
    begins = "".join(f"{nth[0]} " for nth in common) if len(spelled_out) > 1 else ""
    if len(begins) < _COMMON:
        begins = ""
    return {
        prompt: short("… " * bool(begins) + text.removeprefix(begins), length)
        for prompt, text in spelled_out.items()
    }


def small_share(share: float) -> str:
    """A share in percent; one under 1% has its first digit, so that it is not taken for none."""
    return f"{share:.0%}" if share == 0 or share >= 0.01 else f"{100 * share:.1g}%"
