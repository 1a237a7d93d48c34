"""Cutting a text into sentences, by its punctuation and its lines."""

from __future__ import annotations

import re
from typing import NamedTuple

_END = re.compile(r"""\n+|[.!?…]+["'”’»)\]*_]*(?=\s|$)|[。！？]+[」』”’]*""")
"""Where a sentence may end."""
_WORD_BEFORE = re.compile(r"\S+$")
_OPENING = "\"'“‘«([*_"
_ABBREVIATED = frozenset(
    [
        *("mr", "mrs", "ms", "dr", "prof", "st", "sr", "jr", "vs", "etc", "e.g", "i.e", "cf"),
        *("fig", "no", "vol", "al", "inc", "ltd", "co", "approx", "a.m", "p.m"),
    ]
)
"""Words whose full stop ends no sentence."""


class Sentence(NamedTuple):
    """A sentence of a text.

    Attributes:
        start: Its first character's place in the text, from 0.
        text: Its words, without white space around them.
    """

    start: int
    text: str


def sentences(text: str) -> list[Sentence]:
    """The sentences of a text in their order, without those that have no letter and no digit.

    A sentence ends with its line, or after a full stop, a question or an exclamation mark that
    white space follows. A full stop that ends a known abbreviation, an initial or the number of an
    item of a list, or is followed by a small letter, ends none.
    """
    ends = [match.end() for match in _END.finditer(text) if _is_end(text, match)]
    found = []
    start = 0
    for end in [*ends, len(text)]:
        piece = text[start:end]
        words = piece.strip()
        if any(character.isalnum() for character in words):
            found.append(Sentence(start + len(piece) - len(piece.lstrip()), words))
        start = end
    return found


def _is_end(text: str, match: re.Match[str]) -> bool:
    mark = match[0]
    if mark[0] != ".":
        return True
    following = text[match.end() : match.end() + 40].lstrip()
    if following and following.lstrip(_OPENING)[:1].islower():
        return False
    if mark != ".":
        return True
    before = _WORD_BEFORE.search(text[max(0, match.start() - 40) : match.start()])
    word = before[0].lstrip(_OPENING) if before else ""
    line = text[text.rfind("\n", 0, match.start()) + 1 : match.start()].strip()
    is_number_of_item = word.isdigit() and line == word
    return not (
        is_number_of_item
        or word.lower() in _ABBREVIATED
        or (len(word) == 1 and word.isupper() and word != "I")
    )
