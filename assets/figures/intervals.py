"""Means over prompts, and how sure they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

RESAMPLES = 10_000
_LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean with its 95% bootstrap interval.

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

    def percent(self) -> str:
        """Such as `34% [25, 43]`."""
        return f"{self.mean:.0%} [{100 * self.low:.0f}, {100 * self.high:.0f}]"

    def points(self) -> str:
        """A difference of shares, such as `-4 points [-10, 1]`."""
        return f"{100 * self.mean:+.0f} points [{100 * self.low:+.0f}, {100 * self.high:+.0f}]"


def bootstrap(values: Sequence[float] | np.ndarray) -> Interval:
    """Percentile bootstrap of the mean (Efron, 1979), resampling prompts or documents.

    Args:
        values: One value a prompt or document, at least one.

    Returns:
        The mean and its interval; the same for the same values.
    """
    numbers = np.asarray(values, dtype=np.float64)
    chosen = np.random.default_rng(0).integers(len(numbers), size=(RESAMPLES, len(numbers)))
    tail = (1 - _LEVEL) / 2
    low, high = np.quantile(numbers[chosen].mean(axis=1), [tail, 1 - tail])
    return Interval(float(numbers.mean()), float(low), float(high), len(numbers))


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
