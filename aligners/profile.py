"""An alignment while it grows: columns in an order, and the symbols that stand in them."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

SYMBOL, BEFORE, TIMES, NEXT = range(4)
"""What an entry of a column has."""
NONE = -1
"""The column of a symbol that has none, and what ends a chain of entries."""


class Profile(NamedTuple):
    """All generations' symbols, one generation after the other, and the columns they stand in.

    A column keeps its number while others open and close to its left, and what stands in it is
    counted as generations come and go. So a generation costs as much as it has symbols and as there
    are columns, however many generations there are.

    Attributes:
        symbols: int32 [symbols], as numbers.
        starts: int64 [generations + 1], where each generation begins.
        columns: int32 [symbols], the number of each one's column, or NONE.
        order: int32 [symbols], the numbers of the columns, from left to right; then those that no
            column has.
        places: int32 [symbols], where in the order each column stands. For one that has closed,
            where the next one to its right stood then.
        held: int32 [symbols], how many symbols each column holds.
        first: int32 [symbols], the first entry of each column, or NONE.
        entries: int32 [symbols, 4]: a symbol, the column in which its generation has the symbol
            before it, how many of the column's symbols are alike in both, and the next entry. Those
            that no column has are a chain too.
        sizes: int64 [2], how many columns there are, and the first entry that no column has.
    """

    symbols: np.ndarray
    starts: np.ndarray
    columns: np.ndarray
    order: np.ndarray
    places: np.ndarray
    held: np.ndarray
    first: np.ndarray
    entries: np.ndarray
    sizes: np.ndarray


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def profile_of(symbols: np.ndarray, starts: np.ndarray, columns: np.ndarray) -> Profile:
    """An alignment that has some symbols.

    Args:
        symbols: As in `Profile`.
        starts: Likewise.
        columns: int32 [symbols], the place of each one's column, strictly increasing within a
            generation, or NONE. No column up to the last is empty.
    """
    n = symbols.size
    numbers = np.arange(n).astype(np.int32)
    entries = np.empty((n, 4), np.int32)
    entries[:, NEXT] = numbers + 1
    profile = Profile(
        symbols,
        starts,
        columns.copy(),
        numbers,
        numbers.copy(),
        np.zeros(n, np.int32),
        np.full(n, NONE, np.int32),
        entries,
        np.zeros(2, np.int64),
    )
    for t in range(n):
        if columns[t] != NONE:
            profile.held[columns[t]] += 1
            profile.sizes[0] = max(profile.sizes[0], columns[t] + 1)
    for g in range(starts.size - 1):
        _count(profile, g)
    return profile


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def take_out(profile: Profile, g: int, stays: np.ndarray) -> None:
    """Takes a generation out, and closes the columns that this leaves empty.

    Symbols that stay keep their columns, but are not counted while the generation is out.

    Args:
        profile: The alignment, changed in place.
        g: The generation.
        stays: bool [symbols], those of all generations that stay.
    """
    _, starts, columns, order, places, held, _, _, sizes = profile
    _discount(profile, g)
    for t in range(starts[g], starts[g + 1]):
        if columns[t] != NONE and not stays[t]:
            held[columns[t]] -= 1
            columns[t] = NONE
    closed = np.empty(starts[g + 1] - starts[g], np.int32)
    left = 0
    for place in range(sizes[0]):
        column = order[place]
        places[column] = left
        if held[column] > 0:
            order[left] = column
            left += 1
        else:
            closed[place - left] = column
    order[left : sizes[0]] = closed[: sizes[0] - left]
    sizes[0] = left


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def put_in(profile: Profile, g: int, chosen: np.ndarray) -> None:
    """Puts a generation that is out into its columns; symbols without one get a new one each.

    A new column comes right after that of the symbol before.

    Args:
        profile: The alignment, changed in place.
        g: The generation.
        chosen: int32 [the generation's symbols], the places of their columns, strictly increasing,
            and those that symbols which stayed have; or NONE, which asks for a new column.
    """
    _, starts, columns, order, places, held, _, _, sizes = profile
    begin = starts[g]
    standing = order[: sizes[0]].copy()
    opened = order[sizes[0] : sizes[0] + np.sum(chosen == NONE)].copy()
    place, n_moved, n_opened = 0, 0, 0
    for i in range(chosen.size):
        if chosen[i] == NONE:
            order[place] = opened[n_opened]
            n_opened += 1
            place += 1
        while n_moved <= chosen[i]:
            order[place] = standing[n_moved]
            n_moved += 1
            place += 1
        if columns[begin + i] == NONE:
            columns[begin + i] = order[place - 1]
            held[order[place - 1]] += 1
    sizes[0] += n_opened
    order[place : sizes[0]] = standing[n_moved:]
    for place in range(sizes[0]):
        places[order[place]] = place
    _count(profile, g)


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _count(profile: Profile, g: int) -> None:
    """Counts a generation's symbols in the entries of their columns."""
    symbols, starts, columns, _, _, _, _, entries, sizes = profile
    for t in range(starts[g], starts[g + 1]):
        if columns[t] == NONE:
            continue
        before = columns[t - 1] if t > starts[g] else NONE
        last, entry = _entry_of(profile, t, before)
        if entry == NONE:
            entry = sizes[1]
            sizes[1] = entries[entry, NEXT]
            entries[entry, SYMBOL], entries[entry, BEFORE] = symbols[t], before
            entries[entry, TIMES], entries[entry, NEXT] = 0, NONE
            _link(profile, columns[t], last, entry)
        entries[entry, TIMES] += 1


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _discount(profile: Profile, g: int) -> None:
    """Undoes what `_count` does."""
    _, starts, columns, _, _, _, _, entries, sizes = profile
    for t in range(starts[g], starts[g + 1]):
        if columns[t] == NONE:
            continue
        before = columns[t - 1] if t > starts[g] else NONE
        last, entry = _entry_of(profile, t, before)
        entries[entry, TIMES] -= 1
        if entries[entry, TIMES] == 0:
            _link(profile, columns[t], last, entries[entry, NEXT])
            entries[entry, NEXT] = sizes[1]
            sizes[1] = entry


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _entry_of(profile: Profile, t: int, before: int) -> tuple[int, int]:
    """The entry in front of the one that counts a symbol in its column, and that one; or NONE."""
    entries = profile.entries
    last = NONE
    entry = profile.first[profile.columns[t]]
    while entry != NONE and (
        entries[entry, SYMBOL] != profile.symbols[t] or entries[entry, BEFORE] != before
    ):
        last = entry
        entry = entries[entry, NEXT]
    return last, entry


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _link(profile: Profile, column: int, last: int, entry: int) -> None:
    """Puts an entry after another one of a column, or first."""
    if last == NONE:
        profile.first[column] = entry
    else:
        profile.entries[last, NEXT] = entry
