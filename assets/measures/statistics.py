"""Statistics over items: bootstrap intervals, paired differences, and permutation tests.

Pure functions of arrays. An item (a prompt, a document) has a numerator and a denominator; the
statistic of a collection of items is `mean`, the mean of their ratios, `pooled`, the ratio of their
sums, or `exp_pooled`, its exponential. Over several collections it is the mean of theirs, for
`exp_pooled` the geometric one, and each is resampled by itself.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

RESAMPLES = 10_000
SWAPS = 10_000
EXACT_UP_TO = 16
"""Items for which all swaps are tried."""
_ENDS = (0.025, 0.975)
"""Quantiles between which 95% of the resampled statistics lie."""
_AT_ONCE = 1 << 22
"""Numbers drawn at once, and of a block of draws that is remembered."""
_ROUNDING = 1e-9
"""Differences that differ by less, relative to the values, are equal."""


@dataclass(frozen=True)
class Items:
    """The items of a collection, in several slices that have the same ones.

    Attributes:
        numerators: float [n, slices].
        denominators: float [n, slices], over 0.
    """

    numerators: np.ndarray
    denominators: np.ndarray

    def __len__(self) -> int:
        return len(self.numerators)


@dataclass(frozen=True)
class Estimate:
    """A statistic and its 95% interval, each float [slices]; infinite where it is beyond a double.

    Attributes:
        value: The statistic.
        low: The interval's lower end; the value where there is one item.
        high: Its upper end.
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Comparison:
    """How two checkpoints differ over the items that both have, each float [slices].

    Attributes:
        value: The first's statistic.
        other: The second's.
        difference: `value - other`, with the interval of a paired bootstrap.
        ratio: `value / other`, likewise.
        p: Of a permutation test by swapping the two item by item, two-sided.
        p_least: The least that so few items can give; a number.
    """

    value: np.ndarray
    other: np.ndarray
    difference: Estimate
    ratio: Estimate
    p: np.ndarray
    p_least: float


def estimate(statistic: str, collections: Mapping[str, Items]) -> Estimate:
    """A statistic over collections, with its percentile bootstrap interval (Efron, 1979).

    Of few items it is too narrow: of 40,000 simulated means of 100 normal values (and exponential
    ones) the intervals cover 94.6% (94.1%), of means of 20 values 92.7% (90.5%), of 8 values 88.8%
    (84.5%).

    Args:
        statistic: mean, pooled or exp_pooled.
        collections: Items by the collection's name, which seeds its draws; at least one.
    """
    observed, draws = [], []
    for name, items in collections.items():
        parts = _parts(statistic, items)
        observed.append(_center(statistic, parts.sum(axis=0), len(items)))
        draws.append(_center(statistic, _resampled(parts, name), len(items)))
    return _interval(_finish(statistic, observed), _finish(statistic, draws))


def mean_of(values: np.ndarray) -> Estimate:
    """The mean of each column, float [n, slices], over one collection, with its interval."""
    return estimate("mean", {"": Items(values, np.ones_like(values))})


def compare(
    statistic: str, collections: Mapping[str, Items], others: Mapping[str, Items]
) -> Comparison:
    """A statistic of two checkpoints over the same items.

    Args:
        statistic: mean, pooled or exp_pooled.
        collections: One's items by collection, at least one; their names seed the draws.
        others: The other's, the same items in the same order.
    """
    observed: list[list[np.ndarray]] = [[], []]
    draws: list[list[np.ndarray]] = [[], []]
    for name, items in collections.items():
        both = np.concatenate([_parts(statistic, items), _parts(statistic, others[name])], axis=1)
        sums, drawn = both.sum(axis=0), _resampled(both, name)
        half = both.shape[1] // 2
        for side, columns in enumerate((slice(half), slice(half, None))):
            observed[side].append(_center(statistic, sums[columns], len(items)))
            draws[side].append(_center(statistic, drawn[..., columns, :], len(items)))
    value, other = (_finish(statistic, side) for side in observed)
    drawn_value, drawn_other = (_finish(statistic, side) for side in draws)
    with np.errstate(all="ignore"):  # a ratio to 0 is not finite, and null in the lake
        return Comparison(
            value,
            other,
            _interval(value - other, drawn_value - drawn_other),
            _interval(value / other, drawn_value / drawn_other),
            *_permuted(statistic, collections, others),
        )


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values of a family, adjusted after Holm (1979); in the order that they are given in."""
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(p_values))
    least = 0.0
    for rank, place in enumerate(order):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = least
    return [float(p) for p in adjusted]


def _parts(statistic: str, items: Items) -> np.ndarray:
    """What is summed over items: float [n, slices, 1 or 2]."""
    if statistic == "mean":
        ratios: np.ndarray = items.numerators / items.denominators
        return ratios[..., None]
    return np.stack([items.numerators, items.denominators], axis=-1)


def _center(statistic: str, sums: np.ndarray, n: int) -> np.ndarray:
    """The statistic, before any exponential, from sums [..., 1 or 2]."""
    with np.errstate(all="ignore"):
        center: np.ndarray = (
            sums[..., 0] / n if statistic == "mean" else sums[..., 0] / sums[..., 1]
        )
    return center


def _finish(statistic: str, centers: Sequence[np.ndarray]) -> np.ndarray:
    """The statistic over collections."""
    mean: np.ndarray = sum(centers[1:], centers[0]) / len(centers)
    if statistic != "exp_pooled":
        return mean
    with np.errstate(over="ignore"):  # beyond a double it is infinite
        exponential: np.ndarray = np.exp(mean)
    return exponential


def _interval(value: np.ndarray, draws: np.ndarray) -> Estimate:
    low, high = _quantiles(draws, _ENDS)
    return Estimate(value, low, high)


def _quantiles(draws: np.ndarray, ends: Sequence[float]) -> list[np.ndarray]:
    """`np.quantile(draws, ends, axis=0)`, without sorting all of it.

    What is no number, such as the ratio of two zeros, counts as more than any.
    """
    columns = np.ascontiguousarray(draws.T)
    places = [end * (columns.shape[1] - 1) for end in ends]
    neighbours = [(int(place), min(int(place) + 1, len(draws) - 1)) for place in places]
    columns.partition(sorted(set(chain.from_iterable(neighbours))), axis=1)
    quantiles = []
    for place, (below, above) in zip(places, neighbours, strict=True):
        share = place - below
        with np.errstate(invalid="ignore"):
            quantiles.append(columns[:, below] * (1 - share) + columns[:, above] * share)
    return quantiles


def _resampled(parts: np.ndarray, name: str) -> np.ndarray:
    """Sums over as many items as there are, drawn with replacement: [RESAMPLES, slices, ...]."""
    flat = parts.reshape(len(parts), -1)
    return np.concatenate([times @ flat for times in _blocks("draws", len(parts), name)]).reshape(
        RESAMPLES, *parts.shape[1:]
    )


def _permuted(
    statistic: str, collections: Mapping[str, Items], others: Mapping[str, Items]
) -> tuple[np.ndarray, float]:
    """The p-values of all slices, and the least that so few items can give.

    The one that swaps nothing is among those drawn at random, so that no p is 0 (Phipson and Smyth,
    2010).
    """
    sizes = {name: len(items) for name, items in collections.items()}
    n = sum(sizes.values())
    ours: list[np.ndarray] = []
    theirs: list[np.ndarray] = []
    start = 0
    for name, items in collections.items():
        one, two = _parts(statistic, items), _parts(statistic, others[name])
        moved = (two - one).reshape(len(one), -1)
        if n <= EXACT_UP_TO:
            change = _all_swaps(n)[:, start : start + len(one)] @ moved
        else:
            change = np.concatenate([s @ moved for s in _blocks("swaps", len(one), name)])
        change = change.reshape(-1, *one.shape[1:])
        ours.append(_center(statistic, one.sum(axis=0) + change, len(one)))
        theirs.append(_center(statistic, two.sum(axis=0) - change, len(one)))
        start += len(one)
    values, others_values = _finish(statistic, ours), _finish(statistic, theirs)
    differences = np.abs(values - others_values)
    # The first swap is none at all. Sums depend on their order, so differences that are equal do
    # not look equal to the last digit.
    observed = differences[0]
    tolerance = _ROUNDING * (np.abs(values[0]) + np.abs(others_values[0]))
    as_large = (differences >= observed - tolerance).mean(axis=0)
    p = np.where(np.isfinite(observed), as_large, np.nan)
    return p, (2 / 2**n if n <= EXACT_UP_TO else 1 / (SWAPS + 1))


def _all_swaps(n: int) -> np.ndarray:
    """Every way to swap n items, none of them first: float [2 ** n, n]."""
    return ((np.arange(1 << n)[:, None] >> np.arange(n)) & 1).astype(float)


def _blocks(kind: str, n: int, name: str) -> Iterator[np.ndarray]:
    """Draws of n items in blocks that memory has room for, the same for the same name."""
    seed = zlib.crc32(f"{kind} {name}".encode())
    if n * RESAMPLES <= _AT_ONCE:
        yield _remembered(kind, n, seed)
    else:
        yield from _drawn(kind, n, seed)


@lru_cache(maxsize=8)
def _remembered(kind: str, n: int, seed: int) -> np.ndarray:
    return np.concatenate(list(_drawn(kind, n, seed)))


def _drawn(kind: str, n: int, seed: int) -> Iterator[np.ndarray]:
    """How often each draw has each item, or whether it is swapped: float [draws, n]."""
    random = np.random.default_rng(seed)
    step = max(1, _AT_ONCE // n)
    if kind == "swaps":
        yield np.zeros((1, n))
    draws = RESAMPLES if kind == "draws" else SWAPS
    for start in range(0, draws, step):
        size = min(step, draws - start)
        if kind == "swaps":
            yield random.integers(2, size=(size, n)).astype(float)
            continue
        chosen = random.integers(n, size=(size, n))
        each = n * np.arange(size)[:, None]
        yield (
            np.bincount((chosen + each).ravel(), minlength=chosen.size)
            .reshape(size, n)
            .astype(float)
        )
