"""Measures over the steps of training runs, and over the stages of ladders.

There is a panel for each measure, and in it a line for each run or ladder.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import altair as alt

from assets.drawing import style
from assets.drawing.figure import with_stage
from assets.drawing.lines import bases_of, ladders_of, series_of, stages_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from assets.drawing.figure import FigureCheckpoint, FigureData
    from assets.measures.sentences import Number

    Values = Mapping[tuple[str, str], Number]

_DOTS = {30: 36, 80: 12}
"""Areas of points, by up to how many a series has; beyond them there are none."""
_MOST_POINTED = 100
"""Points of a line that can be pointed at: more are nearer to each other than fingers point."""
_STAGE_DOT = 70
"""Area of the point of a stage."""
_POINTED = {"step": "pointed", "stage": "pointed_stage"}
"""Selections of the step, or the stage, that is pointed at, in whichever panel."""
_POINTS = {"step": "points", "stage": "points_by_stage"}
"""The views in which it is pointed at."""
_LIMIT = "#b3261e"
"""The colour of limits."""
_TEXT = "c"
"""Without any format, Vega-Lite looks for texts in the cells around points, which have none."""
_LEFT, _BELOW = 46, 74
"""Pixels of an axis's numbers, and from a panel to the next below it."""
_CHARACTER = 6.6
"""Pixels of a character of an axis's labels, on average."""
_LONGEST = 110
"""Pixels of a label that stands aslant, at most."""
_SOLID, _DASHED = [1, 0], [5, 4]


@dataclass(frozen=True)
class Panel:
    """How a measure is drawn.

    Attributes:
        title: Its heading.
        kind: The measure's format.
        axis_format: How its axis is numbered.
        limits: Where the study's rules of drift warn; drawn as dotted lines.
    """

    title: str
    kind: str
    axis_format: str
    limits: tuple[float, ...] = ()


def draw(data: FigureData, width: int, panels: Mapping[str, Panel], values: Values) -> Any:
    """Draws a panel for each measure, two beside each other where there is room.

    All panels are drawn by one specification, which costs as much for one of them as for many.
    Where there are ladders and series, the ladders' panels come first.

    Args:
        data: The checkpoints.
        width: In pixels.
        panels: How measures are drawn, in order.
        values: By checkpoint and measure.
    """
    kinds = [kind for kind in (_ladders(data, width), _series(data)) if kind.lines]
    if not kinds:
        return style.note(
            "No checkpoint that was measured has a step, or another one of its ladder beside it.",
            width,
        )
    encodings = _lines(kinds, width)
    drawn = [_draw_panels(width, panels, values, kind, encodings) for kind in kinds]
    chart: Any = drawn[0] if len(drawn) == 1 else alt.vconcat(*drawn, spacing=_LEFT)
    chart.params = [
        alt.TopLevelSelectionParameter(
            name=_POINTED[kind.field],
            select=alt.PointSelectionConfig(
                type="point",
                fields=[kind.field],
                nearest=True,
                on="pointerover",
                clear="pointerout",
            ),
            views=[_POINTS[kind.field]],
        )
        for kind in kinds
    ]
    return style.finish(chart)


@dataclass(frozen=True, eq=False, kw_only=True)
class _Kind:
    """A kind of lines: series over training steps, or ladders over stages.

    Attributes:
        field: What tells the points of a line apart: `step` or `stage`.
        lines: The checkpoints of each line, by what the legend calls it.
        bases: The checkpoints that have a rule, likewise.
        colours: Of all of these, by what the legend calls them.
        x: The axis.
        tooltip: What a point tells of where it stands.
        below: Pixels below a panel that the axis needs beyond the usual.
        shades: The colour of each checkpoint's point; by default it has its line's.
    """

    field: str
    lines: dict[str, list[FigureCheckpoint]]
    bases: dict[str, FigureCheckpoint]
    colours: dict[str, str]
    x: alt.X
    tooltip: list[alt.Tooltip]
    below: int = 0
    shades: Mapping[str, str] | None = None


def _series(data: FigureData) -> _Kind:
    """The series, and their bases."""
    lines = {_called(name, line): line for name, line in series_of(data).items()}
    bases = {f"{base.checkpoint} (base)": base for base in bases_of(data)}
    roles = dict.fromkeys(bases, "base") | {name: line[-1].role for name, line in lines.items()}
    steps = [s.step for line in lines.values() for s in line if s.step is not None] or [0]
    first, last = min(steps), max(steps)
    return _Kind(
        field="step",
        lines=lines,
        bases=bases,
        colours=dict(zip(roles, style.shades_of(roles), strict=True)),
        x=alt.X(
            "step:Q",
            title="training step",
            scale=alt.Scale(
                domain=[first, last] if first < last else [first - 1, last + 1],
                nice=False,
                padding=6,
            ),
            axis=alt.Axis(
                labelExpr="format(datum.value, '~s')",
                grid=False,
                tickMinStep=1,
                **({"tickCount": 5} if first < last else {"values": [first]}),
            ),
        ),
        tooltip=[
            alt.Tooltip("series:N", format=_TEXT),
            alt.Tooltip("checkpoint:N", format=_TEXT),
            alt.Tooltip("step:Q", format=","),
        ],
    )


def _ladders(data: FigureData, width: int) -> _Kind:
    """The ladders."""
    series = {_called(name, line) for name, line in series_of(data).items()}
    ladders = ladders_of(data)
    called = {name: f"{name} (ladder)" if name in series else name for name in ladders}
    stages = stages_of(data)
    room = _inner_width(width) / max(len(stages), 1)
    longest = max(map(len, stages), default=0) * _CHARACTER
    # Half a place and the next panel's numbers are left of the first stage.
    limit = min(longest, _LONGEST, (_LEFT + room / 2) * 2**0.5)
    is_aslant = longest > room
    most = int(limit / _CHARACTER)
    aslant = {
        "labelAngle": -45,
        "labelAlign": "right",
        "labelLimit": 0,
        # Names of one ladder differ in how they end.
        "labelExpr": f"length(datum.label) > {most} ? '…' + slice(datum.label, {1 - most}) "
        ": datum.label",
    }
    return _Kind(
        field="stage",
        lines={called[name]: line for name, line in ladders.items()},
        bases={},
        colours={called[name]: style.colour_of_ladder(data, name) for name in ladders},
        x=alt.X(
            "stage:N",
            title="stage",
            sort=stages,
            scale=alt.Scale(type="point", domain=stages, padding=0.5),
            axis=alt.Axis(
                grid=False, labelOverlap=False, **(aslant if is_aslant else {"labelAngle": 0})
            ),
        ),
        tooltip=[
            alt.Tooltip("series:N", format=_TEXT, title="ladder"),
            alt.Tooltip("checkpoint:N", format=_TEXT),
            alt.Tooltip("stage:N", format=_TEXT),
            alt.Tooltip("before:N", format=_TEXT, title="the stage before"),
        ],
        below=round(limit / 2**0.5) if is_aslant else 0,
        shades=style.shades_by_checkpoint(data),
    )


def _called(name: str, line: list[FigureCheckpoint]) -> str:
    """What the legend calls a series: its name, after the stage that all of it is."""
    stages = {shown.stage for shown in line}
    return with_stage(stages.pop() if len(stages) == 1 else None, name)


def _points(kind: _Kind, measure: str, panel: Panel, values: Values) -> list[dict[str, Any]]:
    """A row for each checkpoint of a line that has the measure."""

    def number(checkpoint: str) -> str:
        value = values.get((checkpoint, measure))
        return value.text(panel.kind) if value else "–"

    rows: list[dict[str, Any]] = []
    for name, line in kind.lines.items():
        dot = next((size for most, size in _DOTS.items() if len(line) <= most), 0)
        by_rung = {shown.rung: shown.checkpoint for shown in line}
        every = math.ceil(len(line) / _MOST_POINTED)
        for place, shown in enumerate(line):
            value = values.get((shown.checkpoint, measure))
            if value is None or not value.is_finite:
                continue
            row: dict[str, Any] = {"is": "point", "measure": measure, "series": name}
            row |= {"value": value.value, "low": value.low, "high": value.high}
            row |= {"step": shown.step} if kind.shades is None else {"stage": shown.tick}
            if (len(line) - 1 - place) % every == 0:  # the last one is one of them
                row |= {
                    "checkpoint": shown.checkpoint,
                    "text": number(shown.checkpoint),
                    "base": number(shown.base or ""),
                }
                if kind.shades is None:
                    row |= {"dot": dot, "bar": len(line) == 1}
                else:
                    row |= {
                        "rung": shown.rung,
                        "before": number(by_rung.get((shown.rung or 0) - 1, "")),
                        "shade": kind.shades[shown.checkpoint],
                        "dot": _STAGE_DOT,
                        "bar": True,
                    }
            rows.append(row)
    return rows


def _rows(kind: _Kind, panels: Mapping[str, Panel], values: Values) -> list[dict[str, Any]]:
    """The rows of all measures that a checkpoint of a line has: bases, limits and points."""
    rows: list[dict[str, Any]] = []
    for measure, panel in panels.items():
        points = _points(kind, measure, panel, values)
        if not points:
            continue
        rows += [
            {"is": "base", "measure": measure, "series": name, "value": value.value}
            for name, base in kind.bases.items()
            if (value := values.get((base.checkpoint, measure))) and value.is_finite
        ]
        rows += [{"is": "limit", "measure": measure, "value": limit} for limit in panel.limits]
        rows += points
    return rows


def _numbered(axis_format: str) -> str:
    """The expression of a value in a format, whose `s` says milli below 1: there it is 0.3."""
    below = f"replace({axis_format}, 's', 'g')"
    return f"format(datum.value, abs(datum.value) < 1 ? {below} : {axis_format})"


def _inner_width(width: int) -> int:
    """The width of a panel without its axis."""
    return (width - 2 * _LEFT - 20) // 2 if width > style.NARROW else width - _LEFT - 12


def _draw_panels(
    width: int,
    panels: Mapping[str, Panel],
    values: Values,
    kind: _Kind,
    encodings: tuple[alt.Color, alt.StrokeDash],
) -> Any:
    """A panel for each measure: lines of series or ladders, and a rule for each base of a series.

    Their rows stand in one dataset; what a row `is` tells which of the marks it is drawn by.
    """
    rows = _rows(kind, panels, values)
    shown = {measure: panels[measure] for measure in dict.fromkeys(row["measure"] for row in rows)}
    formats = json.dumps({measure: panel.axis_format for measure, panel in shown.items()})
    titles = json.dumps({measure: panel.title for measure, panel in shown.items()})

    colour, dash = encodings
    x = kind.x
    y = alt.Y(
        "value:Q",
        title=None,
        scale=alt.Scale(zero=False, nice=False, padding=8),
        axis=alt.Axis(
            # The group of a panel has the measure; all axes come of one specification.
            labelExpr=_numbered(f"({formats})[parent.measure]"),
            tickCount=4,
            domain=False,
            ticks=False,
            labelFlush=6,  # all titles stand at one height
        ),
    )
    low, high = alt.Y("low:Q", title=None), alt.Y2("high:Q")
    # Screen readers have the table below; a label for each of thousands of marks would say less.
    marks = {
        name: alt.Chart().transform_filter(f"datum.is === '{name}'")
        for name in ("point", "base", "limit")
    }
    pointed = alt.ParameterPredicate(param=_POINTED[kind.field], empty=False)
    layers = [
        marks["base"]
        .mark_rule(strokeWidth=1.8, aria=False)
        .encode(y=y, color=colour, strokeDash=dash),
        marks["limit"]
        .transform_calculate(text=_numbered(f"({formats})[datum.measure]"))
        .mark_rule(strokeWidth=1.2, strokeDash=[2, 3], color=_LIMIT, aria=False)
        .encode(y=y, tooltip=[alt.Tooltip("text:N", format=_TEXT, title="limit of drift")]),
        marks["point"]
        .transform_filter("datum.bar")
        .mark_rule(strokeWidth=2, aria=False)
        .encode(x=x, y=low, y2=high, color=colour),
        marks["point"].transform_filter(pointed).mark_rule(color="#999", aria=False).encode(x=x),
        marks["point"]
        .mark_line(strokeWidth=1.8, strokeJoin="round", aria=False)
        .encode(x=x, y=y, color=colour, strokeDash=dash),
        marks["point"]
        .transform_filter("datum.checkpoint")
        .mark_point(filled=True, opacity=1, aria=False)
        .encode(
            x=x,
            y=y,
            color=colour,
            size=alt.when(pointed)
            .then(alt.value(80))
            .otherwise(alt.Size("dot:Q", scale=None, legend=None)),
            tooltip=[
                *kind.tooltip,
                alt.Tooltip("text:N", format=_TEXT, title="value [95%]"),
                alt.Tooltip("base:N", format=_TEXT, title="its base"),
            ],
        )
        .properties(name=_POINTS[kind.field]),
    ]
    if kind.shades is None:
        band = marks["point"].mark_area(opacity=0.16, aria=False)
        layers.insert(2, band.encode(x=x, y=low, y2=high, color=colour))
    else:
        # A line would go through its points from left to right by their names.
        layers[-2] = layers[-2].encode(order=alt.Order("rung:Q"))
        layers[-1] = layers[-1].encode(color=alt.Color("shade:N", scale=None, legend=None))
    panel_of_each = alt.layer(*layers, data=style.data(rows)).properties(
        width=_inner_width(width), height=150
    )
    return panel_of_each.facet(
        facet=alt.Facet(
            "measure:N",
            title=None,
            sort=list(shown),
            header=alt.Header(
                labelExpr=f"({titles})[datum.label]",
                labelAnchor="start",
                labelFontWeight="normal",
                labelLimit=_inner_width(width),
            ),
        ),
        columns=2 if width > style.NARROW else 1,
        align="all",
        bounds="flush",
        spacing={"row": _BELOW + kind.below, "column": _LEFT + 12},
    ).resolve_scale(x="independent", y="independent")


def _lines(kinds: list[_Kind], width: int) -> tuple[alt.Color, alt.StrokeDash]:
    """The colour and the dashes of each base, series and ladder, with one legend above."""
    colours = {name: colour for kind in kinds for name, colour in kind.colours.items()}
    names = list(colours)
    dashes = [_DASHED if any(name in k.bases for k in kinds) else _SOLID for name in names]
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
    shades = alt.Scale(domain=names, range=list(colours.values()))
    return (
        alt.Color("series:N", title=None, scale=shades, legend=legend),
        alt.StrokeDash(
            "series:N", title=None, scale=alt.Scale(domain=names, range=dashes), legend=legend
        ),
    )
