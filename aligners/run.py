"""A run of characters beside columns: the columns that it takes, by dynamic programming."""

from __future__ import annotations

import numba
import numpy as np

_PAIR, _FOLLOWS = 2, 3
"""What a pair of equal characters weighs, and what more if the characters before are a pair too;
to skip a character weighs 1, so columns are rather shared than made."""
_BREAK = 5
"""Two neighbours that are not in neighbouring columns cost a fifth of a new column."""

_BESIDE = np.uint8(1)
_NEW = np.uint8(2)
_SKIP = np.uint8(3)
_CONTINUES = np.uint8(4)


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def align_run(
    rows: np.ndarray,
    pairs: np.ndarray,
    runs: np.ndarray,
    held: np.ndarray,
    lowest: np.ndarray,
    highest: np.ndarray,
    n_joined: int,
) -> np.ndarray:
    """The columns of a run of characters, from 0; -1 for those that get a new one.

    Args:
        rows: int32 [n], the characters, as rows of `pairs`.
        pairs: int32 [rows, m], as `aligners.filling` counts them.
        runs: int32 [rows, m], alike.
        held: int32 [m], how many characters each column holds; what it costs to skip it.
        lowest: int32 [n + 1], how many columns at least, and in `highest` at most, may have passed
            after so many characters; nowhere falling.
        highest: int32 [n + 1], alike.
        n_joined: What a new column costs: as many generations skip it. When two neighbours are not
            in neighbouring columns, that costs a fifth of it.
    """
    chosen = np.full(rows.size, -1, np.int32)
    if held.size == 0:
        return chosen
    steps, begins = _steps(rows, pairs, runs, held, lowest, highest, n_joined)
    i, j = rows.size, held.size
    bound = False
    while i > 0 and j > 0:
        step = steps[begins[i] + j]
        way = step & 3
        if bound or way == _BESIDE:
            bound = (step & _CONTINUES) != 0
            i -= 1
            j -= 1
            chosen[i] = j
        elif way == _NEW:
            i -= 1
        else:
            j -= 1
    return chosen


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _steps(
    rows: np.ndarray,
    pairs: np.ndarray,
    runs: np.ndarray,
    held: np.ndarray,
    lowest: np.ndarray,
    highest: np.ndarray,
    n_joined: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The last step of the best way to align so many characters with so many columns.

    Args are those of `align_run`.

    Returns:
        steps: uint8, row by row, a row for each number of characters, those of the band alone.
        begins: int64 [n + 1], where the step of a row's column 0 is, or would be.
    """
    n, m = rows.size, held.size
    never = -(1 << 30)
    begins = np.empty(n + 1, np.int64)
    size = 0
    for i in range(n + 1):
        begins[i] = size - lowest[i]
        size += highest[i] - lowest[i] + 1
    steps = np.empty(size, np.uint8)
    best, beside = np.full(m + 1, never, np.int32), np.full(m + 1, never, np.int32)
    best_before, beside_before = best.copy(), beside.copy()
    best[0] = 0
    beside[0] = 0  # what stands before a run is in the column before
    for j in range(1, highest[0] + 1):
        best[j] = best[j - 1] - held[j - 1]
        steps[j] = _SKIP
    for i in range(1, n + 1):
        best, best_before = best_before, best
        beside, beside_before = beside_before, beside
        start, stop = max(1, lowest[i]), highest[i]
        best[start - 1] = beside[start - 1] = never
        if lowest[i] == 0:
            best[0] = best_before[0] - n_joined
            steps[begins[i]] = _NEW
        if stop >= start:
            _fill_row(
                best[start - 1 : stop + 1],
                beside[start : stop + 1],
                best_before[start - 1 : stop + 1],
                beside_before[start - 1 : stop],
                pairs[rows[i - 1], start - 1 : stop],
                runs[rows[i - 1], start - 1 : stop],
                held[start - 1 : stop],
                n_joined,
                steps[begins[i] + start : begins[i] + stop + 1],
            )
    return steps, begins


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _fill_row(
    best: np.ndarray,
    beside: np.ndarray,
    best_before: np.ndarray,
    beside_before: np.ndarray,
    same: np.ndarray,
    following: np.ndarray,
    held: np.ndarray,
    n_joined: int,
    steps: np.ndarray,
) -> None:
    """One character more, beside each of w columns: three loops, of which two go 16 at a time.

    Args:
        best: int32 [w + 1], written but for the first: the most that this weighs so far.
        beside: int32 [w], written: likewise, with the character in this very column.
        best_before: int32 [w + 1], what `best` was a character ago.
        beside_before: int32 [w], what `beside` was, a column to the left.
        same: int32 [w], the pairs that the character has in each column.
        following: int32 [w], those of them that go on.
        held: int32 [w], as in `align_run`.
        n_joined: As in `align_run`.
        steps: uint8 [w], written.
    """
    cost_of_break, cost_of_new = np.int32(n_joined // _BREAK), np.int32(n_joined)
    without_skip = np.empty(held.size, np.int32)
    for k in range(held.size):
        anew = best_before[k] - cost_of_break
        on = beside_before[k] + np.int32(_FOLLOWS) * following[k]
        beside[k] = max(anew, on) + np.int32(_PAIR) * same[k]
        without_skip[k] = max(beside[k], best_before[k + 1] - cost_of_new)
    left = best[0]
    for k in range(held.size):
        left = max(left - held[k], without_skip[k])
        best[k + 1] = left
    for k in range(held.size):
        anew = best_before[k] - cost_of_break
        on = beside_before[k] + np.int32(_FOLLOWS) * following[k]
        way = _NEW if best[k + 1] == best_before[k + 1] - cost_of_new else _SKIP
        way = _BESIDE if best[k + 1] == beside[k] else way
        steps[k] = way | _CONTINUES if on >= anew else way
