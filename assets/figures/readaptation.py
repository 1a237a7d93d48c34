"""Figure 2B: how much worse aligned models predict human text after fine-tuning on such text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from assets.drawing.by_corpus import draw_changes, kind, title
from assets.drawing.figure import Figure, FigureData, Grid
from assets.measures.sentences import Number

_BEFORE, _AFTER = "as they come", "after fine-tuning"


def _draw(data: FigureData, width: int) -> Any:
    changes = [row for row in data.rows if row["what"] == "change"]
    return draw_changes(sorted(changes, key=lambda row: row["panel"] == _AFTER), data, width)


def _findings(data: FigureData) -> list[str]:
    if not data.comparisons:
        return []
    return [
        "Intervals are over documents; another order of the training documents would move these "
        "numbers too."
    ]


def _table(data: FigureData) -> Grid:
    values = {
        (row["corpus"], row["checkpoint"], row["panel"]): row
        for row in data.rows
        if row["what"] == "value"
    }
    rows = []
    for (corpus, checkpoint, panel), before in values.items():
        after = values.get((corpus, checkpoint, _AFTER))
        if panel == _BEFORE and after:
            texts = [Number.of(row).text(kind(data)) for row in (before, after)]
            rows.append([before["category"], corpus, checkpoint, *texts, str(before["steps"])])
    heads = ["category", "corpus", "checkpoint", f"{title(data)} before", "after", "steps"]
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
    reads=("summary", "comparisons", "readaptation", "documents", "checkpoints"),
    query=Path(__file__).with_suffix(".sql"),
    draw=_draw,
    measures=("readapted_perplexity", "readapted_bits_per_byte"),
    findings=_findings,
    table=_table,
)
