"""Calibration and its error (ECE), against a plain loop over tokens."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pytest

from assets.measures.declared import SQL_FOLDER
from warehouse.vocabulary import load_words

if TYPE_CHECKING:
    from collections.abc import Iterator

BINS = 15

Row = dict[str, Any]


def tokens() -> list[Row]:
    """Tokens of some documents of two corpora; two confidences are at the ends of bins."""
    drawn = random.Random(0)
    rows = []
    for corpus, n_documents in (("tales", 4), ("notes", 7)):
        for document in range(n_documents):
            for position in range(drawn.randint(5, 40)):
                confidence = drawn.choice([drawn.random() ** 2, 0.2, 1.0, 1e-4])
                is_right = drawn.random() < 0.8 * confidence
                rows.append(
                    {
                        "checkpoint": "m",
                        "condition": "gold",
                        "decoding": "-",
                        "corpus": corpus,
                        "text_id": f"d{document}",
                        "position": position,
                        "rank": 1 if is_right else 5,
                        "top_mass": [1.0],  # of however many the study asks for
                        "top_logprobs": [math.log(confidence)],
                        "confidence": confidence,
                    }
                )
    return rows


def bin_of(confidence: float) -> int:
    """The bin b whose ends (b - 1) / 15 and b / 15 a probability is between."""
    return next(b for b in range(1, BINS + 1) if confidence <= b / BINS)


def by_bin(rows: list[Row]) -> dict[int, list[Row]]:
    bins: dict[int, list[Row]] = {}
    for row in rows:
        bins.setdefault(bin_of(row["confidence"]), []).append(row)
    return bins


def accuracy(rows: list[Row]) -> float:
    return sum(row["rank"] == 1 for row in rows) / len(rows)


def confidence(rows: list[Row]) -> float:
    return math.fsum(row["confidence"] for row in rows) / len(rows)


def ece(rows: list[Row]) -> float:
    """Sum over bins of share x |accuracy - confidence|."""
    return sum(
        len(some) / len(rows) * abs(accuracy(some) - confidence(some))
        for some in by_bin(rows).values()
    )


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with these tokens, and the words that queries may use."""
    with duckdb.connect() as opened:
        opened.register("token_distributions", pa.Table.from_pylist(tokens()))
        load_words(opened)
        yield opened


def asked(connection: duckdb.DuckDBPyConnection, name: str) -> list[Row]:
    query = (SQL_FOLDER / f"{name}.sql").read_text(encoding="utf-8")
    rows: list[Row] = connection.sql(query).to_arrow_table().to_pylist()
    return rows


@pytest.mark.parametrize("corpus", ["tales", "notes"])
def test_bins_are_those_of_a_plain_loop(connection: duckdb.DuckDBPyConnection, corpus: str) -> None:
    some = [row for row in tokens() if row["corpus"] == corpus]
    found = {row["bin"]: row for row in asked(connection, "calibration") if row["corpus"] == corpus}
    expected = by_bin(some)
    assert {b: row["n_tokens"] for b, row in found.items()} == {b: len(expected[b]) for b in found}
    assert found.keys() == expected.keys()
    assert {1, 3, 15} <= found.keys()  # 1e-4, 0.2 = 3 / 15 and 1
    for b, row in found.items():
        assert row["share"] == pytest.approx(len(expected[b]) / len(some))
        assert row["accuracy"] == pytest.approx(accuracy(expected[b]))
        assert row["confidence"] == pytest.approx(confidence(expected[b]))


@pytest.mark.parametrize("corpus", ["tales", "notes"])
def test_documents_add_up_to_the_expected_calibration_error(
    connection: duckdb.DuckDBPyConnection, corpus: str
) -> None:
    some = [row for row in tokens() if row["corpus"] == corpus]
    rows = [
        row
        for row in asked(connection, "measures/calibration_error")
        if row["collection"] == corpus and row["condition"] == "-"
    ]
    assert sorted(row["item"] for row in rows) == sorted({row["text_id"] for row in some})
    assert sum(row["denominator"] for row in rows) == len(some)
    pooled = sum(row["numerator"] for row in rows) / len(some)
    assert pooled == pytest.approx(ece(some), abs=1e-12)
    assert pooled > 0.02  # it is not a sum of gaps of both signs


def test_gaps_are_accuracy_less_confidence_in_each_bin(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    calibration = {(row["corpus"], row["bin"]): row for row in asked(connection, "calibration")}
    gaps: dict[tuple[str, int], list[Row]] = {}
    for row in asked(connection, "measures/calibration_error"):
        if row["condition"] == "gap":
            gaps.setdefault((row["collection"], row["level"]), []).append(row)
    assert gaps.keys() == calibration.keys()
    for key, rows in gaps.items():
        n = float(sum(row["denominator"] for row in rows))
        gap = sum(row["numerator"] for row in rows) / n
        expected = calibration[key]["accuracy"] - calibration[key]["confidence"]
        assert gap == pytest.approx(expected, abs=1e-12)
