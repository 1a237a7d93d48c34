"""Semantic anchors are drawn along the text with the anchor spans that are wordings of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from assets.drawing.figure import FigureCheckpoint, FigureData
from assets.figures.semantic_anchors import FIGURE
from warehouse import session, tables
from warehouse.sessions import create_view
from warehouse.vocabulary import load_words

MEANINGS = Path(__file__).parent.parent.parent.parent / "sql" / "span_meanings.sql"
KEY = {"checkpoint": "m", "decoding": "-", "prompt_set": "s", "prompt_id": "p"}
GENERATIONS = [KEY | {"sample": i, "text": "x" * 40} for i in range(4)]
ANCHORS = [
    {"anchor": 1, "text": "One.", "n_samples": 4, "n_holders": 3, "n_wordings": 2}
    | {"samples": [0, 1, 2], "starts": [0, 0, 10], "lengths": [20, 20, 20]},
    {"anchor": 2, "text": "Two.", "n_samples": 4, "n_holders": 2, "n_wordings": 1}
    | {"samples": [0, 3], "starts": [20, 20], "lengths": [20, 20]},
]
SPANS = [
    {"span": "1", "n_holders": 2, "length": 5, "samples": [0, 1], "starts": [5, 30]},
    {"span": "2", "n_holders": 3, "length": 4, "samples": [0, 3, 2], "starts": [19, 25, 35]},
    {"span": "3", "n_holders": 3, "length": 4, "samples": [1, 2, 3], "starts": [21, 31, 0]},
]


def asked() -> tuple[list[Any], list[dict[str, Any]]]:
    """The rows of `span_meanings`, and of the figure's query."""
    spans = [KEY | {"text": f"span {row['span']}", "n_samples": 4} | row for row in SPANS]
    shown = [{k: v for k, v in KEY.items() if k != "prompt_id"} | {"label": "m", "place": 0}]
    with session() as connection:
        for table, rows in [
            (tables.GENERATIONS, GENERATIONS),
            (tables.SEMANTIC_ANCHORS, [KEY | row for row in ANCHORS]),
        ]:
            schema = pa.schema([("checkpoint", pa.string()), *table.arrow_schema])
            connection.register(table.name, pa.Table.from_pylist(rows, schema))
        connection.register("anchor_spans", pa.Table.from_pylist(spans))
        connection.register("shown", pa.Table.from_pylist(shown))
        create_view(connection, tables.PROMPTS, [])
        load_words(connection)
        meanings = connection.sql(MEANINGS.read_text()).to_arrow_table()
        connection.register("span_meanings", meanings)
        drawn = connection.sql(FIGURE.query.read_text()).to_arrow_table().to_pylist()
    return [tuple(row.values())[4:] for row in meanings.to_pylist()], drawn


def test_a_span_is_of_the_anchor_that_half_of_its_places_lie_in() -> None:
    meanings, drawn = asked()
    assert meanings == [("1", 1, 1, 2), ("2", 2, 2, 3)]  # span, anchor, n_inside, n_holders
    held = {(row["anchor"], row["span"]): row["held"] for row in drawn}
    assert held[1, None] == [2] * 10 + [3] * 10 + [1] * 10 + [0] * 10
    assert held[None, "3"] == [1] * 4 + [0] * 17 + [1] * 4 + [0] * 6 + [1] * 4 + [0] * 5
    assert next(row["middle"] for row in drawn if row["span"] == "3") == 21 / 40


def test_spans_stand_below_their_anchors_in_the_order_of_the_text() -> None:
    shown = FigureCheckpoint("m", "-", "s", "base", None)
    data = FigureData(asked()[1], [shown], "word")
    assert FIGURE.pages is not None
    assert FIGURE.table is not None
    (page,) = FIGURE.pages(data).pages
    lines = [row[3] for row in page.narrow.rows["lines"]]
    assert [line for line in lines if line.startswith(("One", "Two", "span"))] == [
        *("One.", "span 1", "Two.", "span 2", "span 3")
    ]
    assert "in sense · 3 of 4, in 2 wordings" in lines
    assert "word for word, in no semantic anchor · 3 of 4" in lines
    summary = "2 in sense, 2 also word for word; 1 in words alone"
    assert FIGURE.table(data).rows == [["p", summary]]
    heights = [row[5] for row in page.narrow.rows["curves"]]
    assert [max(some) for some in heights] == [24, 8, 16, 8, 8]  # of 3, 1, 2, 1 and 1 at a place
