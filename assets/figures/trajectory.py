"""Beyond the paper: its measurements over the steps of training runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.drawing.figure import Figure, FigureCheckpoint, FigureData, Grid
from assets.drawing.lines import ladders_of, series_of
from assets.drawing.over_steps import Panel, draw
from assets.measures.drift import Crossing, crossings
from assets.measures.sentences import Number, change, verdict

if TYPE_CHECKING:
    from assets.study.study import Study

_AXES = {"share": ".2~%", "bits": ".4~f"}
"""How axes are numbered, by the format of a measure."""
_OTHERWISE = ".4~s"
_LISTED = 20
"""Steps of a series that the table has, the last ones."""
_TOLD = 6
"""Measures that a sentence names."""


def _values(data: FigureData) -> dict[tuple[str, str], Number]:
    """The value of each checkpoint and measure."""
    return {(row["checkpoint"], row["measure"]): Number.of(row) for row in data.rows}


def _draw(data: FigureData, width: int) -> Any:
    values = _values(data)
    panels = {
        measure.name: Panel(
            measure.title,
            measure.format,
            _AXES.get(measure.format, _OTHERWISE),
            limits=_limits(data, measure.name, values),
        )
        for measure in data.measures.values()
    }
    return draw(data, width, panels, values)


def _limits(
    data: FigureData, measure: str, values: dict[tuple[str, str], Number]
) -> tuple[float, ...]:
    """Where the study's rules warn of a measure."""
    bases = {base for shown in data.with_rows if (base := shown.base) and (base, measure) in values}
    limits: set[float] = set()
    for rule in data.rules:
        if rule.measure == measure:
            limits |= {limit for limit in (rule.over, rule.under) if limit is not None}
            limits |= {
                times * values[base, measure].value
                for times in (rule.over_base, rule.under_base)
                if times is not None
                for base in bases
                if values[base, measure].is_finite
            }
    return tuple(sorted(limits))


def _findings(data: FigureData) -> list[str]:
    sentences: list[str] = []
    lines = series_of(data) | ladders_of(data)
    for name, line in lines.items():
        last = line[-1]
        rows = [row for row in data.comparisons if row["checkpoint"] == last.checkpoint]
        for other in dict.fromkeys(row["other"] for row in rows):
            family = [row for row in rows if row["other"] == other and row["headline"]]
            sentences.append(_compared(data, name, last, other, family))
        if len(line) > _LISTED:
            sentences.append(f"Below are the last {_LISTED} of the {len(line)} steps of {name}.")
    return sentences


def _compared(
    data: FigureData, line: str, last: FigureCheckpoint, other: str, rows: list[dict[str, Any]]
) -> str:
    """In what the last checkpoint of a series or a ladder differs from another."""
    differing = [row for row in rows if verdict(row) in ("higher", "lower")]
    differing.sort(key=lambda row: row["p"])
    named = [
        f"{measure.title} {verdict(row)} ({change(row, measure.format)})"
        for row in differing[:_TOLD]
        for measure in [data.measures[row["measure"]]]
    ]
    beginning = f"{last.checkpoint}, the last of {line}, and {other}"
    if not named:
        return f"{beginning} do not clearly differ in any of {len(rows)} measures."
    first = ", the surest:" if len(differing) > _TOLD else ":"
    return (
        f"{beginning} differ in {len(differing)} of {len(rows)} measures{first} {'; '.join(named)}."
    )


def _table(data: FigureData) -> Grid:
    """The values of the last steps of each series, after those of all other checkpoints."""
    values = _values(data)
    series = series_of(data).values()
    in_series = {shown.checkpoint for line in series for shown in line}
    listed = [s for s in data.with_rows if s.checkpoint not in in_series]
    listed += [shown for line in series for shown in line[-_LISTED:]]
    measures = [
        measure
        for measure in data.measures.values()
        if any((shown.checkpoint, measure.name) in values for shown in listed)
    ]
    rows = [
        [
            shown.series or shown.ladder or "–",
            f"{shown.step:,}" if shown.step is not None else shown.tick if shown.ladder else "–",
            shown.checkpoint,
            *(
                values[shown.checkpoint, measure.name].text(measure.format)
                if (shown.checkpoint, measure.name) in values
                else "–"
                for measure in measures
            ),
        ]
        for shown in listed
    ]
    return Grid(
        ["run", "step or stage", "checkpoint", *(measure.title for measure in measures)], rows
    )


def _applies(study: Study) -> bool:
    """Whether something has a step, or a rule holds for something."""
    compared = any(checkpoint.base for checkpoint in study.checkpoints)
    has_line = bool(study.ladders) or any(c.step is not None for c in study.checkpoints)
    return has_line or (compared and bool(study.drift))


def _warnings(data: FigureData) -> list[Crossing]:
    return crossings(data.rules, _values(data), data.checkpoints, data.measures)


FIGURE = Figure(
    name="trajectory",
    place=80,
    title="How models change in training",
    claim=(
        "What it measures before and after alignment, at every checkpoint of a training run and "
        "every stage of a ladder; dashed lines are the models that training began with."
    ),
    reads=("summary", "checkpoints"),
    query=Path(__file__).with_suffix(".sql"),
    draw=_draw,
    measures=None,
    findings=_findings,
    table=_table,
    grows_with_samples=True,
    every_step=True,
    applies=_applies,
    warnings=_warnings,
)
