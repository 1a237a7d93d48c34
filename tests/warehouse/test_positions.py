"""Entropy and branching factor by position, against a plain loop over tokens."""

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

Row = dict[str, Any]


def tokens() -> list[Row]:
    """Tokens of the texts of two prompts and of a document; of `server` no entropy is known."""
    drawn = random.Random(1)
    lengths = {("own", "set", "p/0"): 33, ("own", "set", "p/1"): 5, ("own", "set", "q/0"): 1}
    lengths |= {("gold", "docs", "d"): 40, ("base", "set", "p/0"): 9, ("own", "server", "s/0"): 3}
    return [
        {
            "checkpoint": "m",
            "condition": condition,
            "decoding": "-" if condition == "gold" else "greedy",
            "corpus": corpus,
            "text_id": text_id,
            "position": position,
            "entropy": None if corpus == "server" else drawn.random(),
        }
        for (condition, corpus, text_id), length in lengths.items()
        for position in range(length)
    ]


def bucket_of(position: int) -> int:
    """The largest power of two that is no larger than a place counted from 1."""
    return 1 << ((position + 1).bit_length() - 1)


def sums(condition: str, item: str) -> dict[int, tuple[float, int]]:
    """By level the sum of entropies and the number of tokens; level 0 is all of them."""
    found: dict[int, tuple[float, int]] = {}
    for row in tokens():
        if row["condition"] == condition and row["text_id"].partition("/")[0] == item:
            for level in (0, bucket_of(row["position"])):
                entropy, n = found.get(level, (0.0, 0))
                found[level] = entropy + row["entropy"], n + 1
    return found


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with these tokens and the table that is derived from them."""
    keys = ("checkpoint", "condition", "decoding", "corpus", "text_id")
    texts = {tuple(row[key] for key in keys): row for row in tokens()}
    scored = [
        {key: row[key] for key in keys} | {"item": row["text_id"].partition("/")[0]}
        for row in texts.values()
    ]
    query = (SQL_FOLDER / "position_statistics.sql").read_text(encoding="utf-8")
    with duckdb.connect() as opened:
        opened.register("token_distributions", pa.Table.from_pylist(tokens()))
        opened.register("scored_texts", pa.Table.from_pylist(scored))
        load_words(opened)
        opened.register("position_statistics", opened.sql(query).to_arrow_table())
        yield opened


def values(connection: duckdb.DuckDBPyConnection, measure: str) -> list[Row]:
    query = (SQL_FOLDER / "measures" / f"{measure}.sql").read_text(encoding="utf-8")
    rows: list[Row] = connection.sql(query).to_arrow_table().to_pylist()
    return rows


@pytest.mark.parametrize("position", [0, 1, 2, 3, 6, 7, 14, 15, 1022, 1023, 2**30 - 2, 2**30 - 1])
def test_a_position_is_in_the_bucket_of_the_power_of_two_below_it(
    connection: duckdb.DuckDBPyConnection, position: int
) -> None:
    rows = connection.execute("select position_bucket($1)", [position]).fetchall()
    assert rows == [(bucket_of(position),)]


def test_branching_factor_is_of_own_text_whole_and_by_position(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    found = values(connection, "branching_factor")
    assert {(row["collection"], row["decoding"]) for row in found} == {("set", "greedy")}
    for item in ("p", "q"):
        expected = sums("own", item)
        rows = {row["level"]: row for row in found if row["item"] == item}
        assert rows.keys() == expected.keys()
        for level, (entropy, n) in expected.items():
            assert rows[level]["numerator"] == pytest.approx(entropy)
            assert rows[level]["denominator"] == n
    assert sums("own", "p").keys() == {0, 1, 2, 4, 8, 16, 32}


def test_entropy_is_in_bits_and_of_human_text_too(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    found = values(connection, "entropy")
    assert {row["condition"] for row in found} == {"-", "gold"}
    rows = {row["level"]: row for row in found if row["condition"] == "gold"}
    expected = sums("gold", "d")
    assert rows.keys() == expected.keys()
    for level, (entropy, n) in expected.items():
        value = rows[level]["numerator"] / float(rows[level]["denominator"])
        assert value == pytest.approx(entropy / n / math.log(2))
        assert rows[level]["decoding"] == "-"


def test_a_server_that_tells_no_entropy_has_no_branching_factor(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    for measure in ("branching_factor", "entropy"):
        assert "server" not in {row["collection"] for row in values(connection, measure)}
