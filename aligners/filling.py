"""The characters between the words that generations share."""

from __future__ import annotations

import numba
import numpy as np

from aligners.profile import (
    BEFORE,
    NEXT,
    NONE,
    SYMBOL,
    TIMES,
    Profile,
    profile_of,
    put_in,
    take_out,
)

_CELLS = 1 << 25
"""Of one table of dynamic programming; it takes as many bytes."""

_LONG_RUN = 30
"""Characters, the length of an anchor's window."""
_BAND = 50
_BAND_OF_ALL = 1500
"""Characters. So far from where it was a character may be put in again; farther where generations
are few, so that the bands of all of them have so many together."""

# What an alignment of a character with a column weighs. Pairs of equal characters count twice what
# skipping costs, so that columns are shared, and not many.
_PAIR = 2
_FOLLOWS = 3
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

    Then each generation is taken out and put in again beside all others, near to where it was;
    twice where they are few, as the first ones to join knew little. What it was given for a start
    stays where it is if it goes on for 30 characters; shorter runs may be chance, and are moved
    where that gives more pairs.

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
    profile = profile_of(codes, starts, fixed)
    given, stays = fixed != NONE, _in_long_runs(fixed, starts)
    anywhere = np.zeros(0, np.int32)
    for n_joined in range(order.size):
        g = order[n_joined]
        take_out(profile, g, given)
        put_in(profile, g, _chosen(profile, g, anywhere, 0, n_joined, n_codes))
    band = max(_BAND, _BAND_OF_ALL // max(order.size, 1))
    for _ in range(1 if band == _BAND else 2):
        for g in order:
            was = profile.columns[starts[g] : starts[g + 1]].copy()
            take_out(profile, g, stays)
            near = profile.places[was]
            put_in(profile, g, _chosen(profile, g, near, band, order.size - 1, n_codes))
    columns: np.ndarray = profile.places[profile.columns]
    return columns


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _in_long_runs(fixed: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Which characters are in a run of 30 or more in consecutive columns; bool [characters]."""
    long = np.zeros(fixed.size, np.bool_)
    for g in range(starts.size - 1):
        t = starts[g]
        while t < starts[g + 1]:
            stop = t + 1
            while stop < starts[g + 1] and fixed[t] >= 0 and fixed[stop] == fixed[stop - 1] + 1:
                stop += 1
            long[t:stop] = fixed[t] >= 0 and stop - t >= _LONG_RUN
            t = stop
    return long


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _chosen(
    profile: Profile, g: int, near: np.ndarray, band: int, n_joined: int, n_codes: int
) -> np.ndarray:
    """The places of the columns that a generation's characters take; NONE for a new one.

    Args:
        profile: The alignment. The generation is out, but for those of its characters that stayed.
        g: The generation.
        near: int32 [its characters], the places about which they are sought; or none, for all.
        band: As in `_limits`.
        n_joined: How many other generations there are.
        n_codes: How many different characters there are.
    """
    begin, end = profile.starts[g], profile.starts[g + 1]
    n_columns = profile.sizes[0]
    chosen = np.full(end - begin, NONE, np.int32)
    for i in range(end - begin):
        if profile.columns[begin + i] != NONE:
            chosen[i] = profile.places[profile.columns[begin + i]]
    row = np.full(n_codes, -1, np.int32)
    t, low = 0, 0
    while t < end - begin:
        if chosen[t] != NONE:
            low = chosen[t] + 1
            t += 1
            continue
        stop = t
        while stop < end - begin and chosen[stop] == NONE:
            stop += 1
        high = chosen[stop] if stop < end - begin else n_columns
        # Very long runs are cut into parts, and the columns likewise, to bound the memory: evenly,
        # or where the columns are that are near.
        share = float(stop - t) * (high - low) / _CELLS
        parts = int(np.ceil(share if near.size > 0 else np.sqrt(share)))
        for part in range(parts):
            i0 = t + (stop - t) * part // parts
            i1 = t + (stop - t) * (part + 1) // parts
            c0 = low + (high - low) * part // parts
            c1 = low + (high - low) * (part + 1) // parts
            if near.size > 0:
                c0 = near[i0] if part > 0 else low
                c1 = near[i1] if part < parts - 1 else high
            run = profile.symbols[begin + i0 : begin + i1]
            rows, n_rows = _rows(run, row)
            held = profile.held[profile.order[c0:c1]]
            pairs, runs = _counts(profile, c0, c1, row, n_rows)
            lowest, highest = _limits(near[i0:i1] - c0, band, i1 - i0, c1 - c0)
            chosen[i0:i1] = _align(rows, pairs, runs, held, lowest, highest, n_joined)
            row[run] = -1
            for i in range(i0, i1):
                if chosen[i] != NONE:
                    chosen[i] += c0
        t = stop
    return chosen


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _limits(near: np.ndarray, band: int, n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
    """The fewest and the most of m columns that may have passed after 0 to n characters of a run.

    Args:
        near: int32 [n], the column near to which each is sought, or none.
        band: So many characters before and after it tell how far from there.
        n: The characters.
        m: The columns.

    Returns:
        Both int32 [n + 1], and nowhere falling.
    """
    lowest = np.zeros(n + 1, np.int32)
    highest = np.full(n + 1, m, np.int32)
    if near.size > 0:
        for i in range(n + 1):
            if i > band:
                lowest[i] = near[i - band]
            if i + band < n:
                highest[i] = near[i + band]
    return lowest, highest


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
    profile: Profile, low: int, high: int, row: np.ndarray, n_rows: int
) -> tuple[np.ndarray, np.ndarray]:
    """Who stands in the columns from `low` to before `high`, as far as it concerns a run.

    The tables have no more cells than the alignment of the run has, so their memory is bounded.

    Args:
        profile: The alignment.
        low: The place of the first column.
        high: That after the last one.
        row: int32 [n_codes], the row of each character; -1 for those that are not in the run.
        n_rows: How many rows there are.

    Returns:
        pairs: int32 [rows, columns], other generations' characters that are the row's.
        runs: int32 alike, those of them whose generation also has the column before.
    """
    entries = profile.entries
    pairs = np.zeros((n_rows, high - low), np.int32)
    runs = np.zeros((n_rows, high - low), np.int32)
    for place in range(low, high):
        column_before = profile.order[place - 1] if place > 0 else -2
        entry = profile.first[profile.order[place]]
        while entry != NONE:
            r = row[entries[entry, SYMBOL]]
            if r >= 0:
                pairs[r, place - low] += entries[entry, TIMES]
                if entries[entry, BEFORE] == column_before:
                    runs[r, place - low] += entries[entry, TIMES]
            entry = entries[entry, NEXT]
    return pairs, runs


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _align(
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
        pairs: int32 [rows, m], as `_counts` gives them.
        runs: int32 [rows, m], alike.
        held: int32 [m], how many characters each column holds; what it costs to skip it.
        lowest: int32 [n + 1], as `_limits` gives it.
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

    Args are those of `_align`.

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
        held: int32 [w], as in `_align`.
        n_joined: As in `_align`.
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
