"""The figure of preference pairs."""

from __future__ import annotations

from typing import Any

from assets.drawing import style
from assets.drawing.figure import FigureCheckpoint, FigureData
from assets.figures.preferences import FIGURE


def row(checkpoint: str, what: str, value: float) -> dict[str, Any]:
    return {
        "checkpoint": checkpoint,
        "what": what,
        "measure": "chosen_logprob",
        "condition": "-",
        "other": "base",
        "value": value,
        "low": value - 1,
        "high": value + 1,
        "n": 9,
    }


def test_a_change_is_drawn_from_zero_and_a_value_as_far_as_it_goes() -> None:
    base = FigureCheckpoint("base", "-", "p", "base", None, ladder="l", rung=0, n_rungs=2)
    tuned = FigureCheckpoint("dpo", "-", "p", "aligned", "base", ladder="l", rung=1, n_rungs=2)
    rows = [row("base", "value", -400), row("dpo", "value", -440), row("dpo", "change", -40)]
    chart = FIGURE.draw(FigureData(rows, [base, tuned], "word"), style.WIDE).to_dict()
    values, changes = (panel["layer"][-1]["encoding"]["y"]["scale"] for panel in chart["concat"])
    assert "domain" not in values
    low, high = changes["domain"]
    assert low < -41
    assert 0 < high < 5
