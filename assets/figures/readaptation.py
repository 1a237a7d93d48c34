"""Figure 2B: how much worse aligned models predict human text after fine-tuning on such text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from assets.drawing.by_corpus import changes, draw_changes, measure, point, values_by_corpus
from assets.drawing.figure import Figure, FigureData, Grid

_BEFORE, _AFTER = "as they come", "after fine-tuning"
_COLUMNS = {_BEFORE: "nll_before", _AFTER: "nll_after"}


def _at(data: FigureData, when: str) -> FigureData:
    """The data with `nll` as it was then."""
    return replace(data, rows=[r | {"nll": r[_COLUMNS[when]]} for r in data.rows])


def _draw(data: FigureData, width: int) -> Any:
    points = [
        point(one.category, one.corpus, one.aligned, one.change) | {"panel": when}
        for when in _COLUMNS
        for one in changes(_at(data, when))
    ]
    return draw_changes(points, data, width)


def _findings(data: FigureData) -> list[str]:
    title = measure(data).title
    sentences = []
    for before, after in zip(changes(_at(data, _BEFORE)), changes(_at(data, _AFTER)), strict=True):
        sentences.append(
            f"On {after.corpus} ({after.change.n} documents) {after.aligned.checkpoint} goes from "
            f"{before.ours.number()} to {after.ours.number()} {title}, and "
            f"{after.base.checkpoint} from {before.theirs.number()} to {after.theirs.number()}: "
            f"{before.change.verdict('worse', 'better')} before ({before.change.change()}), "
            f"{after.change.verdict('worse', 'better')} after ({after.change.change()})."
        )
    if sentences:
        sentences.append(
            "Intervals are over documents; another order of the training documents would move "
            "these numbers too."
        )
    return sentences


def _table(data: FigureData) -> Grid:
    before, after = (values_by_corpus(_at(data, when)) for when in _COLUMNS)
    steps = {(row["checkpoint"], row["corpus"]): row["steps"] for row in data.rows}
    rows = [
        [
            category,
            corpus,
            checkpoint,
            value.number(),
            after[checkpoint, category, corpus].number(),
            str(steps[checkpoint, corpus]),
        ]
        for (checkpoint, category, corpus), value in before.items()
    ]
    title = measure(data).title
    heads = ["category", "corpus", "checkpoint", f"{title} before", "after", "steps"]
    return Grid(heads, sorted(rows))


FIGURE = Figure(
    name="readaptation",
    place=2,
    title="How well human text is predicted after fine-tuning on such text",
    paper="figure 2B",
    claim=(
        "What aligned models have lost is not easily won back: fine-tuned on a corpus's training "
        "split, they still predict its test split worse than their base models do after the same "
        "fine-tuning."
    ),
    reads=("readapted_texts", "checkpoints"),
    query=Path(__file__).with_suffix(".sql"),
    draw=_draw,
    findings=_findings,
    table=_table,
)
