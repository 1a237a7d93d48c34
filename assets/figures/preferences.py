"""Beyond the paper: how likely models find chosen and rejected answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.drawing import by_stage
from assets.drawing.figure import Figure, FigureCheckpoint, FigureData, Grid
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
_COLOURS = {"chosen": "#006d52", "rejected": "#b0407a"}
_PANELS = {
    "log-probability of an answer, nats": "value",
    "difference from the base, nats": "change",
}
"""By what stands above a panel, what it shows."""
Rows = dict[tuple[str, str, str, str], dict[str, Any]]
"""By checkpoint, what it is, measure and condition."""


def _rows(data: FigureData) -> Rows:
    return {(r["checkpoint"], r["what"], r["measure"], r["condition"]): r for r in data.rows}


def _draw(data: FigureData, width: int) -> Any:
    rows = _rows(data)
    titles = [title for title, what in _PANELS.items() if any(key[1] == what for key in rows)]
    panels = []
    for line, inner, title, heading in by_stage.panels_beside(data, width, titles):
        points = _points(rows, line, _PANELS[title])
        panels.append(
            by_stage.panel(
                points,
                line,
                inner,
                heading,
                kinds=_COLOURS,
                items="pairs",
                domain=_with_zero(points) if _PANELS[title] == "change" else None,
            )
        )
    return by_stage.beside(panels, width, titles)


def _with_zero(points: list[dict[str, Any]]) -> tuple[float, float]:
    """From where to where an axis goes that shows which way the points lie from 0."""
    ends = [0.0, *(point[end] for point in points for end in ("low", "high"))]
    room = (max(ends) - min(ends) or 1) / 20
    return min(ends) - room, max(ends) + room


def _points(rows: Rows, line: Iterable[FigureCheckpoint], what: str) -> list[dict[str, Any]]:
    return [
        by_stage.point(row, shown, place, answer)
        for place, shown in enumerate(line)
        for measure, answer in _ANSWERS.items()
        if (row := rows.get((shown.checkpoint, what, measure, "-")))
    ]


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
