"""The words that generations share, in an order that all of them keep."""

from __future__ import annotations

import numba
import numpy as np

from aligners.profile import put_in, take_out

_MATCHES = 1 << 22
"""Of one generation; each takes 32 bytes."""

_ALONE = 10
_PER_CHARACTER = 3
_LONG_RUN = 30
"""What a pair of characters weighs alone, what more for each character before it in a run, and the
characters beyond which a run adds nothing."""


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def common_order(
    units: np.ndarray, starts: np.ndarray, sizes: np.ndarray, order: np.ndarray, passes: int
) -> np.ndarray:
    """Gives every unit a column that holds nothing but that same unit.

    Generations join one after the other. Each takes a heavy subsequence that it has in common with
    the columns: a match weighs the pairs of characters that it adds, and those that continue a run,
    in generations that have the run's last unit directly before, weigh more the longer it is, up to
    tenfold after 30 characters, the length of an anchor's window. So runs are not broken for
    isolated common words, nor for many short runs. Where few of a column's generations
    go on to the next, little of the run goes on, so that headings which begin alike do not take
    each other's columns. What is not shared gets columns of its own. Then each generation is taken
    out and put in again, which mends what the first ones could not know.

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
        int32 [units], the column of each.
    """
    columns = np.zeros(units.size, np.int32)
    placed = np.zeros(units.size, np.bool_)
    n_columns = 0
    for _ in range(passes + 1):
        for g in order:
            leaving = np.arange(starts[g], starts[g + 1])
            _, weights = take_out(columns, placed, leaving, n_columns)
            chosen = _heaviest(units, starts, sizes, columns, placed, weights, g)
            n_columns = put_in(columns, placed, starts[g], chosen, weights.size)
    return columns


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _heaviest(
    units: np.ndarray,
    starts: np.ndarray,
    sizes: np.ndarray,
    columns: np.ndarray,
    placed: np.ndarray,
    weights: np.ndarray,
    g: int,
) -> np.ndarray:
    """The columns that a generation's units take; -1 for those that take none."""
    first, by_unit = _columns_by_unit(units, columns, placed, weights.size, sizes.size)
    before_first, before, before_weight = _columns_before(starts, columns, placed, weights)
    begin, end = starts[g], starts[g + 1]
    # Where words are repeated on and on, those with the most columns are left to the filling.
    most_columns = weights.size
    n_matches = _MATCHES + 1
    while n_matches > _MATCHES:
        n_matches = 0
        for t in range(begin, end):
            n = first[units[t] + 1] - first[units[t]]
            n_matches += n if n <= most_columns else 0
        if n_matches > _MATCHES:
            most_columns //= 2
    score = np.empty(n_matches, np.int64)
    run = np.empty(n_matches, np.int64)  # characters, summed over the column's generations
    previous = np.empty(n_matches, np.int32)
    match_unit = np.empty(n_matches, np.int32)
    match_column = np.empty(n_matches, np.int32)
    tree = np.full(weights.size + 1, -1, np.int32)
    last_unit = np.full(weights.size, -2, np.int32)
    last_match = np.empty(weights.size, np.int32)
    x = 0
    for t in range(begin, end):
        if first[units[t] + 1] - first[units[t]] > most_columns:
            continue
        row = x
        size = sizes[units[t]]
        for c in by_unit[first[units[t]] : first[units[t] + 1]]:
            best, best_previous, best_carried = 0, -1, 0
            node = c
            while node > 0:
                y = tree[node]
                if y >= 0 and score[y] > best:
                    best, best_previous = score[y], y
                node -= node & -node
            for e in range(before_first[c], before_first[c + 1]):
                if last_unit[before[e]] == t - 1:
                    y = last_match[before[e]]
                    carried = run[y] * before_weight[e] // weights[before[e]]
                    longer = min(carried, _LONG_RUN * before_weight[e])
                    value = score[y] + _PER_CHARACTER * longer * size
                    if value > best or (value == best and carried > best_carried):
                        best, best_previous, best_carried = value, y, carried
            score[x] = best + _ALONE * weights[c] * size
            run[x] = best_carried + weights[c] * size
            previous[x] = best_previous
            match_unit[x] = t - begin
            match_column[x] = c
            x += 1
        for y in range(row, x):
            c = match_column[y]
            last_unit[c] = t
            last_match[c] = y
            node = c + 1
            while node <= weights.size:
                if tree[node] < 0 or score[y] > score[tree[node]]:
                    tree[node] = y
                node += node & -node
    chosen = np.full(end - begin, -1, np.int32)
    x = -1
    for y in range(n_matches):
        if x < 0 or score[y] > score[x]:
            x = y
    while x >= 0:
        chosen[match_unit[x]] = match_column[x]
        x = previous[x]
    return chosen


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _columns_by_unit(
    units: np.ndarray, columns: np.ndarray, placed: np.ndarray, n_columns: int, n_units: int
) -> tuple[np.ndarray, np.ndarray]:
    """Each unit's columns, in order: those of unit u are `by_unit[first[u] : first[u + 1]]`."""
    unit_of = np.empty(n_columns, np.int32)
    for t in range(units.size):
        if placed[t]:
            unit_of[columns[t]] = units[t]
    first = np.zeros(n_units + 1, np.int64)
    for c in range(n_columns):
        first[unit_of[c] + 1] += 1
    for u in range(n_units):
        first[u + 1] += first[u]
    free = first[:-1].copy()
    by_unit = np.empty(n_columns, np.int32)
    for c in range(n_columns):
        by_unit[free[unit_of[c]]] = c
        free[unit_of[c]] += 1
    return first, by_unit


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _columns_before(
    starts: np.ndarray, columns: np.ndarray, placed: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The columns from which generations come directly to each column, and how many do."""
    held = np.zeros(weights.size + 1, np.int64)
    for c in range(weights.size):
        held[c + 1] = held[c] + weights[c]
    comes_from = np.empty(held[-1], np.int32)
    free = held[:-1].copy()
    for g in range(starts.size - 1):
        for t in range(starts[g], starts[g + 1]):
            if placed[t]:
                comes_from[free[columns[t]]] = columns[t - 1] if t > starts[g] else -1
                free[columns[t]] += 1
    first = np.zeros(weights.size + 1, np.int64)
    before = np.empty(held[-1], np.int32)
    weight = np.empty(held[-1], np.int32)
    count = np.zeros(weights.size, np.int32)
    n = 0
    for c in range(weights.size):
        for source in comes_from[held[c] : held[c + 1]]:
            if source >= 0:
                if count[source] == 0:
                    before[n] = source
                    n += 1
                count[source] += 1
        for e in range(first[c], n):
            weight[e] = count[before[e]]
            count[before[e]] = 0
        first[c + 1] = n
    return first, before, weight
