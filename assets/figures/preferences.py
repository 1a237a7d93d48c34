"""Beyond the paper: how likely models find chosen and rejected answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import altair as alt

from assets.drawing import style
from assets.drawing.figure import Figure, FigureCheckpoint, FigureData, Grid
from assets.drawing.lines import ladders_of
from assets.measures.sentences import Number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_ANSWERS = {"chosen_logprob": "chosen", "rejected_logprob": "rejected"}
_FORMATS = {
    "chosen_logprob": "signed",
    "rejected_logprob": "signed",
    "preference_margin": "signed",
    "preference_accuracy": "share",
}
_COLOURS = ("#006d52", "#b0407a")
_PANELS = {
    "log-probability of an answer, nats": "value",
    "difference from the base, nats": "change",
}
"""By what stands above a panel, what it shows."""
_AXIS = 56
"""Pixels of a panel's numbers."""
_CHARACTER = 6.6
_LONGEST = 130
"""Pixels of a name below a panel, at most."""
Rows = dict[tuple[str, str, str, str], dict[str, Any]]
"""By checkpoint, what it is, measure and condition."""


def _rows(data: FigureData) -> Rows:
    return {(r["checkpoint"], r["what"], r["measure"], r["condition"]): r for r in data.rows}


def _lines(data: FigureData) -> dict[str, list[FigureCheckpoint]]:
    """The checkpoints of each ladder, and those of none."""
    ladders = ladders_of(data)
    on_ladders = {shown.checkpoint for line in ladders.values() for shown in line}
    rest = [shown for shown in data.with_rows if shown.checkpoint not in on_ladders]
    return ladders | ({"": rest} if rest else {})


def _draw(data: FigureData, width: int) -> Any:
    rows = _rows(data)
    shown = [title for title, what in _PANELS.items() if any(key[1] == what for key in rows)]
    columns = len(shown) if width > style.NARROW else 1
    inner = (width - columns * (_AXIS + 12)) // columns
    panels = [
        _panel(
            _points(rows, line, _PANELS[title]), line, inner, f"{name}: {title}" if name else title
        )
        for name, line in _lines(data).items()
        for title in shown
    ]
    return style.finish(alt.concat(*panels, columns=columns))


def _points(rows: Rows, line: Iterable[FigureCheckpoint], what: str) -> list[dict[str, Any]]:
    return [
        {
            "answer": answer,
            "stage": shown.tick,
            "place": place,
            "checkpoint": shown.checkpoint,
            **{key: row[key] for key in ("value", "low", "high", "n")},
        }
        for place, shown in enumerate(line)
        for measure, answer in _ANSWERS.items()
        if (row := rows.get((shown.checkpoint, what, measure, "-")))
    ]


def _panel(
    points: list[dict[str, Any]], line: list[FigureCheckpoint], width: int, title: str
) -> Any:
    """Chosen and rejected answers side by side at each stage, with their intervals."""
    stages = [shown.tick for shown in line]
    room = width / len(stages)
    answers = list(_ANSWERS.values())
    x = alt.X(
        "stage:N",
        title="stage" if line[0].ladder else None,
        sort=stages,
        scale=alt.Scale(domain=stages, paddingInner=0.4, paddingOuter=0.3),
        axis=alt.Axis(
            grid=False,
            labelOverlap=False,
            **(_aslant(room) if max(map(len, stages)) * _CHARACTER > room else {"labelAngle": 0}),
        ),
    )
    beside = alt.XOffset("answer:N", sort=answers, scale=alt.Scale(domain=answers))
    colour = alt.Color(
        "answer:N",
        title=None,
        scale=alt.Scale(domain=answers, range=list(_COLOURS)),
        legend=alt.Legend(orient="top", symbolType="circle"),
    )
    shape = alt.Shape(
        "answer:N",
        scale=alt.Scale(domain=answers, range=["circle", "diamond"]),
        legend=None,
    )
    y = alt.Y(
        "value:Q",
        title=None,
        scale=alt.Scale(zero=False, nice=False, padding=8),
        axis=alt.Axis(tickCount=5, domain=False, ticks=False, format=",.4~r"),
    )
    chart = alt.Chart()
    line_layer = chart.mark_line(strokeWidth=1.2, opacity=0.6).encode(
        x=x, y=y, color=colour, xOffset=beside, order="place:Q"
    )
    layers = [
        *([line_layer] if line[0].ladder else []),  # others do not follow each other
        chart.mark_rule(strokeWidth=2).encode(
            x=x, y=alt.Y("low:Q", title=None), y2="high:Q", color=colour, xOffset=beside
        ),
        chart.mark_point(filled=True, opacity=1, size=70).encode(
            x=x,
            y=y,
            color=colour,
            shape=shape,
            xOffset=beside,
            tooltip=[
                "checkpoint:N",
                "answer:N",
                alt.Tooltip("value:Q", format=",.2f"),
                alt.Tooltip("low:Q", format=",.2f", title="95% from"),
                alt.Tooltip("high:Q", format=",.2f", title="to"),
                alt.Tooltip("n:Q", title="pairs"),
            ],
        ),
    ]
    return alt.layer(*layers, data=style.data(points)).properties(
        width=width, height=180, title=style.heading(title)
    )


def _aslant(room: float) -> dict[str, Any]:
    """Names that stand aslant below a panel, cut at their beginning, as they differ at the end."""
    most = int(min(_LONGEST, (_AXIS + room / 2) * 2**0.5) / _CHARACTER)
    return {
        "labelAngle": -45,
        "labelAlign": "right",
        "labelLimit": 0,
        "labelExpr": f"length(datum.label) > {most} ? '…' + slice(datum.label, {1 - most}) "
        ": datum.label",
    }


def _findings(data: FigureData) -> list[str]:
    """Names checkpoints that find both answers less likely than the stage before, or the base."""
    rows = _rows(data)
    names = {shown.checkpoint: shown.name for shown in data.checkpoints}
    sentences = []
    for shown in data.with_rows:
        for what in ("step", "change"):
            found = {
                measure: rows.get((shown.checkpoint, what, measure, "-")) for measure in _FORMATS
            }
            margin = found["preference_margin"]
            fall = [row for measure in _ANSWERS if (row := found[measure]) and row["high"] < 0]
            if margin and len(fall) == len(_ANSWERS):
                sentences.append(
                    f"{shown.name} finds chosen and rejected answers less likely than "
                    f"{names.get(margin['other'], margin['other'])} does (likelihood "
                    f"displacement); their margin {_moved(margin)}."
                )
                break
    return sentences


def _moved(margin: Mapping[str, Any]) -> str:
    number = f"{Number.of(margin).text('signed')} nats"
    if margin["low"] > 0:
        return f"grows by {number}"
    return f"shrinks: {number}" if margin["high"] < 0 else f"does not clearly change: {number}"


def _table(data: FigureData) -> Grid:
    rows = _rows(data)

    def cells(checkpoint: str, condition: str) -> list[str]:
        listed = [
            (rows.get((checkpoint, "value", measure, condition)), kind)
            for measure, kind in _FORMATS.items()
        ]
        return [Number.of(row).text(kind) if row else "–" for row, kind in listed]

    heads = ["checkpoint", "nats of", "chosen", "rejected", "margin", "chosen more likely"]
    return Grid(
        heads,
        [
            [shown.name, name, *cells(shown.checkpoint, condition)]
            for shown in data.with_rows
            for condition, name in (("-", "an answer"), ("per token", "a token"))
        ],
    )


FIGURE = Figure(
    name="preferences",
    place=70,
    title="How likely models find chosen and rejected answers",
    claim=(
        "Preference optimization widens the margin between the answers that were chosen and those "
        "that were rejected, and may do so while both become less likely: likelihood displacement."
    ),
    reads=("summary", "comparisons", "checkpoints"),
    query=Path(__file__).with_suffix(".sql"),
    draw=_draw,
    measures=tuple(_FORMATS),
    findings=_findings,
    table=_table,
)
