"""The built-in aligner: first the words that generations share, then the characters between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aligners.filling import fill
from aligners.profile import NONE
from aligners.skeleton import common_order
from aligners.units import units

if TYPE_CHECKING:
    from collections.abc import Sequence

_PASSES = 2
_SHARED_BY = 10
"""A word is in the skeleton where one of so many generations, at least, has it there."""
_LEAST = 3
"""And where so many have it, of four and more; what two of ten share may be chance."""


class WordsFirst:
    """Aligns words, then what is left of the characters.

    Words that at least a tenth of the generations share, in one order, are the skeleton; every
    other character is aligned with the columns between its neighbours in the skeleton. Then all but
    the long runs of the skeleton is aligned once more, beside all others.
    """

    signature = "anchorlake-4"

    def columns(self, texts: Sequence[str]) -> list[np.ndarray]:
        """As `Aligner.columns`."""
        codes, n_codes = _numbers([list(text) for text in texts])
        starts = _starts([len(text) for text in texts])
        columns = fill(codes, starts, _skeleton(texts), _longest_first(starts), n_codes)
        return [columns[starts[i] : starts[i + 1]] for i in range(len(texts))]

    def close(self) -> None:
        """Nothing runs on."""


def _skeleton(texts: Sequence[str]) -> np.ndarray:
    """Of each character of the texts the column that the skeleton gives it, else -1; int32.

    Each word begins where the last of those ends that come directly before it in any generation. So
    words that stand for each other, such as two ways to begin, share their columns.
    """
    cut = [units(text) for text in texts]
    lengths = np.array([len(unit) for text in cut for unit in text], dtype=np.int64)
    numbers, n_units = _numbers(cut)
    sizes = np.zeros(n_units, dtype=np.int64)
    sizes[numbers] = lengths
    starts = _starts([len(text) for text in cut])
    words = common_order(numbers, starts, sizes, _longest_first(starts), _PASSES)

    has_column = words != NONE
    shared_by = np.bincount(words[has_column])
    least = max(2, min(_LEAST, len(texts) - 1), -(-len(texts) // _SHARED_BY))
    kept = has_column & (shared_by[words] >= least)
    generation = np.repeat(np.arange(len(texts)), np.diff(starts))
    follows = np.diff(generation[kept], prepend=-1) == 0
    before = np.where(follows, np.roll(words[kept], 1), -1)
    begins = np.zeros(len(shared_by), dtype=np.int64)
    ends = np.zeros(len(shared_by) + 1, dtype=np.int64)  # the last is that of nothing, -1
    size = dict(zip(words.tolist(), lengths.tolist(), strict=True))
    for word, last in sorted(set(zip(words[kept].tolist(), before.tolist(), strict=True))):
        begins[word] = max(begins[word], ends[last])
        ends[word] = begins[word] + size[word]

    first_character = _starts(lengths)
    within = np.arange(first_character[-1]) - np.repeat(first_character[:-1], lengths)
    columns = np.repeat(begins[words], lengths) + within
    return np.where(np.repeat(kept, lengths), columns, -1).astype(np.int32)


def _numbers(sequences: Sequence[Sequence[str]]) -> tuple[np.ndarray, int]:
    """All symbols, one sequence after another, as numbers; and how many are different."""
    numbers: dict[str, int] = {}
    numbered = [numbers.setdefault(s, len(numbers)) for sequence in sequences for s in sequence]
    return np.array(numbered, dtype=np.int32), len(numbers)


def _starts(lengths: Sequence[int] | np.ndarray) -> np.ndarray:
    """Where each part begins, and where the last ends; int64."""
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)


def _longest_first(starts: np.ndarray) -> np.ndarray:
    """The order in which generations join; int64."""
    return np.argsort(-np.diff(starts), kind="stable")
