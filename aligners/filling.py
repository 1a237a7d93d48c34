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
    row = np.full(n_codes, -1, np.int32)
    for g in order:
        held = held_by(columns, placed, n_columns)
        begin, end = starts[g], starts[g + 1]
        first, standing, follows = _by_column(codes, starts, columns, placed, n_columns, g)
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
                run = codes[begin + i0 : begin + i1]
                rows, n_rows = _rows(run, row)
                pairs, runs = _counts(first, standing, follows, c0, c1, row, n_rows)
                chosen[i0:i1] = _align(rows, pairs, runs, held[c0:c1], n_joined)
                row[run] = -1
                for i in range(i0, i1):
                    if chosen[i] >= 0:
                        chosen[i] += c0
            t = stop
        n_columns = put_in(columns, placed, begin, chosen, n_columns)
        n_joined += 1
    return columns


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _by_column(
    codes: np.ndarray,
    starts: np.ndarray,
    columns: np.ndarray,
    placed: np.ndarray,
    n_columns: int,
    g: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What other generations than g have in each column.

    Returns:
        first: int64 [columns + 1], where a column's characters begin in the others.
        standing: int32 [characters], the characters, column by column.
        follows: bool [characters], whether its generation also has the column before.
    """
    first = np.zeros(n_columns + 1, np.int64)
    for s in range(starts.size - 1):
        if s != g:
            for t in range(starts[s], starts[s + 1]):
                if placed[t]:
                    first[columns[t] + 1] += 1
    for c in range(n_columns):
        first[c + 1] += first[c]
    free = first[:-1].copy()
    standing = np.empty(first[-1], np.int32)
    follows = np.empty(first[-1], np.bool_)
    for s in range(starts.size - 1):
        if s == g:
            continue
        last = -2
        for t in range(starts[s], starts[s + 1]):
            if not placed[t]:
                last = -2
                continue
            c = columns[t]
            standing[free[c]] = codes[t]
            follows[free[c]] = last == c - 1
            free[c] += 1
            last = c
    return first, standing, follows


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _rows(run: np.ndarray, row: np.ndarray) -> tuple[np.ndarray, int]:
    """Numbers the different characters of a run.

    Args:
        run: int32 [n], the characters.
        row: int32 [n_codes], -1 throughout; holds the number of each character afterwards.

    Returns:
        int32 [n], the number of each; and how many there are.
    """
    n_rows = 0
    rows = np.empty(run.size, np.int32)
    for i in range(run.size):
        if row[run[i]] < 0:
            row[run[i]] = n_rows
            n_rows += 1
        rows[i] = row[run[i]]
    return rows, n_rows


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _counts(
    first: np.ndarray,
    standing: np.ndarray,
    follows: np.ndarray,
    low: int,
    high: int,
    row: np.ndarray,
    n_rows: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Who stands in the columns from `low` to before `high`, as far as it concerns a run.

    The tables have no more cells than the alignment of the run has, so their memory is bounded.

    Returns:
        pairs: int32 [rows, columns], other generations' characters that are the row's.
        runs: int32 alike, those of them whose generation also has the column before.
    """
    pairs = np.zeros((n_rows, high - low), np.int32)
    runs = np.zeros((n_rows, high - low), np.int32)
    for c in range(low, high):
        for e in range(first[c], first[c + 1]):
            r = row[standing[e]]
            if r >= 0:
                pairs[r, c - low] += 1
                if follows[e]:
                    runs[r, c - low] += 1
    return pairs, runs


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _align(
    rows: np.ndarray,
    pairs: np.ndarray,
    runs: np.ndarray,
    held: np.ndarray,
    n_joined: int,
) -> np.ndarray:
    """The columns of a run of characters, from 0; -1 for those that get a new one.

    Args:
        rows: int32 [n], the characters, as rows of `pairs`.
        pairs: int32 [rows, m], as `_counts` gives them.
        runs: int32 [rows, m], alike.
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
        same, following, step = pairs[rows[i - 1]], runs[rows[i - 1]], steps[i]
        left = best[0] - n_joined
        next_best[0] = left
        next_beside[0] = never
        step[0] = _NEW
        for j in range(1, m + 1):
            anew = best[j - 1] - cost_of_break
            on = beside[j - 1] + _FOLLOWS * following[j - 1]
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
