"""Figure 2A: how much worse aligned models predict human text than their base."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from assets.drawing.by_corpus import changes, draw_changes, measure, point, values_by_corpus
from assets.drawing.figure import Figure, FigureData, Grid


def _draw(data: FigureData, width: int) -> Any:
    points = [point(one.category, one.corpus, one.aligned, one.change) for one in changes(data)]
    return draw_changes(points, data, width)


def _findings(data: FigureData) -> list[str]:
    sentences = []
    title = measure(data).title
    for one in changes(data):
        sentences.append(
            f"On {one.corpus} ({one.change.n} documents) {one.aligned.checkpoint} has "
            f"{one.ours.number()} {title}, and {one.base.checkpoint} {one.theirs.number()}: "
            f"{one.change.verdict('worse', 'better')} ({one.change.change()})."
        )
    return sentences


def _table(data: FigureData) -> Grid:
    rows = [
        [category, corpus, checkpoint, value.number(), f"{value.n}"]
        for (checkpoint, category, corpus), value in values_by_corpus(data).items()
    ]
    title = measure(data).title
    return Grid(["category", "corpus", "checkpoint", title, "documents"], sorted(rows))


FIGURE = Figure(
    name="perplexity",
    place=1,
    title="How well human text is predicted",
    paper="figure 2A",
    claim=(
        "Models adapted to act predict text worse than the base models that they were made from, "
        "on every corpus: the web, papers, news that neither has seen, and also instructions and "
        "chats, which are like what they were tuned on."
    ),
    reads=("text_statistics", "checkpoints"),
    query=Path(__file__).with_suffix(".sql"),
    draw=_draw,
    findings=_findings,
    table=_table,
)
