"""The characters between the words that generations share."""

from __future__ import annotations

import numba
import numpy as np

from aligners.common_order import LONG_RUN
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
from aligners.run import align_run

_CELLS = 1 << 25
"""Of one table of dynamic programming; it takes as many bytes."""

_BAND = 50
_BAND_OF_ALL = 1500
"""Characters. So far from where it was a character may be put in again; farther where generations
are few, so that the bands of all of them have so many together."""


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
            long[t:stop] = fixed[t] >= 0 and stop - t >= LONG_RUN
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
            chosen[i0:i1] = align_run(rows, pairs, runs, held, lowest, highest, n_joined)
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
