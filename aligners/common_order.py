"""The words that generations share, in an order that all of them keep."""

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

_MATCHES = 1 << 22
"""Of one generation; each takes 32 bytes."""
_FIRST = 200
"""Generations among which the order is sought."""

_ALONE = 10
_PER_CHARACTER = 3
LONG_RUN = 30
"""What a pair of characters weighs alone, what more for each character before it in a run, and the
characters beyond which a run adds nothing."""


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def common_order(
    units: np.ndarray, starts: np.ndarray, sizes: np.ndarray, order: np.ndarray, passes: int
) -> np.ndarray:
    """Gives units columns that hold nothing but one same unit.

    Generations join one after the other. Each takes a heavy subsequence that it has in common with
    the columns: a match weighs the pairs of characters that it adds, and those that continue a run,
    in generations that have the run's last unit directly before, weigh more the longer it is, up to
    tenfold after 30 characters, the length of an anchor's window. So runs are not broken for
    isolated common words, nor for many short runs. Where few of a column's generations
    go on to the next, little of the run goes on, so that headings which begin alike do not take
    each other's columns. What is not shared gets columns of its own. Then each generation is taken
    out and put in again, which mends what the first ones could not know.

    Of more than 200 generations, 200 from all over the order make the columns. Each other one takes
    its heaviest subsequence of these, and what it does not share has no column. So every generation
    costs the same. Of what a tenth of all generations have, 200 have about twenty.

    Matches are sparse, so the subsequence is found over them alone, with a Fenwick tree of the best
    one that ends before each column (Hunt and Szymanski, 1977, with weights): O(matches log
    columns) a generation. The run before a match is that of the heaviest subsequence that ends
    there, and a longer run where two are as heavy; a lighter one with a longer run is not followed.

    Args:
        units: int32 [units], every generation's units as numbers, one generation after another.
        starts: int64 [generations + 1], where each generation begins.
        sizes: int64 [different units], their characters.
        order: int64 [generations], in which they join.
        passes: How often each is taken out and put in again.

    Returns:
        int32 [units], the column of each, or NONE.
    """
    profile = profile_of(units, starts, np.full(units.size, NONE, np.int32))
    none_stay = np.zeros(units.size, np.bool_)
    is_first = np.zeros(order.size, np.bool_)
    n_first = min(order.size, _FIRST)
    is_first[np.arange(n_first) * order.size // max(n_first, 1)] = True
    for _ in range(passes + 1):
        for g in order[is_first]:
            take_out(profile, g, none_stay)
            first, by_unit = _columns_by_unit(profile, sizes.size)
            put_in(profile, g, _heaviest(profile, first, by_unit, sizes, g))
    places = np.where(profile.columns != NONE, profile.places[profile.columns], np.int32(NONE))
    first, by_unit = _columns_by_unit(profile, sizes.size)
    for g in order[~is_first]:
        places[starts[g] : starts[g + 1]] = _heaviest(profile, first, by_unit, sizes, g)
    return places


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _heaviest(
    profile: Profile, first: np.ndarray, by_unit: np.ndarray, sizes: np.ndarray, g: int
) -> np.ndarray:
    """The places of the columns that a generation's units take; NONE for those that take none.

    Args:
        profile: The alignment. The generation is out.
        first: As `_columns_by_unit` gives it.
        by_unit: Likewise.
        sizes: As `common_order` has it.
        g: The generation.
    """
    begin, end = profile.starts[g], profile.starts[g + 1]
    n_columns = profile.sizes[0]
    most_columns, n_matches = _limit(first, profile.symbols[begin:end], n_columns)
    score = np.empty(n_matches, np.int64)
    run = np.empty(n_matches, np.int64)  # characters, summed over the column's generations
    previous = np.empty(n_matches, np.int32)
    match_unit = np.empty(n_matches, np.int32)
    match_column = np.empty(n_matches, np.int32)
    tree = np.full(n_columns + 1, -1, np.int32)
    last_unit = np.full(n_columns, -2, np.int32)
    last_match = np.empty(n_columns, np.int32)
    x = 0
    for t in range(begin, end):
        unit = profile.symbols[t]
        if first[unit + 1] - first[unit] > most_columns:
            continue
        row = x
        for c in by_unit[first[unit] : first[unit + 1]]:
            best, best_previous, best_carried = 0, -1, 0
            node = c
            while node > 0:
                y = tree[node]
                if y >= 0 and score[y] > best:
                    best, best_previous = score[y], y
                node -= node & -node
            weight = profile.held[profile.order[c]]
            entry = profile.first[profile.order[c]]
            while entry != NONE:
                before = profile.entries[entry, BEFORE]
                if before != NONE and last_unit[profile.places[before]] == t - 1:
                    y = last_match[profile.places[before]]
                    n_on = profile.entries[entry, TIMES]
                    carried = run[y] * n_on // profile.held[before]
                    longer = min(carried, LONG_RUN * n_on)
                    value = score[y] + _PER_CHARACTER * longer * sizes[unit]
                    if value > best or (value == best and carried > best_carried):
                        best, best_previous, best_carried = value, y, carried
                entry = profile.entries[entry, NEXT]
            score[x] = best + _ALONE * weight * sizes[unit]
            run[x] = best_carried + weight * sizes[unit]
            previous[x] = best_previous
            match_unit[x] = t - begin
            match_column[x] = c
            x += 1
        for y in range(row, x):
            c = match_column[y]
            last_unit[c] = t
            last_match[c] = y
            node = c + 1
            while node <= n_columns:
                if tree[node] < 0 or score[y] > score[tree[node]]:
                    tree[node] = y
                node += node & -node
    chosen = np.full(end - begin, NONE, np.int32)
    if n_matches > 0:
        x = int(np.argmax(score))
        while x >= 0:
            chosen[match_unit[x]] = match_column[x]
            x = previous[x]
    return chosen


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _limit(first: np.ndarray, units: np.ndarray, n_columns: int) -> tuple[int, int]:
    """How many columns a unit may have to be matched, and the matches that this gives.

    Where words are repeated on and on, those with the most columns are left to the filling.
    """
    most_columns = n_columns
    n_matches = _MATCHES + 1
    while n_matches > _MATCHES:
        n_matches = 0
        for unit in units:
            n = first[unit + 1] - first[unit]
            n_matches += n if n <= most_columns else 0
        if n_matches > _MATCHES:
            most_columns //= 2
    return most_columns, n_matches


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _columns_by_unit(profile: Profile, n_units: int) -> tuple[np.ndarray, np.ndarray]:
    """The places of each unit's columns: those of unit u are `by_unit[first[u] : first[u + 1]]`."""
    n_columns = profile.sizes[0]
    unit_of = np.empty(n_columns, np.int32)
    first = np.zeros(n_units + 1, np.int64)
    for place in range(n_columns):
        unit_of[place] = profile.entries[profile.first[profile.order[place]], SYMBOL]
        first[unit_of[place] + 1] += 1
    for u in range(n_units):
        first[u + 1] += first[u]
    free = first[:-1].copy()
    by_unit = np.empty(n_columns, np.int32)
    for place in range(n_columns):
        by_unit[free[unit_of[place]]] = place
        free[unit_of[place]] += 1
    return first, by_unit
