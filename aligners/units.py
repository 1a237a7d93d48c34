"""Cutting text into the units that are aligned: words, and what stands between them."""

from __future__ import annotations

import re

# Of scripts that put no space between words every character is a unit: Thai to Burmese, Khmer, and
# from the CJK radicals to Yi.
_UNSPACED = "\u0e00-\u109f\u1780-\u17ff\u2e80-\ua4cf\uf900-\ufaff\U00020000-\U0003ffff"
# Said by what they are not, so that words hold letters with their marks in all other scripts.
_NOT_IN_WORDS = (
    r"\s\x00-\x2f:-@\[-`{-\xbf\xd7\xf7"
    "\u060c\u061b\u061f\u06d4\u0964\u0965"  # Arabic and Indic punctuation
    "\u2000-\u2bff\ufe10-\ufe6f\uff00-\uff0f\uff1a-\uff20\U0001f000-\U0001faff"
)
# What is repeated, such as an indentation or a rule of dashes, is one unit; eight at a time, so
# that long rules share most of their units whatever their lengths.
_UNIT = re.compile(
    rf" ?(?:[^{_NOT_IN_WORDS}{_UNSPACED}]+|(\S)\1{{0,7}})| {{1,8}}(?= )|(\s)\2{{0,7}}"
)


def units(text: str) -> list[str]:
    """Cuts a text into words and runs of any other character, each with the space before it.

    Args:
        text: Any text.

    Returns:
        The units; joined they are the text.
    """
    return [found[0] for found in _UNIT.finditer(text)]
