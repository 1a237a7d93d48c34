"""What is said of measures: numbers, changes and how sure they are, each written in one way.

A number has the digits that its interval bears: the last one is the first digit of half the
interval's width, so that 34.2% [25, 43] is 34%.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from warehouse.measure_headers import Measure

SURE = 0.05
"""The p-value under which a difference is called one."""
_NAMED = 3
"""Measures that a conclusion names."""
_NO_WIDTH = 1e-9
"""Half of an interval's width, relative to its values, that comes of rounding alone."""
_RELATIVE = ("perplexity", "bits", "count")
"""The formats whose change is relative."""
_CONDITIONS = {
    "-": "",
    "gold": "On human text",
    "matched": "Cut to as many words a prompt",
    "before": "Before fine-tuning",
    "partner": "On the other's text",
    "per token": "Per token",
    "reasoned": "After reasoning",
    "right both ways": "Where right directly and after reasoning",
    "wrong both ways": "Where wrong directly and after reasoning",
    "marginal": "",
    "unshifted": "",
}
"""How a sentence about a condition begins."""
Verdict = Literal["higher", "lower", "no clear difference", "too few to tell"]


@dataclass(frozen=True)
class Number:
    """A value and its 95% interval.

    Attributes:
        value: The value.
        low: From there.
        high: To there.
    """

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Number:
        """The number of a row with `value`, `low` and `high`."""
        return cls(row["value"], row["low"], row["high"])

    @property
    def is_finite(self) -> bool:
        """Whether it can be drawn; a perplexity may be beyond a double."""
        return all(math.isfinite(end) for end in (self.value, self.low, self.high))

    def text(self, kind: str) -> str:
        """Such as `34% [25, 43]` or `1.03 [0.98, 1.10]`; `kind` is a measure's format."""
        if not self.is_finite:
            return f"{self.value:g}"
        numbers = (self.value, self.low, self.high)
        decimals = _decimals(kind, self.low, self.high, self.value)
        scale = 100 if kind == "share" else 1
        value, low, high = (f"{scale * number:z,.{decimals}f}" for number in numbers)
        return f"{value}{'%' if kind == 'share' else ''} [{low}, {high}]"


def change(row: Mapping[str, Any], kind: str) -> str:
    """A row's difference, such as `+26 points [20, 31]` or `-12% [-15, -9]`.

    Args:
        row: A row of `comparisons`.
        kind: The measure's format.
    """
    column = "ratio" if kind in _RELATIVE else "difference"
    ends = [row[column], row[f"{column}_low"], row[f"{column}_high"]]
    if any(end is None for end in ends):
        return "beyond all numbers"
    if column == "ratio":
        return relative(Number(*(end - 1 for end in ends)))
    scale, unit = (100.0, " points") if kind == "share" else (1.0, "")
    decimals = _decimals_of(row, kind, row["difference"])
    return _signed([scale * end for end in ends], decimals, unit)


def relative(number: Number) -> str:
    """A relative change, such as `-12% [-15, -9]` of -0.12 from -0.15 to -0.09."""
    value, low, high = (100 * end for end in (number.value, number.low, number.high))
    return _signed([value, low, high], _decimals("number", low, high, value), "%")


def _signed(numbers: Sequence[float], decimals: int, unit: str) -> str:
    value, low, high = (f"{number:+z,.{decimals}f}" for number in numbers)
    return f"{value}{unit} [{low}, {high}]"


def verdict(row: Mapping[str, Any]) -> Verdict:
    """What a row of `comparisons` says of its difference, by the p-value of its family's if any.

    Items are too few to tell where the least p that they can give is not sure; and where p is that
    least one, and not sure after the adjustment.
    """
    p = row["p"] if row["p_adjusted"] is None else row["p_adjusted"]
    is_least = row["p"] is not None and row["p"] <= row["p_least"] * (1 + 1e-9)
    if row["p_least"] >= SURE or (is_least and p >= SURE):
        return "too few to tell"
    if p is None or p >= SURE or row["difference"] is None or row["difference"] == 0:
        return "no clear difference"
    return "higher" if row["difference"] > 0 else "lower"


def p_text(row: Mapping[str, Any]) -> str:
    """The p-value of a row, such as `p = 0.012` or, of a family's, `adjusted p < 0.001`."""
    is_adjusted = row["p_adjusted"] is not None
    p = row["p_adjusted"] if is_adjusted else row["p"]
    if p is None:
        return "no p"
    name = "adjusted p" if is_adjusted else "p"
    if p < 0.001:
        return f"{name} < 0.001"
    # What is under the limit does not read as if it were the limit.
    return f"{name} < {SURE}" if p < SURE <= float(f"{p:.2g}") else f"{name} = {p:.2g}"


def items_text(row: Mapping[str, Any], measure: Measure) -> str:
    """How many items a row of `comparisons` compares, such as `12 prompts`."""
    item = measure.item_of(row["condition"])
    return f"{row['n_items']:,} {item}{'s' * (row['n_items'] != 1)}"


def sentence(row: Mapping[str, Any], measure: Measure, label: str, other: str) -> str:
    """What a row of `comparisons` says.

    Args:
        row: The row.
        measure: Its measure.
        label: What the checkpoint is called.
        other: What it is compared with.
    """
    condition = _CONDITIONS.get(row["condition"], row["condition"])
    beginning = f"{condition}: " if condition else ""
    where = "" if row["collection"] == "*" else f" ({row['collection']})"
    unit = f" ({row['unit']}s)" if row["unit"] != "-" else ""
    said = measure.said_of(row["condition"])
    said = said.format(value=value_text(row, measure), level=row["level"])
    items = items_text(row, measure)
    return (
        f"{beginning}{label}: {said}{unit}{where}; {other}: "
        f"{value_text(row, measure, 'other_value')}. {verdict(row).capitalize()} "
        f"({change(row, measure.format)}, {p_text(row)}, {items})."
    )


def conclusion(
    name: str, base: str, rows: Sequence[Mapping[str, Any]], measures: Mapping[str, Measure]
) -> str:
    """Whether a checkpoint differs from its base, and in what, for the beginning of a report.

    Args:
        name: The checkpoint.
        base: Its base.
        rows: The rows of `comparisons` of the two, one a measure.
        measures: The measures, by name.
    """
    if not rows:
        return (
            f"{name} is not compared with its base {base}: they have no prompt, document or "
            "passage in common."
        )
    verdicts = [verdict(row) for row in rows]
    if all(how_sure == "too few to tell" for how_sure in verdicts):
        return f"There are too few items to tell whether {name} differs from {base}."
    differing = [
        row for row, how_sure in zip(rows, verdicts, strict=True) if how_sure in ("higher", "lower")
    ]
    if not differing:
        return f"{name} does not clearly differ from {base} in any of {len(rows)} measures."
    differing.sort(key=lambda row: row["p"])
    titles = [measures[row["measure"]].title for row in differing[:_NAMED]]
    named = titles[0] if len(titles) == 1 else f"{', '.join(titles[:-1])} and {titles[-1]}"
    surest = "most surely " if len(differing) > _NAMED else ""
    counted = f"{len(differing)} of {len(rows)} measures"
    return f"{name} differs from {base} in {counted}, {surest}in {named}."


def value_text(row: Mapping[str, Any], measure: Measure, column: str = "value") -> str:
    """One of the two values of a row of `comparisons`.

    It stands with its interval, as in any other place, where the row has that of `summary` (as
    `value_low` and so on); elsewhere to the digits that the difference bears.
    """
    value, low, high = row[column], row.get(f"{column}_low"), row.get(f"{column}_high")
    if value is None:
        return "a number beyond all"
    if low is not None and high is not None:
        return Number(value, low, high).text(measure.format)
    decimals = _decimals_of(row, measure.format, value)
    scale, unit = (100, "%") if measure.format == "share" else (1, "")
    return f"{scale * value:z,.{decimals}f}{unit}"


def _decimals_of(row: Mapping[str, Any], kind: str, value: float) -> int:
    """Digits after the point that a difference bears, for it and for what it is the difference of.

    Where it is beyond all numbers, those of a value alone.
    """
    low, high, difference = row["difference_low"], row["difference_high"], row["difference"]
    if low is None or high is None:
        return _decimals(kind, value, value, value)
    return _decimals(kind, low, high, difference or row["value"])


def _decimals(kind: str, low: float, high: float, value: float) -> int:
    """Digits after the point that an interval bears; of one without a width three in all."""
    scale = 100 if kind == "share" else 1
    half = scale * abs(high - low) / 2
    if math.isfinite(half) and half > _NO_WIDTH * scale * max(abs(high), abs(low), abs(value)):
        first = half
        beyond = 0
    else:
        first = scale * abs(value)
        beyond = 2 if kind != "share" else 0
    if first == 0 or not math.isfinite(first):
        return 0
    return min(6, max(0, beyond - math.floor(math.log10(first))))
