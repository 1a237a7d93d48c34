"""The page of each checkpoint: documents, prompts, openings and tokens, those that tell most."""

from __future__ import annotations

import math
from html import unescape
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from assets.drawing.figure import Grid, Marked, Opening
from assets.drawing.page import CheckpointPage, Front, write_page
from assets.measures.declared import PLACEHOLDERS
from assets.report.pages import PARTS, asked, grid
from warehouse.sessions import session
from warehouse.vocabulary import load_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import duckdb

PARAMETERS = {**PLACEHOLDERS, "opening_words": 2, "rows": 2}
TITLES = {part.query: part for part in PARTS}
NAMES = ("base", "dpo")


def bits_of(document: str, bits: float) -> dict[str, Any]:
    """What a statistic of a document of 10 bytes says that takes so many bits."""
    return {"condition": "gold", "corpus": "docs", "text_id": document, "n_bytes": 10} | {
        "nll": bits * math.log(2)
    }


def written(checkpoint: str, prompt: str, *texts: str) -> list[dict[str, Any]]:
    return [
        {"checkpoint": checkpoint, "decoding": "a", "prompt_set": "s", "prompt_id": prompt}
        | {"sample": i, "text": text, "token_ids": [i]}
        for i, text in enumerate(texts)
    ]


def diversity(checkpoint: str, n_distinct: dict[str, int]) -> list[dict[str, Any]]:
    return [
        {"checkpoint": checkpoint, "decoding": "a", "prompt_set": "s", "prompt_id": prompt}
        | {"unit": "word", "n": n, "n_samples": 4, "n_distinct": number, "n_total": 10}
        for prompt, number in n_distinct.items()
        for n in (1, 3, 5)
    ]


def shifted(decoding: str, token: str, n_shifted: int) -> dict[str, Any]:
    return {"checkpoint": "dpo", "decoding": decoding, "other": "base", "token": token} | {
        "token_id": ord(token[-1]),
        "n_tokens": 9,
        "n_shifted": n_shifted,
        "share": n_shifted / 20,
    }


TABLES: dict[str, list[dict[str, Any]]] = {
    "shown": [
        {"checkpoint": name, "decoding": "a", "prompt_set": "s", "label": name, "place": i}
        for i, name in enumerate(NAMES)
    ],
    "checkpoints": [
        {"checkpoint": "base", "base": None},
        {"checkpoint": "dpo", "base": "base"},
    ],
    "documents": [
        {"corpus": "docs", "document_id": d, "text": f"Document {d}.\nIt goes on."} for d in "xyz"
    ],
    "text_statistics": [
        {"checkpoint": name} | bits_of(document, bits)
        for name, of_documents in (
            ("base", {"x": 10, "y": 10, "z": 10, "w": 1}),
            ("dpo", {"x": 12, "y": 9, "z": 25}),
        )
        for document, bits in of_documents.items()
    ],
    "prompts": [{"prompt_set": "s", "prompt_id": p, "text": f"What is {p}?"} for p in "pqr"],
    "generations": [
        *written("base", "p", "It is so.", "No, not so.", "It may be."),
        *written("dpo", "p", "It is so.", "Of course! Yes.", "Of  course! So."),
        *written("dpo", "q", "Of course! No.", ""),
    ],
    "ngram_diversity": [
        *diversity("base", {"p": 9, "q": 9, "r": 5}),
        *diversity("dpo", {"p": 8, "q": 3, "r": 6}),
    ],
    "anchor_spans": [
        {"checkpoint": "dpo", "decoding": "a", "prompt_set": "s", "prompt_id": prompt, "pick": pick}
        | {"text": text, "length": len(text), "n_holders": len(samples), "n_samples": n_samples}
        | {"samples": samples, "starts": starts}
        for prompt, pick, text, n_samples, samples, starts in (
            ("p", 1, "course!", 3, [1, 2], [3, 4]),
            ("p", 2, "It is", 3, [0], [0]),
            ("q", 1, "Of course", 2, [0, 1], [0, 0]),
            ("r", 1, "Of", 4, [0], [0]),
        )
    ],
    "shifted_tokens": [
        *(shifted("a", token, 8) for token in "abc"),
        shifted("greedy", " Sure", 3),
        shifted("greedy", "\n", 7),
    ],
}


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """A session over these tables."""
    with session() as opened:
        for name, rows in TABLES.items():
            opened.register(name, pa.Table.from_pylist(rows))
        load_words(opened)
        yield opened


def rows_of(connection: duckdb.DuckDBPyConnection, name: str) -> Sequence[Sequence[str | Opening]]:
    """A part of the page of `dpo`."""
    rows = [r for r in asked(connection, name, PARAMETERS) if r["checkpoint"] == "dpo"]
    return grid(TITLES[name], rows).rows


def test_documents_that_were_lost_most_of_come_first(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    assert rows_of(connection, "worse") == [
        ["docs", "Document z. ↵ It goes on.", "2.50", "1.00"],
        ["docs", "Document x. ↵ It goes on.", "1.20", "1.00"],
    ]


def test_prompts_collapse_where_different_ngrams_of_three_words_are_lost(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    assert rows_of(connection, "collapsed") == [
        ["What is q?", "30%", "90%"],
        ["What is p?", "80%", "90%"],
    ]


def test_openings_recur_and_stand_beside_the_bases(connection: duckdb.DuckDBPyConnection) -> None:
    assert rows_of(connection, "openings") == [["Of course!", "2", "60%", "0%"]]
    base = [r for r in asked(connection, "openings", PARAMETERS) if r["checkpoint"] == "base"]
    assert base == []  # each of its openings comes once


def test_an_anchor_opens_to_generations_that_hold_it(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    p = [
        Marked("Sample 1:", "Of ", "course!", " Yes."),
        Marked("Sample 2:", "Of  ", "course!", " So."),
    ]
    q = [Marked("Sample 0:", "", "Of course", "! No.")]
    assert rows_of(connection, "anchors") == [
        [
            "What is q?",
            Opening("Of course", [*q, Marked("Sample 1:", "", "Of course", "")]),
            "100%",
        ],
        ["What is p?", Opening("course!", p), "67%"],
    ]


def test_shifted_tokens_are_those_of_greedy_text_where_there_is_some(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    assert rows_of(connection, "shifted") == [
        ['"\\n"', "7", "9", "35%"],
        ['" Sure"', "3", "9", "15%"],
    ]


def test_each_page_has_an_address_and_shows_texts_as_they_are(tmp_path: Path) -> None:
    table = Grid(["first words"], [["</details><b>Of course!"]])
    front = Front(pages=[CheckpointPage("dpo", ["dpo: worse."], [("How it begins", table)])])
    write_page(tmp_path / "report.html", "Report", [], front=front)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert '<a href="#checkpoint/dpo">dpo</a>' in text
    page = text.partition('id="checkpoint/dpo"')[2].partition("</details>")[0]
    assert '<p class="found">dpo: worse.</p>' in page
    assert "<h3>How it begins</h3>" in page
    assert "</details><b>Of course!" in unescape(page)


def test_a_cell_that_opens_marks_what_it_is_about(tmp_path: Path) -> None:
    cell = Opening("course", [Marked("Sample 1:", "Of <", "course", "> Yes.")])
    pages = [CheckpointPage("dpo", [], [("Anchors", Grid(["anchor"], [[cell]]))])]
    write_page(tmp_path / "report.html", "Report", [], front=Front(pages=pages))
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<details><summary>course</summary>" in text
    assert "Of &lt;<mark>course</mark>&gt; Yes." in text
