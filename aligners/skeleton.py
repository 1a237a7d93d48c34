"""Which characters the skeleton gives a column: those of the words that generations share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aligners.common_order import LONG_RUN, common_order
from aligners.numbering import longest_first, numbers_of, starts_of
from aligners.profile import NONE
from aligners.units import units

if TYPE_CHECKING:
    from collections.abc import Sequence

_PASSES = 2
_SHARED_BY = 10
"""A word is in the skeleton where one of so many generations, at least, has it there."""
_LEAST = 3
"""And where so many have it, of four and more: a word that two of ten share may be chance, unless
it is in a long run."""


def skeleton(texts: Sequence[str]) -> np.ndarray:
    """Of each character of the texts the column that the skeleton gives it, else NONE; int32.

    Each word begins where the last of those ends that come directly before it in any generation. So
    words that stand for each other, such as two ways to begin, share their columns. Where enough
    generations go on with the same character after a word, such as a space, though with different
    words, that character is in the skeleton too.
    """
    cut = [units(text) for text in texts]
    lengths = np.array([len(unit) for text in cut for unit in text], dtype=np.int64)
    numbers, n_units = numbers_of(cut)
    sizes = np.zeros(n_units, dtype=np.int64)
    sizes[numbers] = lengths
    starts = starts_of([len(text) for text in cut])
    words = common_order(numbers, starts, sizes, longest_first(starts), _PASSES)

    generation = np.repeat(np.arange(len(texts)), np.diff(starts))
    least = max(2, -(-len(texts) // _SHARED_BY))
    of_words = max(least, min(_LEAST, len(texts) - 1))
    kept = (words != NONE) & (np.bincount(words + 1)[words + 1] >= of_words)
    kept |= _in_long_runs(words, lengths, generation, least)
    first_characters = np.array([ord(unit[0]) for text in cut for unit in text], dtype=np.int64)
    ends = _common_ends(words, kept, first_characters, generation, of_words)

    # A word's number is twice its column's; that of the character after it is the next one.
    units_of = np.concatenate([np.flatnonzero(kept), ends + 1])
    parts = np.concatenate([2 * words[kept], 2 * words[ends] + 1])
    in_order = np.argsort(units_of, kind="stable")
    units_of, parts = units_of[in_order], parts[in_order]
    part_lengths = np.where(parts % 2 == 0, lengths[units_of], 1)
    begins = _begins(parts, part_lengths, generation[units_of])

    columns = np.full(lengths.sum(), NONE, dtype=np.int32)
    of_part = np.repeat(np.arange(len(parts)), part_lengths)
    within = np.arange(len(of_part)) - starts_of(part_lengths)[of_part]
    columns[starts_of(lengths)[units_of[of_part]] + within] = begins[of_part] + within
    return columns


def _in_long_runs(
    words: np.ndarray, lengths: np.ndarray, generation: np.ndarray, least: int
) -> np.ndarray:
    """Which units are in a run of 30 characters, each two of which follow each other in several.

    Args:
        words: int [units], the column of each, or NONE.
        lengths: int [units], their characters.
        generation: int [units], whose they are.
        least: In so many generations the same two columns' units must follow each other.
    """
    steps = words[:-1] * np.int64(words.max(initial=0) + 1) + words[1:]
    _, which, counts = np.unique(steps, return_inverse=True, return_counts=True)
    goes_on = (counts[which] >= least) & (np.diff(generation) == 0)
    goes_on &= (words[:-1] != NONE) & (words[1:] != NONE)
    run = starts_of(~goes_on)[: len(words)]
    characters = np.bincount(run, weights=lengths)
    several = np.bincount(run) > 1
    in_long_run: np.ndarray = (several & (characters >= LONG_RUN))[run]
    return in_long_run


def _common_ends(
    words: np.ndarray,
    kept: np.ndarray,
    first_characters: np.ndarray,
    generation: np.ndarray,
    least: int,
) -> np.ndarray:
    """The kept units after which comes one that is not, with the character that most have there.

    Args:
        words: int [units], the column of each, or NONE.
        kept: bool [units], those in the skeleton.
        first_characters: int [units], the code point that each begins with.
        generation: int [units], whose they are.
        least: So many generations must have the character.

    Returns:
        int64 [some], units.
    """
    last = np.flatnonzero(kept[:-1] & ~kept[1:] & (np.diff(generation) == 0))
    after = words[last] * np.int64(0x110000) + first_characters[last + 1]
    ways, which, counts = np.unique(after, return_inverse=True, return_counts=True)
    # Of each word the way that most go, the first of several: the last that is written stays.
    most = np.zeros(words.max(initial=0) + 1, dtype=np.int64)
    by_count = np.lexsort((-ways, counts))
    most[ways[by_count] // 0x110000] = by_count
    ends: np.ndarray = last[(which == most[words[last]]) & (counts[which] >= least)]
    return ends


def _begins(parts: np.ndarray, lengths: np.ndarray, generation: np.ndarray) -> np.ndarray:
    """The column in which each part of the skeleton begins.

    Args:
        parts: int [n], the number of each, generation by generation, rising within each.
        lengths: int [n], its characters.
        generation: int [n], whose it is.
    """
    before = np.where(np.diff(generation, prepend=-1) == 0, np.roll(parts, 1), -1)
    length_of = dict(zip(parts.tolist(), lengths.tolist(), strict=True))
    begins = dict.fromkeys(length_of, 0)
    for part, earlier in sorted(set(zip(parts.tolist(), before.tolist(), strict=True))):
        if earlier >= 0:
            begins[part] = max(begins[part], begins[earlier] + length_of[earlier])
    return np.array([begins[part] for part in parts.tolist()], dtype=np.int64)
