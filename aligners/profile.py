"""An alignment while it grows: columns in an order, and the symbols that stand in them.

All generations' symbols stand in one array, one generation after the other. `columns` gives each
placed symbol its column, `placed` says which are; the columns of a generation strictly increase.
"""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def held_by(columns: np.ndarray, placed: np.ndarray, n_columns: int) -> np.ndarray:
    """How many placed symbols each column holds; int32 [columns]."""
    held = np.zeros(n_columns, np.int32)
    for t in range(columns.size):
        if placed[t]:
            held[columns[t]] += 1
    return held


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def take_out(
    columns: np.ndarray, placed: np.ndarray, leaving: np.ndarray, n_columns: int
) -> tuple[np.ndarray, np.ndarray]:
    """Takes symbols out, and closes the columns that this leaves empty.

    Args:
        columns: int32 [symbols], changed in place.
        placed: bool [symbols], changed in place.
        leaving: int64 [n], the symbols that leave.
        n_columns: How many columns there are.

    Returns:
        Of each column what it is now, int32 [n_columns]: if it is gone, the one after it. And how
        many symbols each that is left holds, int32.
    """
    for t in leaving:
        placed[t] = False
    held = held_by(columns, placed, n_columns)
    renumbered = np.empty(n_columns, np.int32)
    left = 0
    for c in range(n_columns):
        renumbered[c] = left
        if held[c] > 0:
            held[left] = held[c]
            left += 1
    for t in range(columns.size):
        if placed[t]:
            columns[t] = renumbered[columns[t]]
    return renumbered, held[:left]


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def put_in(
    columns: np.ndarray, placed: np.ndarray, start: int, chosen: np.ndarray, n_columns: int
) -> int:
    """Puts a generation's symbols into their columns; those without one get a new one each.

    A new column comes right after that of the symbol before.

    Args:
        columns: int32 [symbols], changed in place.
        placed: bool [symbols], changed in place.
        start: Where the generation's symbols begin.
        chosen: int32 [the generation's symbols], strictly increasing but for -1, which asks for a
            new column.
        n_columns: How many columns there are.

    Returns:
        How many there are now.
    """
    shift = np.zeros(n_columns + 1, np.int32)
    place = 0
    for i in range(chosen.size):
        if chosen[i] >= 0:
            place = chosen[i] + 1
        else:
            shift[place] += 1
    for c in range(n_columns):
        shift[c + 1] += shift[c]
    for t in range(columns.size):
        if placed[t]:
            columns[t] += shift[columns[t]]
    following = 0
    for i in range(chosen.size):
        if chosen[i] >= 0:
            following = chosen[i] + shift[chosen[i]]
        columns[start + i] = following
        placed[start + i] = True
        following += 1
    return n_columns + int(shift[n_columns])
