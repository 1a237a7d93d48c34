"""A page of the report for each checkpoint: what it lost, and what it says again and again.

Each part is an SQL file beside this module, of rows for every checkpoint, and a table of each page.
Nothing is measured here: the parts show single documents, prompts, phrases and tokens.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.drawing.figure import Grid, Marked, Opening
from assets.drawing.figure_asset import shown_in
from assets.drawing.page import CheckpointPage
from assets.drawing.texts import short, small_share
from assets.figures.stock_phrases import told_apart
from assets.measures.declared import study_parameters
from assets.measures.sentences import sentence
from warehouse import session
from warehouse.declarations import used_parameters
from warehouse.sessions import bind
from warehouse.vocabulary import load_words

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import duckdb

    from assets.lineage.context import AssetContext
    from warehouse.measure_headers import Measure

_ROWS = 6
"""Rows of a table at most."""
_WIDTHS = {"document": 90, "prompt": 90, "anchor": 120, "opening": 90, "phrase": 90}
"""Characters of a text that are shown, by its column."""


@dataclass(frozen=True)
class Part:
    """A table of each page.

    Attributes:
        query: Its SQL file, without the ending.
        title: What stands above it.
        heads: Of each column of the query what it is called; without `checkpoint`.
        reads: The tables that the query reads, beside `checkpoints`.
    """

    query: str
    title: str
    heads: Mapping[str, str]
    reads: tuple[str, ...]


PARTS = (
    Part(
        "worse",
        "Documents that it predicts worse than its base",
        {
            "corpus": "corpus",
            "document": "document",
            "bits_per_byte": "bits per byte",
            "base_bits_per_byte": "base's",
        },
        ("text_statistics", "documents"),
    ),
    Part(
        "collapsed",
        "Prompts whose generations collapsed most: different n-grams, of all of theirs",
        {"prompt": "prompt", "diversity": "different", "base_diversity": "base's"},
        ("ngram_diversity", "prompts"),
    ),
    Part(
        "openings",
        "How its generations begin",
        {
            "opening": "first words",
            "n_prompts": "prompts",
            "share": "generations",
            "base_share": "base's",
        },
        ("generations",),
    ),
    Part(
        "anchors",
        "Anchors: what many generations of a prompt have at the same place; open one to read them",
        {"prompt": "prompt", "anchor": "anchor", "share": "generations"},
        ("anchor_spans", "prompts", "generations"),
    ),
    Part(
        "phrases",
        "Stock phrases: what recurs across prompts, more than in its base",
        {
            "phrase": "phrase",
            "n_prompts": "prompts",
            "share": "generations",
            "base_share": "base's",
        },
        ("stock_phrases",),
    ),
    Part(
        "shifted",
        "Tokens that its base ranks below the third place",
        {
            "token": "token",
            "n_shifted": "times shifted",
            "n_tokens": "times it came",
            "share": "of all shifted",
        },
        ("shifted_tokens",),
    ),
)
READ = tuple(dict.fromkeys(name for part in PARTS for name in part.reads))
"""The tables that pages are made of, beside those that every report reads."""


def pages(
    context: AssetContext,
    measures: Sequence[Measure],
    known: Collection[str],
    checkpoints: Collection[str],
) -> list[CheckpointPage]:
    """The page of every checkpoint that there is something to say of.

    Args:
        context: What the report is made for.
        measures: All measures.
        known: Names of the tables that the lake may have; parts that read others are left out.
        checkpoints: The checkpoints that the report is about.
    """
    parts = [part for part in PARTS if set(part.reads) <= set(known)]
    names = dict.fromkeys(
        ["checkpoints", "comparisons", *(n for part in parts for n in part.reads)]
    )
    with session(context.lake, context.limits) as connection:
        bind(connection, context.lake, [context.tables[name] for name in names], checkpoints)
        connection.register("shown", shown_in(context, checkpoints))
        parameters = {**study_parameters(context.study), "rows": _ROWS}
        predicted = asked(connection, "predicted", parameters)
        rows = {part.query: asked(connection, part.query, parameters) for part in parts}
    by_name = {measure.name: measure for measure in measures}
    made = [
        CheckpointPage(
            name,
            [
                sentence(row, by_name[row["measure"]], row["label"], row["other_label"])
                for row in predicted
                if row["checkpoint"] == name and row["measure"] in by_name
            ],
            [
                (part.title, grid(part, of_part))
                for part in parts
                if (of_part := [row for row in rows[part.query] if row["checkpoint"] == name])
            ],
        )
        for name in checkpoints
    ]
    return [page for page in made if page.lines or page.grids]


def asked(
    connection: duckdb.DuckDBPyConnection, name: str, parameters: Mapping[str, object]
) -> list[dict[str, Any]]:
    """Rows of a query of this folder, for every checkpoint.

    Args:
        connection: A session with the tables that it reads, and `shown`.
        name: Its file, without the ending.
        parameters: What it may use as `$name`; `rows` is how many a checkpoint has.
    """
    query = Path(__file__).with_name(f"{name}.sql").read_text(encoding="utf-8")
    load_words(connection, query)
    relation = connection.sql(query, params=used_parameters(query, parameters))
    rows: list[dict[str, Any]] = relation.to_arrow_table().to_pylist()
    return rows


def grid(part: Part, rows: list[dict[str, Any]]) -> Grid:
    """A part's rows as they are read."""
    some = told_apart(rows, _ROWS) if part.query == "phrases" else rows
    return Grid(
        [*part.heads.values()],
        [
            [
                _opening(row) if column == "anchor" else _text(column, row[column])
                for column in part.heads
            ]
            for row in some
        ],
    )


def _opening(row: Mapping[str, Any]) -> Opening:
    """An anchor, which opens to generations that hold it."""
    texts = [
        Marked(f"Sample {held['sample']}:", held["before"], held["marked"], held["after"])
        for held in row["held"]
    ]
    return Opening(_text("anchor", row["anchor"]), texts)


def _text(column: str, value: Any) -> str:
    if value is None:
        return "–"
    if column == "token":
        return json.dumps(value, ensure_ascii=False)
    if column in _WIDTHS:
        return short(value, _WIDTHS[column])
    if isinstance(value, float):
        return f"{value:.2f}" if "bits" in column else small_share(value)
    return f"{value:,}" if isinstance(value, int) else str(value)
