"""The characters between the words that generations share."""

from __future__ import annotations

import numba
import numpy as np

from aligners.profile import held_by, put_in

_CELLS = 1 << 25
"""Of one table of dynamic programming; it takes as many bytes."""

# What an alignment of a character with a column weighs. Pairs of equal characters count twice what
# skipping costs, so that columns are shared, and not many.
_PAIR = 2
_FOLLOWS = 2
_BREAK = 5

_BESIDE = np.uint8(1)
_NEW = np.uint8(2)
_SKIP = np.uint8(3)
_CONTINUES = np.uint8(4)


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def fill(
    codes: np.ndarray, starts: np.ndarray, fixed: np.ndarray, order: np.ndarray, n_codes: int
) -> np.ndarray:
    """Gives every character a column, given those of some.

    Generations join one after the other; each run of characters without a column is aligned with
    the columns between its neighbours', whatever they hold: dynamic programming after Needleman and
    Wunsch (1970), for the most pairs of equal characters, less a cost for columns skipped or made,
    and for every break. A column may hold different characters.

    Args:
        codes: int32 [characters], every generation's characters as numbers, one generation after
            another.
        starts: int64 [generations + 1], where each generation begins.
        fixed: int32 [characters], the column of each, dense, and strictly increasing within a
            generation but for -1: to be found.
        order: int64 [generations], in which they join.
        n_codes: How many different characters there are.

    Returns:
        int32 [characters], the column of each.
    """
    columns = fixed.copy()
    placed = fixed >= 0
    n_columns = 0
    for t in range(fixed.size):
        n_columns = max(n_columns, fixed[t] + 1)
    n_joined = 0
    for g in order:
        held = held_by(columns, placed, n_columns)
        begin, end = starts[g], starts[g + 1]
        pairs, follows, row = _counts(codes, starts, columns, placed, n_columns, n_codes, g)
        rows = row[codes[begin:end]]
        chosen = np.where(placed[begin:end], columns[begin:end], np.int32(-1))
        t, low = 0, 0
        while t < end - begin:
            if chosen[t] >= 0:
                low = chosen[t] + 1
                t += 1
                continue
            stop = t
            while stop < end - begin and chosen[stop] < 0:
                stop += 1
            high = chosen[stop] if stop < end - begin else n_columns
            # Very long runs are cut into parts, and the columns likewise, to bound the memory.
            cells = float(stop - t) * (high - low)
            parts = int(np.ceil(np.sqrt(cells / _CELLS))) if cells > _CELLS else 1
            for part in range(parts):
                i0 = t + (stop - t) * part // parts
                i1 = t + (stop - t) * (part + 1) // parts
                c0 = low + (high - low) * part // parts
                c1 = low + (high - low) * (part + 1) // parts
                chosen[i0:i1] = _align(
                    rows[i0:i1],
                    pairs[:, c0:c1],
                    follows[:, c0:c1],
                    held[c0:c1],
                    n_joined,
                )
                for i in range(i0, i1):
                    if chosen[i] >= 0:
                        chosen[i] += c0
            t = stop
        n_columns = put_in(columns, placed, begin, chosen, n_columns)
        n_joined += 1
    return columns


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _counts(
    codes: np.ndarray,
    starts: np.ndarray,
    columns: np.ndarray,
    placed: np.ndarray,
    n_columns: int,
    n_codes: int,
    g: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Who stands in each column, as far as it concerns generation g.

    Returns:
        pairs: int32 [g's different characters, columns], other generations' characters that are
            the same.
        follows: int32 alike, those of them whose generation also has the column before.
        row: int32 [n_codes], the row of each character.
    """
    row = np.full(n_codes, -1, np.int32)
    n_rows = 0
    for t in range(starts[g], starts[g + 1]):
        if row[codes[t]] < 0:
            row[codes[t]] = n_rows
            n_rows += 1
    pairs = np.zeros((n_rows, n_columns), np.int32)
    follows = np.zeros((n_rows, n_columns), np.int32)
    for s in range(starts.size - 1):
        last = -2
        for t in range(starts[s], starts[s + 1]):
            if not placed[t] or s == g:
                last = -2
                continue
            c = columns[t]
            if row[codes[t]] >= 0:
                pairs[row[codes[t]], c] += 1
                if last == c - 1:
                    follows[row[codes[t]], c] += 1
            last = c
    return pairs, follows, row


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _align(
    rows: np.ndarray,
    pairs: np.ndarray,
    follows: np.ndarray,
    held: np.ndarray,
    n_joined: int,
) -> np.ndarray:
    """The columns of a run of characters, from 0; -1 for those that get a new one.

    Args:
        rows: int32 [n], the characters, as rows of `pairs`.
        pairs: int32 [rows, m], as `_counts` gives them.
        follows: int32 [rows, m], alike.
        held: int32 [m], how many characters each column holds; what it costs to skip it.
        n_joined: What a new column costs: as many generations skip it. When two neighbours are not
            in neighbouring columns, that costs a fifth of it.
    """
    n, m = rows.size, held.size
    chosen = np.full(n, -1, np.int32)
    if m == 0:
        return chosen
    never = -(1 << 30)
    cost_of_break = n_joined // _BREAK
    best = np.zeros(m + 1, np.int32)
    beside = np.full(m + 1, never, np.int32)
    next_best = np.zeros(m + 1, np.int32)
    next_beside = np.full(m + 1, never, np.int32)
    beside[0] = 0  # what stands before a run is in the column before
    steps = np.empty((n + 1, m + 1), np.uint8)
    for j in range(1, m + 1):
        best[j] = best[j - 1] - held[j - 1]
        steps[0, j] = _SKIP
    for i in range(1, n + 1):
        same, runs, step = pairs[rows[i - 1]], follows[rows[i - 1]], steps[i]
        left = best[0] - n_joined
        next_best[0] = left
        next_beside[0] = never
        step[0] = _NEW
        for j in range(1, m + 1):
            anew = best[j - 1] - cost_of_break
            on = beside[j - 1] + _FOLLOWS * runs[j - 1]
            here = max(anew, on) + _PAIR * same[j - 1]
            next_beside[j] = here
            way = _BESIDE
            value = here
            if best[j] - n_joined > value:
                value = best[j] - n_joined
                way = _NEW
            if left - held[j - 1] > value:
                value = left - held[j - 1]
                way = _SKIP
            next_best[j] = value
            left = value
            step[j] = way | _CONTINUES if on >= anew else way
        best, next_best = next_best, best
        beside, next_beside = next_beside, beside
    i, j = n, m
    bound = False
    while i > 0 and j > 0:
        step_here = steps[i, j]
        way = step_here & 3
        if bound or way == _BESIDE:
            bound = (step_here & _CONTINUES) != 0
            i -= 1
            j -= 1
            chosen[i] = j
        elif way == _NEW:
            i -= 1
        else:
            j -= 1
    return chosen
