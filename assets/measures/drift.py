"""Rules of a study that warn of what changes in training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from assets.measures.intervals import Interval
    from assets.study.parts import DriftRule

_SAID = {
    "perplexity": "a perplexity of {} on human text",
    "bits_per_byte": "{} bits per byte on human text",
    "top_1_mass": "{} of the probability is the most likely token's on its own text",
    "support": "{} tokens have a probability over 1e-8 on its own text",
    "ngram_sharing": "{} of a prompt's generations hold its most common 10-gram",
    "overlap": "{} of a prompt's generations agree with others where they stand",
    "anchor_coverage": "{} of a prompt's generations are in an anchor span",
}
SHARES = frozenset({"top_1_mass", "ngram_sharing", "overlap", "anchor_coverage"})
"""The measures that are shares."""


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


def drifted(
    rules: Iterable[DriftRule],
    values: Mapping[tuple[str, str], Interval],
    checkpoints: Iterable[Followed],
) -> list[str]:
    """Says which checkpoints cross which rules.

    Args:
        rules: The rules. What equals a limit does not cross it.
        values: What was measured, by checkpoint and measure; what is missing crosses nothing.
        checkpoints: The checkpoints; those with neither a base nor a step are held to no rule.

    Returns:
        A sentence for each checkpoint and rule, in their order.
    """
    rules = list(rules)
    sentences = []
    for checkpoint in checkpoints:
        if checkpoint.base is None and checkpoint.step is None:
            continue
        for rule in rules:
            value = values.get((checkpoint.checkpoint, rule.measure))
            base = values.get((checkpoint.base or "", rule.measure))
            crossed = " and ".join(_crossed(rule, value, base)) if value else ""
            if value and crossed:
                statement = _SAID[rule.measure].format(written(rule.measure, value))
                sentences.append(
                    f"{checkpoint.checkpoint}: {statement}, {crossed} ({rule.measure})."
                )
    return sentences


def written(measure: str, value: Interval) -> str:
    """A measure's value with its interval."""
    return value.percent() if measure in SHARES else value.number()


def _crossed(rule: DriftRule, value: Interval, base: Interval | None) -> Iterator[str]:
    if rule.over is not None and value.mean > rule.over:
        yield f"over {rule.over:g}"
    if rule.under is not None and value.mean < rule.under:
        yield f"under {rule.under:g}"
    if base is None:
        return
    theirs = f"times its base's {written(rule.measure, base)}"
    if rule.over_base is not None and value.mean > rule.over_base * base.mean:
        yield f"over {rule.over_base:g} {theirs}"
    if rule.under_base is not None and value.mean < rule.under_base * base.mean:
        yield f"under {rule.under_base:g} {theirs}"
