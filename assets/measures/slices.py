"""Slices of a measure: what of its values belongs together, and what is computed together.

A slice is one decoding, condition, unit and level. Its values are resampled within each collection,
and slices that have collections of the same names and sizes share their draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

ALL = "*"
"""The collection of a value over all collections."""
SLICE = ("decoding", "other", "condition", "unit", "level")
"""The columns that tell a measure's slices apart."""
_AT_ONCE = 100


@dataclass(frozen=True)
class Slice:
    """Some collections of a slice, over which a statistic is computed.

    Attributes:
        key: What tells the slice apart: the values of `SLICE`, and what else a table has.
        names: What the collections are called together in tables.
        collections: By name the numbers of each item, float [n, columns].
    """

    key: tuple[Any, ...]
    names: tuple[str, ...]
    collections: Mapping[str, np.ndarray]

    @property
    def n_items(self) -> int:
        """How many items it is about."""
        return sum(map(len, self.collections.values()))


def each_and_all(key: tuple[Any, ...], collections: Mapping[str, np.ndarray]) -> Iterator[Slice]:
    """Each collection of a slice by itself, and all of them; the only one is all of them."""
    if len(collections) > 1:
        yield Slice(key, (ALL,), collections)
    for name, items in collections.items():
        names = (name,) if len(collections) > 1 else (name, ALL)
        yield Slice(key, names, {name: items})


def alike(slices: Iterable[Slice]) -> Iterator[list[Slice]]:
    """Slices that share their draws, together, as many as memory has room for."""
    groups: dict[tuple[Any, ...], list[Slice]] = {}
    for part in slices:
        sizes = tuple((name, len(items)) for name, items in part.collections.items())
        groups.setdefault((part.names, sizes), []).append(part)
    for group in groups.values():
        for start in range(0, len(group), _AT_ONCE):
            yield group[start : start + _AT_ONCE]


def stacked(slices: Sequence[Slice]) -> dict[str, np.ndarray]:
    """The items of slices that are alike: by collection float [n, slices, columns]."""
    return {
        name: np.stack([part.collections[name] for part in slices], axis=1)
        for name in slices[0].collections
    }
