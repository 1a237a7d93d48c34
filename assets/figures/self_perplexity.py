"""Figure 5: how well models predict what they wrote themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from assets.drawing.by_corpus import changes, draw_by_corpus, measure, point, values_by_corpus
from assets.drawing.figure import Figure, FigureData


def _draw(data: FigureData, width: int) -> Any:
    by_name = {shown.checkpoint: shown for shown in data.checkpoints}
    values = values_by_corpus(data)
    points = [
        point(category, corpus, by_name[checkpoint], value)
        for (checkpoint, category, corpus), value in values.items()
    ]
    chosen = measure(data)
    return draw_by_corpus(
        sorted(points, key=lambda point: (str(point["category"]), str(point["corpus"]))),
        data,
        title=f"{chosen.title} of a model's own text",
        axis_format="~g",
        number_format=chosen.number_format,
        shown=data.with_rows,
        field="label",
        width=width,
    )


def _findings(data: FigureData) -> list[str]:
    title = measure(data).title
    return [
        f"Continuing {one.corpus} ({one.change.n} prompts) {one.aligned.label} has "
        f"{one.ours.number()} {title} on its own text, and {one.base.label} "
        f"{one.theirs.number()} on its own: "
        f"{one.change.verdict('higher', 'lower')} ({one.change.change()})."
        for one in changes(data)
    ]


FIGURE = Figure(
    name="self_perplexity",
    place=5,
    title="How well models predict their own text",
    paper="figure 5",
    claim=(
        "Asked to continue the beginnings of texts, aligned models write what they find easy to "
        "predict: their perplexity on their own continuations is far lower than a base model's on "
        "its own."
    ),
    reads=("text_statistics", "checkpoints"),
    query=Path(__file__).with_suffix(".sql"),
    draw=_draw,
    findings=_findings,
)
