"""What the README shows, for tests to hold it to."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).parents[3] / "README.md"


def section(heading: str) -> str:
    """A section's text, without its heading."""
    text = README.read_text(encoding="utf-8")
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def blocks(heading: str, language: str) -> list[str]:
    """A section's blocks of code in a language."""
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", section(heading))
