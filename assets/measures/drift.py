"""Rules of a study that warn of what changes in training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from assets.study.digests import digest
from assets.study.errors import InputError, meant

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from assets.measures.sentences import Number
    from assets.study.parts import DriftRule
    from warehouse.measure_headers import Measure


class Followed(Protocol):
    """A checkpoint that rules may be about."""

    @property
    def checkpoint(self) -> str:
        """Its name."""

    @property
    def base(self) -> str | None:
        """The checkpoint that it is compared with."""

    @property
    def step(self) -> int | None:
        """Its training step."""


@dataclass(frozen=True)
class Crossing:
    """A checkpoint that crosses a rule.

    Attributes:
        key: Tells it from any other crossing, whatever the value.
        checkpoint: The checkpoint.
        measure: The measure.
        value: Its value.
        sentence: What people are told.
        limit: The limits that it crosses, in words.
    """

    key: str
    checkpoint: str
    measure: str
    value: float
    sentence: str
    limit: str = ""


def check_rules(rules: Iterable[DriftRule], measures: Sequence[Measure]) -> None:
    """Looks whether each rule is about a measure that there is.

    Raises:
        InputError: One is not.
    """
    names = [measure.name for measure in measures if measure.is_quoted]
    for i, rule in enumerate(rules):
        if rule.measure not in names:
            raise InputError(
                f"drift[{i}].measure: there is no measure {rule.measure!r} with a level that is "
                f"quoted{meant(rule.measure, names)}; there are {', '.join(names)}"
            )


def crossings(
    rules: Iterable[DriftRule],
    values: Mapping[tuple[str, str], Number],
    checkpoints: Iterable[Followed],
    measures: Mapping[str, Measure],
) -> list[Crossing]:
    """Which checkpoints cross which rules.

    Args:
        rules: The rules. What equals a limit does not cross it.
        values: What was measured, by checkpoint and measure; what is missing crosses nothing.
        checkpoints: The checkpoints; those with neither a base nor a step are held to no rule.
        measures: The measures, by name.

    Returns:
        By checkpoint and rule, in their order.
    """
    rules = list(rules)
    crossed = []
    for checkpoint in checkpoints:
        if checkpoint.base is None and checkpoint.step is None:
            continue
        for rule in rules:
            name = checkpoint.checkpoint
            value = values.get((name, rule.measure))
            base = values.get((checkpoint.base or "", rule.measure))
            measure = measures.get(rule.measure)
            if value is None or measure is None:
                continue
            if limits := " and ".join(_limits(rule, measure, value, base)):
                said = measure.says.format(value=value.text(measure.format), level=measure.headline)
                crossed.append(
                    Crossing(
                        digest([name, rule.model_dump()])[:16],
                        name,
                        rule.measure,
                        value.value,
                        f"{name}: {said}, {limits} ({rule.measure}).",
                        limits,
                    )
                )
    return crossed


def _limits(rule: DriftRule, measure: Measure, value: Number, base: Number | None) -> Iterator[str]:
    """The limits that a value crosses."""
    if rule.over is not None and value.value > rule.over:
        yield f"over {rule.over:g}"
    if rule.under is not None and value.value < rule.under:
        yield f"under {rule.under:g}"
    if base is None:
        return
    theirs = f"times its base's {base.text(measure.format)}"
    if rule.over_base is not None and value.value > rule.over_base * base.value:
        yield f"over {rule.over_base:g} {theirs}"
    if rule.under_base is not None and value.value < rule.under_base * base.value:
        yield f"under {rule.under_base:g} {theirs}"
