"""Beyond the paper: its measurements over the steps of training runs."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np

from assets.drawing import style
from assets.drawing.figure import Figure, FigureCheckpoint, FigureData, Grid
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
_DOTS = {30: 36, 80: 12}
"""Areas of points, by up to how many a series has; beyond them there are none."""
_POINTED = "pointed"
"""The step that is pointed at, in whichever panel."""
_TEXT = "c"
"""Without any format, Vega-Lite looks for texts in the cells around points, which have none."""
_LEFT, _BELOW = 46, 74
"""Pixels of an axis's numbers, and from a panel to the next below it."""


def _ratio(sums: np.ndarray) -> np.ndarray:
    ratio: np.ndarray = sums[..., 0] / sums[..., 1]
    return ratio


@dataclass(frozen=True)
class _Measure:
    """What a panel shows.

    Attributes:
        title: Its heading; `{unit}` stands for what n-grams are made of.
        axis_format: How its axis is numbered.
        number_format: How a point's numbers are written.
        statistic: From sums of (numerator, denominator) over documents or prompts, [..., 2], to its
            values, [...].
    """

    title: str
    axis_format: str
    number_format: str
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
    found: dict[tuple[str, str], Interval] = {}
    with np.errstate(over="ignore", invalid="ignore"):  # a perplexity may be beyond a double
        for (measure, _), keys in alike.items():
            values = np.array([items[key] for key in keys]).swapaxes(0, 1)
            intervals = bootstrap_each(values, MEASURES[measure].statistic)
            found |= dict(zip(keys, intervals, strict=True))
    return {key: found[key] for key in items if not math.isnan(found[key].mean)}


def _series(data: FigureData) -> dict[str, list[FigureCheckpoint]]:
    """The checkpoints of each series that have a step, by step."""
    found: dict[str, list[FigureCheckpoint]] = {}
    for shown in data.with_rows:
        if shown.series is not None and shown.step is not None:
            found.setdefault(shown.series, []).append(shown)
    return {name: sorted(line, key=lambda s: s.step or 0) for name, line in found.items()}


def _bases(data: FigureData) -> list[FigureCheckpoint]:
    """The bases of series, those that have no step of their own."""
    needed = {s.base for line in _series(data).values() for s in line}
    return [s for s in data.with_rows if s.checkpoint in needed and s.step is None]


def _draw(data: FigureData, width: int) -> Any:
    series = _series(data)
    if not series:
        return style.note("No checkpoint that was measured has a step.", width)
    panels = [
        _panel(data, width, measure, points)
        for measure in MEASURES
        if (points := _points(data, measure))
    ]
    chart: Any = alt.concat(
        *panels,
        columns=2 if width > style.NARROW else 1,
        bounds="flush",
        spacing={"row": _BELOW, "column": _LEFT + 12},
    )
    nearest = alt.PointSelectionConfig(
        type="point", fields=["step"], nearest=True, on="pointerover", clear="pointerout"
    )
    # Altair numbers the names of what it puts together.
    views = [panel.layer[-1].name for panel in chart.concat]
    chart.params = [alt.TopLevelSelectionParameter(name=_POINTED, select=nearest, views=views)]
    return style.finish(chart)


def _points(data: FigureData, measure: str) -> list[dict[str, Any]]:
    """A row for each checkpoint of a series that has the measure."""
    values = measures(data)
    return [
        asdict(value)
        | {
            "series": name,
            "checkpoint": shown.checkpoint,
            "step": shown.step,
            "dot": next((size for most, size in _DOTS.items() if len(line) <= most), 0),
            "bar": int(len(line) == 1),
            "base": written(measure, base) if base else "–",
        }
        for name, line in _series(data).items()
        for shown in line
        if (value := values.get((shown.checkpoint, measure))) and value.is_finite
        for base in [values.get((shown.base or "", measure))]
    ]


def _panel(data: FigureData, width: int, measure: str, points: list[dict[str, Any]]) -> Any:
    """One measure over the steps: a line for each series, and a rule for each base."""
    chosen, values, bases = MEASURES[measure], measures(data), _bases(data)
    rules = [
        {"series": _as_base(base), "mean": values[base.checkpoint, measure].mean}
        for base in bases
        if (base.checkpoint, measure) in values and values[base.checkpoint, measure].is_finite
    ]
    colour, dash = _lines(data, width)
    steps = [s.step for line in _series(data).values() for s in line if s.step is not None]
    first, last = min(steps), max(steps)
    x = alt.X(
        "step:Q",
        title="training step",
        scale=alt.Scale(
            domain=[first, last] if first < last else [first - 1, last + 1], nice=False, padding=6
        ),
        axis=alt.Axis(
            labelExpr="format(datum.value, '~s')",
            grid=False,
            tickMinStep=1,
            **({"tickCount": 5} if first < last else {"values": [first]}),
        ),
    )
    y = alt.Y(
        "mean:Q",
        title=None,
        scale=alt.Scale(zero=False, nice=False, padding=8),
        axis=alt.Axis(
            labelExpr=f"format(datum.value, '{chosen.axis_format}')",
            tickCount=4,
            domain=False,
            ticks=False,
            labelFlush=6,  # all titles stand at one height
        ),
    )
    low, high = alt.Y("low:Q", title=None), alt.Y2("high:Q")
    number = chosen.number_format
    pointed = alt.when(alt.ParameterPredicate(param=_POINTED, empty=False))
    chart = alt.Chart()
    layers = [
        chart.mark_area(opacity=0.16).encode(x=x, y=low, y2=high, color=colour),
        chart.mark_rule(strokeWidth=2).encode(
            x=x, y=low, y2=high, color=colour, opacity=alt.Opacity("bar:Q", scale=None)
        ),
        chart.mark_rule(color="#999").encode(
            x=x, opacity=pointed.then(alt.value(1)).otherwise(alt.value(0))
        ),
        chart.mark_line(strokeWidth=1.8, strokeJoin="round").encode(
            x=x, y=y, color=colour, strokeDash=dash
        ),
        chart.mark_point(filled=True, opacity=1)
        .encode(
            x=x,
            y=y,
            color=colour,
            size=pointed.then(alt.value(80)).otherwise(alt.Size("dot:Q", scale=None)),
            tooltip=[
                alt.Tooltip("series:N", format=_TEXT),
                alt.Tooltip("checkpoint:N", format=_TEXT),
                alt.Tooltip("step:Q", format=","),
                alt.Tooltip("mean:Q", format=number, title="value"),
                alt.Tooltip("low:Q", format=number, title="95% from"),
                alt.Tooltip("high:Q", format=number, title="to"),
                alt.Tooltip("n:Q", title="documents or prompts"),
                alt.Tooltip("base:N", format=_TEXT, title="its base"),
            ],
        )
        .properties(name=measure),
    ]
    if rules:
        base = alt.Chart(style.data(rules)).mark_rule(strokeWidth=1.8)
        layers.insert(0, base.encode(y=y, color=colour, strokeDash=dash))
    inner = (width - 2 * _LEFT - 20) // 2 if width > style.NARROW else width - _LEFT - 12
    return alt.layer(*layers, data=style.data(points)).properties(
        width=inner, height=150, title=style.heading(chosen.title.format(unit=data.unit))
    )


def _as_base(shown: FigureCheckpoint) -> str:
    return f"{shown.checkpoint} (base)"


def _lines(data: FigureData, width: int) -> tuple[alt.Color, alt.StrokeDash]:
    """The colour and the dashes of each base and series, with one legend above the figure."""
    series, bases = _series(data), [_as_base(base) for base in _bases(data)]
    roles = dict.fromkeys(bases, "base") | {name: line[-1].role for name, line in series.items()}
    names = list(roles)
    dashes = [[5, 4]] * len(bases) + [[1, 0]] * len(series)
    fitting = width // (7 * max(map(len, names)) + 56)
    legend = alt.Legend(
        orient="top",
        columns=min(len(names), max(1, fitting)),
        labelLimit=width - 120,
        symbolType="stroke",
        symbolSize=600,
        symbolStrokeWidth=2.2,
        symbolOpacity=1,
    )
    shades = alt.Scale(domain=names, range=style.shades_of(roles))
    return (
        alt.Color("series:N", title=None, scale=shades, legend=legend),
        alt.StrokeDash(
            "series:N", title=None, scale=alt.Scale(domain=names, range=dashes), legend=legend
        ),
    )


def _findings(data: FigureData) -> list[str]:
    values = measures(data)
    by_name = {shown.checkpoint: shown for shown in data.with_rows}
    sentences: list[str] = []
    for name, line in _series(data).items():
        last = line[-1]
        other = by_name.get(last.base or "", line[0])
        if other is not last:
            sentences += _compared(data, last, other)
        highest = [
            f"{what} at {best.step:,} ({written(measure, values[best.checkpoint, measure])})"
            for measure, what in _NAMED.items()
            if (there := [s for s in line if (s.checkpoint, measure) in values])
            for best in [max(there, key=lambda s: values[s.checkpoint, measure].mean)]
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
    for line in _series(data).values():
        listed += line[-_LISTED:]
    there = [m for m in MEASURES if any((s.checkpoint, m) in values for s in listed)]
    rows = [
        [
            shown.series or "–",
            "–" if shown.step is None else f"{shown.step:,}",
            shown.checkpoint,
            *(
                written(m, values[shown.checkpoint, m]) if (shown.checkpoint, m) in values else "–"
                for m in there
            ),
        ]
        for shown in listed
    ]
    return Grid(["series", "step", "checkpoint", *(m.replace("_", " ") for m in there)], rows)


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
