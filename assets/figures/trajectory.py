"""Beyond the paper: its measurements over the steps of training runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.drawing.figure import Figure, FigureCheckpoint, FigureData, Grid
from assets.drawing.over_steps import Panel, draw, series_of
from assets.measures.drift import drifted, written
from assets.measures.intervals import Interval, bootstrap, bootstrap_each, bootstrap_sums

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from assets.study.study import Study

_TABLES = ("text_statistics", "ngram_sharing", "alignment_overlap", "anchor_coverage")
_NAMED = {
    "perplexity": "perplexity on human text",
    "ngram_sharing": "the share of generations with the most common 10-gram",
}
"""What findings are about."""
_LISTED = 20
"""Steps of a series that the table has, the last ones."""


def _ratio(sums: np.ndarray) -> np.ndarray:
    ratio: np.ndarray = sums[..., 0] / sums[..., 1]
    return ratio


@dataclass(frozen=True)
class _Measure(Panel):
    """What a panel shows.

    Attributes:
        statistic: From sums of (numerator, denominator) over documents or prompts, [..., 2], to its
            values, [...].
    """

    statistic: Callable[[np.ndarray], np.ndarray] = _ratio


MEASURES = {
    "perplexity": _Measure(
        "perplexity per {unit}, human text", ".4~s", ",.2f", lambda sums: np.exp(_ratio(sums))
    ),
    "bits_per_byte": _Measure(
        "bits per byte, human text", ".4~f", ".3f", lambda sums: _ratio(sums) / math.log(2)
    ),
    "top_1_mass": _Measure("mass of the most likely token, own text", ".2~%", ".1%"),
    "support": _Measure("tokens with a probability over 1e-8, own text", ".4~s", ",.0f"),
    "ngram_sharing": _Measure("generations with the most common 10-gram", ".2~%", ".1%"),
    "overlap": _Measure("generations that agree with at least 5 others", ".2~%", ".1%"),
    "anchor_coverage": _Measure("generations in an anchor span", ".2~%", ".1%"),
}
"""What is measured, in the order of the panels."""


@lru_cache(maxsize=1)
def measures(data: FigureData) -> dict[tuple[str, str], Interval]:
    """For each checkpoint and measure its value over all documents or prompts, where it has one."""
    items: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for row in data.rows:
        key = row["checkpoint"], row["measure"]
        items.setdefault(key, []).append((row["numerator"], row["denominator"]))
    alike: dict[tuple[str, int], list[tuple[str, str]]] = {}
    for key, own in items.items():
        alike.setdefault((key[1], len(own)), []).append(key)
    intervals_by_key: dict[tuple[str, str], Interval] = {}
    with np.errstate(over="ignore", invalid="ignore"):  # a perplexity may be beyond a double
        for (measure, _), keys in alike.items():
            values = np.array([items[key] for key in keys]).swapaxes(0, 1)
            intervals = bootstrap_each(values, MEASURES[measure].statistic)
            intervals_by_key |= dict(zip(keys, intervals, strict=True))
    return {
        key: intervals_by_key[key] for key in items if not math.isnan(intervals_by_key[key].mean)
    }


def _draw(data: FigureData, width: int) -> Any:
    return draw(data, width, MEASURES, measures(data))


def _findings(data: FigureData) -> list[str]:
    values = measures(data)
    by_name = {shown.checkpoint: shown for shown in data.with_rows}
    sentences: list[str] = []
    for name, line in series_of(data).items():
        last = line[-1]
        other = by_name.get(last.base or "", line[0])
        if other is not last:
            sentences += _compared(data, last, other)
        highest = [
            f"{what} at {best.step:,} ({written(measure, values[best.checkpoint, measure])})"
            for measure, what in _NAMED.items()
            if (measured := [s for s in line if (s.checkpoint, measure) in values])
            for best in [max(measured, key=lambda s: values[s.checkpoint, measure].mean)]
        ]
        if len(line) > 2 and highest:
            sentences.append(
                f"Of the {len(line)} steps of {name}, {' and '.join(highest)} "
                f"{'is' if len(highest) == 1 else 'are'} highest."
            )
        if len(line) > _LISTED:
            sentences.append(f"Below are the last {_LISTED} of them.")
    return sentences


def _compared(data: FigureData, last: FigureCheckpoint, other: FigureCheckpoint) -> Iterator[str]:
    """How the last checkpoint of a series differs from another, on what both were measured on."""
    at = "" if other.step is None else f" (step {other.step:,})"
    names = f"{last.checkpoint}, the last of {last.series},", f"{other.checkpoint}{at}"
    predicted = _common(data, last, other, "perplexity")
    if len(predicted):
        perplexity = MEASURES["perplexity"].statistic
        ours, theirs = (bootstrap_sums(predicted[:, part], perplexity) for part in _BOTH)
        change = bootstrap_sums(
            predicted, lambda sums: perplexity(sums[..., :2]) / perplexity(sums[..., 2:]) - 1
        )
        yield (
            f"{names[0]} has a perplexity per {data.unit} of {ours.number()} on human text, "
            f"and {names[1]} of {theirs.number()}: {change.verdict('worse', 'better')} "
            f"({change.change()}, over {change.n} documents)."
        )
    sampled = _common(data, last, other, "ngram_sharing")
    if len(sampled):
        ours, theirs = (bootstrap(sampled[:, part][:, 0]) for part in _BOTH)
        gap = bootstrap(sampled[:, 0] - sampled[:, 2])
        yield (
            f"The most common 10-gram stands in {ours.percent()} of the generations of {names[0]} "
            f"and in {theirs.percent()} of those of {names[1]}: {gap.verdict('more', 'fewer')} "
            f"({gap.points()}, over {gap.n} prompts)."
        )


_BOTH = slice(2), slice(2, 4)
"""The columns of either side of what `_common` gives."""


def _common(
    data: FigureData, one: FigureCheckpoint, other: FigureCheckpoint, measure: str
) -> np.ndarray:
    """Numerators and denominators of both, [n, 4], of the items that both have."""
    ours, theirs = (
        {
            row["item"]: (row["numerator"], row["denominator"])
            for row in data.rows
            if row["checkpoint"] == shown.checkpoint and row["measure"] == measure
        }
        for shown in (one, other)
    )
    return np.array([(*ours[item], *theirs[item]) for item in ours if item in theirs])


def _table(data: FigureData) -> Grid:
    """The values of the last steps of each series, after those of checkpoints without a step."""
    values = measures(data)
    listed = [s for s in data.with_rows if s.step is None]
    for line in series_of(data).values():
        listed += line[-_LISTED:]
    listed_measures = [m for m in MEASURES if any((s.checkpoint, m) in values for s in listed)]
    rows = [
        [
            shown.series or "–",
            "–" if shown.step is None else f"{shown.step:,}",
            shown.checkpoint,
            *(
                written(m, values[shown.checkpoint, m]) if (shown.checkpoint, m) in values else "–"
                for m in listed_measures
            ),
        ]
        for shown in listed
    ]
    return Grid(
        ["series", "step", "checkpoint", *(m.replace("_", " ") for m in listed_measures)], rows
    )


def _applies(study: Study) -> bool:
    """Whether something has a step, or a rule holds for something."""
    compared = any(checkpoint.base for checkpoint in study.checkpoints)
    return any(c.step is not None for c in study.checkpoints) or (compared and bool(study.drift))


def _warnings(data: FigureData, study: Study) -> list[str]:
    return drifted(study.drift, measures(data), data.checkpoints)


FIGURE = Figure(
    name="trajectory",
    place=80,
    title="How models change in training",
    claim=(
        "What it measures before and after alignment, at every checkpoint of a training run; "
        "dashed lines are the models that training began with."
    ),
    reads=(*_TABLES, "prompts", "checkpoints"),
    optional=_TABLES,
    query=Path(__file__).with_suffix(".sql"),
    draw=_draw,
    findings=_findings,
    table=_table,
    every_step=True,
    applies=_applies,
    warnings=_warnings,
)
