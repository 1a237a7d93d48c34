"""What generations have in common in an alignment, as the tables define it."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numba
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.generations import Anchor

_KEPT = 5
_RUN = 10
_WINDOW = 30
_FREQUENT = 5
"""One generation of so many has to have a window that is frequent."""


@dataclass(frozen=True)
class Agreement:
    """What generations agree on in an alignment.

    Attributes:
        pairs: Pairs of generations with the same character in a column, of all columns.
        in_kept: Those in columns with one same character in at least 5 generations.
        in_runs: Those in runs of 10 or more, consecutive in both generations.
        whole: Generations that have a planted anchor in the columns that most have it in, character
            by character; summed over the anchors.
        kept: Columns with one same character in at least 5 generations.
        spans: Frequent spans.
        anchored: Generations that have any of them.
    """

    pairs: int
    in_kept: int
    in_runs: int
    whole: int
    kept: int
    spans: int
    anchored: int


def agreement(
    texts: Sequence[str], columns: Sequence[np.ndarray], anchors: Sequence[Anchor] = ()
) -> Agreement:
    """Counts what an alignment has in common.

    Args:
        texts: The generations of a prompt.
        columns: For each the columns of its characters, as `Aligner.columns` gives them.
        anchors: What was planted in them.
    """
    encoded = "".join(texts).encode("utf-32-le", "surrogatepass")
    codes = np.frombuffer(encoded, dtype="<u4").astype(np.int64)
    placed = np.concatenate([np.asarray(c, dtype=np.int64) for c in columns])
    starts = np.cumsum([0, *map(len, texts)])
    assert all((np.diff(c) > 0).all() for c in columns)
    n_codes = sys.maxunicode + 1
    characters, holders = np.unique(placed * n_codes + codes, return_counts=True)
    pairs = holders * (holders - 1) // 2
    kept = np.unique(characters[holders >= _KEPT] // n_codes)
    spans, anchored = _frequent_spans(texts, columns)
    return Agreement(
        pairs=int(pairs.sum()),
        in_kept=int(pairs[np.isin(characters // n_codes, kept)].sum()),
        in_runs=pairs_in_runs(codes, placed, starts, _RUN),
        whole=sum(_whole(anchor, columns) for anchor in anchors),
        kept=len(kept),
        spans=spans,
        anchored=anchored,
    )


def _whole(anchor: Anchor, columns: Sequence[np.ndarray]) -> int:
    """How many generations have an anchor in the same columns, of those that most share."""
    places = Counter(
        columns[sample][start : start + len(anchor.text)].tobytes()
        for sample, start in anchor.starts.items()
    )
    return max(places.values(), default=0)


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def pairs_in_runs(codes: np.ndarray, columns: np.ndarray, starts: np.ndarray, least: int) -> int:
    """Pairs of equal characters in one column, in runs that are consecutive in both generations.

    Args:
        codes: int64 [characters], every generation's characters, one generation after another.
        columns: int64 [characters], the column of each.
        starts: int64 [generations + 1], where each generation begins.
        least: Pairs of two generations that a run has to have.
    """
    total = 0
    for a in range(starts.size - 1):
        for b in range(a + 1, starts.size - 1):
            i, j = starts[a], starts[b]
            last_i, last_j, run = -2, -2, 0
            while i < starts[a + 1] and j < starts[b + 1]:
                if columns[i] < columns[j]:
                    i += 1
                    continue
                if columns[i] > columns[j]:
                    j += 1
                    continue
                if codes[i] == codes[j]:
                    if i != last_i + 1 or j != last_j + 1:
                        total += run if run >= least else 0
                        run = 0
                    run += 1
                    last_i, last_j = i, j
                i += 1
                j += 1
            total += run if run >= least else 0
    return total


def _frequent_spans(texts: Sequence[str], columns: Sequence[np.ndarray]) -> tuple[int, int]:
    """How many frequent spans there are, and how many generations have any."""
    places: dict[tuple[int, str], dict[int, int]] = {}
    for sample, (text, placed) in enumerate(zip(texts, columns, strict=True)):
        for place, column in enumerate(placed[: max(0, len(text) - _WINDOW + 1)].tolist()):
            window = column, text[place : place + _WINDOW]
            places.setdefault(window, {})[sample] = place
    frequent = [
        held for held in places.values() if len(held) >= 2 and _FREQUENT * len(held) >= len(texts)
    ]
    # A window goes on with another's span where it comes directly after it in all that have either.
    following = {frozenset((sample, place + 1) for sample, place in h.items()) for h in frequent}
    n_spans = sum(frozenset(held.items()) not in following for held in frequent)
    return n_spans, len({sample for held in frequent for sample in held})
