"""Measures over the steps of training runs: a panel for each, a line for each run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import altair as alt

from assets.drawing import style

if TYPE_CHECKING:
    from collections.abc import Mapping

    from assets.drawing.figure import FigureCheckpoint, FigureData
    from assets.measures.sentences import Number

    Values = Mapping[tuple[str, str], Number]

_DOTS = {30: 36, 80: 12}
"""Areas of points, by up to how many a series has; beyond them there are none."""
_POINTED = "pointed"
"""The step that is pointed at, in whichever panel."""
_TEXT = "c"
"""Without any format, Vega-Lite looks for texts in the cells around points, which have none."""
_LEFT, _BELOW = 46, 74
"""Pixels of an axis's numbers, and from a panel to the next below it."""


@dataclass(frozen=True)
class Panel:
    """How a measure is drawn.

    Attributes:
        title: Its heading.
        kind: The measure's format.
        axis_format: How its axis is numbered.
        number_format: How a point's numbers are written.
    """

    title: str
    kind: str
    axis_format: str
    number_format: str


def series_of(data: FigureData) -> dict[str, list[FigureCheckpoint]]:
    """The checkpoints of each series that have a step, by step."""
    series: dict[str, list[FigureCheckpoint]] = {}
    for shown in data.with_rows:
        if shown.series is not None and shown.step is not None:
            series.setdefault(shown.series, []).append(shown)
    return {name: sorted(line, key=lambda s: s.step or 0) for name, line in series.items()}


def bases_of(data: FigureData) -> list[FigureCheckpoint]:
    """The bases of series, those that have no step of their own."""
    needed = {s.base for line in series_of(data).values() for s in line}
    return [s for s in data.with_rows if s.checkpoint in needed and s.step is None]


def draw(data: FigureData, width: int, panels: Mapping[str, Panel], values: Values) -> Any:
    """Draws a panel for each measure, two beside each other where there is room.

    Args:
        data: The checkpoints.
        width: In pixels.
        panels: How measures are drawn, in order.
        values: By checkpoint and measure.
    """
    series = series_of(data)
    if not series:
        return style.note("No checkpoint that was measured has a step.", width)
    drawn = [
        _draw_panel(data, width, measure, panel, values, points)
        for measure, panel in panels.items()
        if (points := _points(data, measure, panel.kind, values))
    ]
    chart: Any = alt.concat(
        *drawn,
        columns=2 if width > style.NARROW else 1,
        bounds="flush",
        spacing={"row": _BELOW, "column": _LEFT + 12},
    )
    nearest = alt.PointSelectionConfig(
        type="point", fields=["step"], nearest=True, on="pointerover", clear="pointerout"
    )
    # Altair numbers the names of what it puts together.
    views = [view.layer[-1].name for view in chart.concat]
    chart.params = [alt.TopLevelSelectionParameter(name=_POINTED, select=nearest, views=views)]
    return style.finish(chart)


def _points(data: FigureData, measure: str, kind: str, values: Values) -> list[dict[str, Any]]:
    """A row for each checkpoint of a series that has the measure."""
    return [
        asdict(value)
        | {
            "series": name,
            "checkpoint": shown.checkpoint,
            "step": shown.step,
            "dot": next((size for most, size in _DOTS.items() if len(line) <= most), 0),
            "bar": int(len(line) == 1),
            "base": base.text(kind) if base else "–",
        }
        for name, line in series_of(data).items()
        for shown in line
        if (value := values.get((shown.checkpoint, measure))) and value.is_finite
        for base in [values.get((shown.base or "", measure))]
    ]


def _draw_panel(
    data: FigureData,
    width: int,
    measure: str,
    panel: Panel,
    values: Values,
    points: list[dict[str, Any]],
) -> Any:
    """One measure over the steps: a line for each series, and a rule for each base."""
    rules = [
        {"series": _as_base(base), "value": values[base.checkpoint, measure].value}
        for base in bases_of(data)
        if (base.checkpoint, measure) in values and values[base.checkpoint, measure].is_finite
    ]
    colour, dash = _lines(data, width)
    steps = [s.step for line in series_of(data).values() for s in line if s.step is not None]
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
        "value:Q",
        title=None,
        scale=alt.Scale(zero=False, nice=False, padding=8),
        axis=alt.Axis(
            labelExpr=f"format(datum.value, '{panel.axis_format}')",
            tickCount=4,
            domain=False,
            ticks=False,
            labelFlush=6,  # all titles stand at one height
        ),
    )
    low, high = alt.Y("low:Q", title=None), alt.Y2("high:Q")
    number = panel.number_format
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
                alt.Tooltip("value:Q", format=number),
                alt.Tooltip("low:Q", format=number, title="95% from"),
                alt.Tooltip("high:Q", format=number, title="to"),
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
        width=inner, height=150, title=style.heading(panel.title)
    )


def _as_base(shown: FigureCheckpoint) -> str:
    return f"{shown.checkpoint} (base)"


def _lines(data: FigureData, width: int) -> tuple[alt.Color, alt.StrokeDash]:
    """The colour and the dashes of each base and series, with one legend above the figure."""
    series, bases = series_of(data), [_as_base(base) for base in bases_of(data)]
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
