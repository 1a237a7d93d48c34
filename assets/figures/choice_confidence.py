"""Beyond the paper: how sure models are of what they choose, directly and after reasoning."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.drawing import by_stage
from assets.drawing.figure import Figure, FigureData, Grid
from assets.measures.sentences import Number

if TYPE_CHECKING:
    from collections.abc import Mapping

_PANELS = {
    "confidence where right": "choice_confidence_right",
    "confidence where wrong": "choice_confidence_wrong",
}
"""By what stands above a panel, its measure."""
_ALL = {"confidence in the chosen option": "choice_confidence"}
"""The same of questions of which no option is right."""
KINDS = {"-": "direct", "reasoned": "after reasoning"}
"""By condition, what a point is called."""
_MARGIN = 0.02
"""From the last interval to the end of an axis."""
COLOURS = {"direct": "#3b6fa0", "after reasoning": "#d9722e"}
_COLUMNS = {
    "right": ("choice_accuracy", "share"),
    "confidence": ("choice_confidence", "share"),
    "where right": ("choice_confidence_right", "share"),
    "where wrong": ("choice_confidence_wrong", "share"),
    "calibration error": ("choice_calibration_error", "signed"),
}
"""By the head of a column its measure, and how its numbers are written."""
Rows = dict[tuple[str, str, str], dict[str, Any]]
"""By checkpoint, measure and condition."""


def _rows(data: FigureData) -> Rows:
    return {(r["checkpoint"], r["measure"], r["condition"]): r for r in data.rows}


def draw_conditions(data: FigureData, width: int, panels: Mapping[str, str]) -> Any:
    """Shares at each stage, directly and after reasoning side by side.

    Args:
        data: Rows with `checkpoint`, `measure`, `condition`, `value`, `low`, `high` and `n`.
        width: The figure's width in pixels.
        panels: By what stands above a panel, its measure.
    """
    rows = _rows(data)
    measures = panels.values()
    conditions = {condition for _, measure, condition in rows if measure in measures}
    kinds = {name: COLOURS[name] for key, name in KINDS.items() if key in conditions}
    ends = [row[end] for row in data.rows if row["measure"] in measures for end in ("low", "high")]
    titles = [title for title, name in panels.items() if any(key[1] == name for key in rows)]
    drawn = [
        by_stage.panel(
            [
                by_stage.point(row, shown, place, kind)
                for place, shown in enumerate(line)
                for condition, kind in KINDS.items()
                if (row := rows.get((shown.checkpoint, panels[title], condition)))
            ],
            line,
            inner,
            heading,
            kinds=kinds,
            items="questions",
            axis=".3~%",
            value=".1%",
            # The panels are about the same number, and can be compared by the eye.
            domain=(max(0, min(ends) - _MARGIN), min(1, max(ends) + _MARGIN)),
        )
        for line, inner, title, heading in by_stage.panels_beside(data, width, titles)
    ]
    return by_stage.beside(drawn, width, titles)


def _draw(data: FigureData, width: int) -> Any:
    has_right = any(row["measure"] in _PANELS.values() for row in data.rows)
    return draw_conditions(data, width, _PANELS if has_right else _ALL)


def _findings(data: FigureData) -> list[str]:
    """Says what reasoning does to each checkpoint's accuracy, and to its confidence where wrong."""
    rows = _rows(data)
    sentences = []
    for shown in data.with_rows:
        wrong = rows.get((shown.checkpoint, "reasoning_confidence", "wrong both ways"))
        accuracy = rows.get((shown.checkpoint, "reasoning_accuracy", "-"))
        if wrong:
            sentences.append(
                f"{shown.name}: after reasoning its confidence in choices that are wrong both ways "
                f"{_moved(wrong)}{f'; its accuracy {_moved(accuracy)}' if accuracy else ''}."
            )
    return sentences


def _moved(row: Mapping[str, Any]) -> str:
    number = Number.of(row)
    text = f"by {number.text('signed')}"
    if number.low > 0:
        return f"rises {text}"
    return f"falls {text}" if number.high < 0 else f"does not clearly change ({text})"


def _table(data: FigureData) -> Grid:
    rows = _rows(data)

    def cell(checkpoint: str, condition: str, column: str) -> str:
        measure, kind = _COLUMNS[column]
        row = rows.get((checkpoint, measure, condition))
        return Number.of(row).text(kind) if row else "–"

    return Grid(
        ["checkpoint", "chooses", *_COLUMNS],
        [
            [shown.name, kind, *(cell(shown.checkpoint, condition, name) for name in _COLUMNS)]
            for shown in data.with_rows
            for condition, kind in KINDS.items()
            if (shown.checkpoint, "choice_confidence", condition) in rows
        ],
    )


FIGURE = Figure(
    name="choice_confidence",
    place=74,
    title="How sure models are of the options that they choose",
    claim=(
        "A model whose confidence can be trusted is surer where it is right. Reasoning may make it "
        "surer where it is right, and also where it is wrong."
    ),
    reads=("summary", "checkpoints"),
    query=Path(__file__).with_suffix(".sql"),
    draw=_draw,
    measures=(
        *("choice_accuracy", "choice_calibration_error", "choice_confidence"),
        *("choice_confidence_right", "choice_confidence_wrong"),
        *("reasoning_accuracy", "reasoning_confidence"),
    ),
    findings=_findings,
    table=_table,
)
