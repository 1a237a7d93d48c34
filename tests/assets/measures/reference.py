"""Statistics over items as their definitions say them, one draw and one swap after the other."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import product

import numpy as np

from assets.measures import statistics

STATISTICS = ("mean", "pooled", "exp_pooled")

Pairs = np.ndarray
"""Float [..., n, 2]: the numerator and denominator of each item."""
Draws = Callable[[str, int], Iterator[np.ndarray]]
"""For the name of a collection and its size the items of all draws, some draws at a time."""
_BLOCK = 100


@dataclass(frozen=True)
class Interval:
    """A value and its 95% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """How two checkpoints differ, without a p-value."""

    value: float
    other: float
    difference: Interval
    ratio: Interval


def draws_by_name(name: str, n: int) -> Iterator[np.ndarray]:
    """The draws that the name of a collection stands for."""
    random = np.random.default_rng(zlib.crc32(f"draws {name}".encode()))
    for _ in range(statistics.RESAMPLES // _BLOCK):
        yield random.integers(n, size=(_BLOCK, n))


def independent_draws(name: str, n: int) -> Iterator[np.ndarray]:
    """Draws that have nothing to do with those."""
    random = np.random.Generator(np.random.MT19937([n, zlib.crc32(name.encode()), 77]))
    for _ in range(statistics.RESAMPLES // _BLOCK):
        yield random.choice(n, size=(_BLOCK, n), replace=True)


def statistic_of(statistic: str, collections: Sequence[Pairs]) -> np.ndarray:
    """The statistic over collections: [..., n, 2] of each to [...]."""
    of_each = []
    for items in collections:
        numerators, denominators = items[..., 0], items[..., 1]
        if statistic == "mean":
            of_each.append(np.mean(numerators / denominators, axis=-1))
        else:
            of_each.append(numerators.sum(axis=-1) / denominators.sum(axis=-1))
    if statistic == "exp_pooled":
        return np.asarray(np.prod(np.exp(of_each), axis=0) ** (1 / len(of_each)))
    return np.asarray(sum(of_each) / len(of_each))


def estimated(
    statistic: str, collections: Mapping[str, Pairs], draws: Draws = draws_by_name
) -> Interval:
    """A statistic, and the quantiles of it over resampled items."""
    resampled = [
        statistic_of(statistic, some) for some in _resampled(collections, collections, draws)
    ]
    observed = statistic_of(statistic, [*collections.values()])
    return _interval(observed, np.concatenate(resampled))


def compared(
    statistic: str,
    collections: Mapping[str, Pairs],
    others: Mapping[str, Pairs],
    draws: Draws = draws_by_name,
) -> Difference:
    """Two checkpoints, of which every draw has the same items."""
    value = statistic_of(statistic, [*collections.values()])
    other = statistic_of(statistic, [others[name] for name in collections])
    drawn_value, drawn_other = (
        np.concatenate(
            [statistic_of(statistic, some) for some in _resampled(collections, side, draws)]
        )
        for side in (collections, others)
    )
    return Difference(
        float(value),
        float(other),
        _interval(value - other, drawn_value - drawn_other),
        _interval(value / other, drawn_value / drawn_other),
    )


def _resampled(
    collections: Mapping[str, Pairs], side: Mapping[str, Pairs], draws: Draws
) -> Iterator[list[Pairs]]:
    names = [*collections]
    each = [draws(name, len(collections[name])) for name in names]
    for chosen in zip(*each, strict=True):
        yield [side[name][some] for name, some in zip(names, chosen, strict=True)]


def _interval(value: np.ndarray, resampled: np.ndarray) -> Interval:
    low, high = np.quantile(resampled, [0.025, 0.975])
    return Interval(float(value), float(low), float(high))


Whole = Sequence[tuple[int, int]]
"""The numerator and denominator of each item, as whole numbers."""


def exact_p(statistic: str, collections: Sequence[Whole], others: Sequence[Whole]) -> Fraction:
    """The share of all swaps after which the two differ by at least as much as they do.

    In fractions, so that what is equal looks equal; exponentials have 60 digits, and those that
    differ in the last 20 of them count as equal.
    """
    with localcontext() as context:
        context.prec = 60
        return _exact_p(statistic, collections, others)


def _exact_p(statistic: str, collections: Sequence[Whole], others: Sequence[Whole]) -> Fraction:
    sizes = [len(items) for items in collections]
    observed = _distance(statistic, collections, others)
    slack = Decimal(10) ** -40
    as_large = 0
    for swaps in product((False, True), repeat=sum(sizes)):
        left = iter(swaps)
        one, two = [], []
        for items, partners in zip(collections, others, strict=True):
            pairs = [(b, a) if next(left) else (a, b) for a, b in zip(items, partners, strict=True)]
            one.append([a for a, _ in pairs])
            two.append([b for _, b in pairs])
        distance = _distance(statistic, one, two)
        if isinstance(distance, Decimal) and isinstance(observed, Decimal):
            as_large += distance >= observed - slack
        else:
            as_large += distance >= observed
    return Fraction(as_large, 2 ** sum(sizes))


def _distance(
    statistic: str, collections: Sequence[Whole], others: Sequence[Whole]
) -> Fraction | Decimal:
    centers = []
    for side in (collections, others):
        of_each = [
            sum((Fraction(a, b) for a, b in items), Fraction()) / len(items)
            if statistic == "mean"
            else Fraction(sum(a for a, _ in items), sum(b for _, b in items))
            for items in side
        ]
        centers.append(sum(of_each, Fraction()) / len(of_each))
    if statistic != "exp_pooled":
        return abs(centers[0] - centers[1])
    one, two = ((Decimal(c.numerator) / Decimal(c.denominator)).exp() for c in centers)
    return abs(one - two)
