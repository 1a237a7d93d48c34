"""Means over prompts, and how sure they are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

RESAMPLES = 10_000
_ENDS = (0.025, 0.975)
"""Quantiles between which 95% of the resampled statistics lie."""
_AT_ONCE = 1 << 22
"""Values resampled at once."""


@dataclass(frozen=True)
class Interval:
    """A mean, or another statistic, with its 95% bootstrap interval.

    Attributes:
        mean: The mean.
        low: The interval's lower end; the mean where there is only one value.
        high: Its upper end.
        n: How many values it is the mean of.
    """

    mean: float
    low: float
    high: float
    n: int

    def verdict(self, above: str, below: str, otherwise: str = "no clear difference") -> str:
        """What to call a difference from 0 where the interval leaves no doubt of its sign."""
        if self.low > 0:
            return above
        return below if self.high < 0 else otherwise

    def percent(self) -> str:
        """Such as `34% [25, 43]`."""
        return f"{self.mean:.0%} [{100 * self.low:.0f}, {100 * self.high:.0f}]"

    def number(self) -> str:
        """Such as `1.03 [0.98, 1.1]`, to three significant digits, or to the unit."""
        if not self.is_finite:
            return f"{self.mean:g}"
        mean, low, high = (
            f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
            for value in (self.mean, self.low, self.high)
        )
        return f"{mean} [{low}, {high}]"

    def change(self) -> str:
        """A relative difference, such as `+12% [3, 25]`."""
        return "{:+,}% [{:+,}, {:+,}]".format(*self._hundredths())

    def points(self) -> str:
        """A difference of shares, such as `-4 points [-10, 1]`."""
        return "{:+,} points [{:+,}, {:+,}]".format(*self._hundredths())

    @property
    def is_finite(self) -> bool:
        """Whether it can be drawn; a perplexity may be beyond a double."""
        return math.isfinite(self.mean + self.low + self.high)

    def _hundredths(self) -> list[float]:
        values = (100 * value for value in (self.mean, self.low, self.high))
        return [round(value) if math.isfinite(value) else value for value in values]


def bootstrap(values: Sequence[float] | np.ndarray) -> Interval:
    """Percentile bootstrap of the mean (Efron, 1979), resampling prompts or documents.

    Args:
        values: One value a prompt or document, at least one.

    Returns:
        The mean and its interval; the same for the same values.
    """
    numbers = np.asarray(values, dtype=np.float64)
    return bootstrap_sums(numbers[:, None], lambda sums: sums[..., 0] / len(numbers))


def bootstrap_difference(values: np.ndarray, others: np.ndarray) -> Interval:
    """Percentile bootstrap of the difference of two means over different texts.

    Args:
        values: float [n], n at least one.
        others: float [m], m at least one.

    Returns:
        The first mean less the second, and its interval; n counts both.
    """
    random = np.random.default_rng(0)
    means = [
        numbers[random.integers(len(numbers), size=(RESAMPLES, len(numbers)))].mean(axis=1)
        for numbers in (values, others)
    ]
    low, high = np.quantile(means[0] - means[1], _ENDS)
    return Interval(
        float(values.mean() - others.mean()), float(low), float(high), len(values) + len(others)
    )


def bootstrap_sums(values: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray]) -> Interval:
    """Percentile bootstrap of a statistic of sums, such as a ratio of two of them.

    Args:
        values: float [n, m], m values of each of n prompts or documents, n at least one.
        statistic: Takes sums over prompts or documents, [..., m], to numbers, [...].

    Returns:
        The statistic and its interval; the same for the same values.
    """
    return bootstrap_each(values[:, None], statistic)[0]


def bootstrap_each(
    values: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray]
) -> list[Interval]:
    """`bootstrap_sums` of several groups that are of one size, each as if it were alone.

    Args:
        values: float [n, groups, m], m values of each of n prompts or documents of each group.
        statistic: Takes sums over prompts or documents, [..., m], to numbers, [...].

    Returns:
        For each group the statistic and its interval.
    """
    n, n_groups, m = values.shape
    at_once = max(1, _AT_ONCE // (RESAMPLES * m))
    intervals = []
    for start in range(0, n_groups, at_once):
        part = values[:, start : start + at_once]
        sums = _resampled_sums(part.reshape(n, -1)).reshape(RESAMPLES, -1, m)
        means = statistic(part.sum(axis=0))
        lows, highs = np.quantile(statistic(sums), _ENDS, axis=0)
        intervals += [
            Interval(float(mean), float(low), float(high), n)
            for mean, low, high in zip(means, lows, highs, strict=True)
        ]
    return intervals


def bootstrap_curve(curves: np.ndarray) -> list[Interval]:
    """Percentile bootstrap of the mean of curves, at each of their points.

    Args:
        curves: float [n, points], a curve of each of n prompts, n at least one.

    Returns:
        For each point the mean and its interval.
    """
    n = len(curves)
    lows, highs = np.quantile(_resampled_sums(curves) / n, _ENDS, axis=0)
    means = curves.mean(axis=0)
    return [
        Interval(float(mean), float(low), float(high), n)
        for mean, low, high in zip(means, lows, highs, strict=True)
    ]


def _resampled_sums(values: np.ndarray) -> np.ndarray:
    """Sums of as many rows as there are, drawn with replacement: [n, m] to [RESAMPLES, m]."""
    n = len(values)
    random = np.random.default_rng(0)
    sums = np.empty((RESAMPLES, values.shape[1]))
    step = max(1, _AT_ONCE // n)
    for start in range(0, RESAMPLES, step):
        chosen = random.integers(n, size=(min(step, RESAMPLES - start), n))
        each = n * np.arange(len(chosen))[:, None]
        times = np.bincount((chosen + each).ravel(), minlength=chosen.size).reshape(chosen.shape)
        sums[start : start + step] = times @ values
    return sums


def summarise(
    rows: Iterable[dict[str, object]], *, by: Sequence[str], value: str
) -> list[dict[str, object]]:
    """Means with intervals of groups of rows.

    Args:
        rows: One row a prompt within each group.
        by: The columns that make groups; groups keep the order in which they appear.
        value: The column to average.

    Returns:
        A row a group: the columns of `by`, and `mean`, `low`, `high`, `prompts`.
    """
    groups: dict[tuple[object, ...], list[float]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in by), []).append(float(row[value]))  # type: ignore[arg-type]
    summaries = []
    for key, values in groups.items():
        interval = bootstrap(values)
        summaries.append(
            dict(zip(by, key, strict=True))
            | {
                "mean": interval.mean,
                "low": interval.low,
                "high": interval.high,
                "prompts": interval.n,
            }
        )
    return summaries
