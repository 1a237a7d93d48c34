"""Perplexities where numbers are large."""

from __future__ import annotations

import math

import duckdb
import pytest

from assets.measures.declared import SQL_FOLDER


def test_what_is_beyond_a_double_is_null_and_nothing_else() -> None:
    query = (SQL_FOLDER / "perplexity.sql").read_text(encoding="utf-8")
    with duckdb.connect() as connection:
        connection.execute(
            "create table text_statistics as select 'm' as checkpoint, 'gold' as condition, "
            "'-' as decoding, 'one long word' as corpus, 400 as n_tokens, 400 as n_bytes, "
            "1 as n_words, 2000.0::double as nll"
        )
        (row,) = connection.sql(query).to_arrow_table().to_pylist()
    assert row["word_perplexity"] is None  # exp(2000)
    assert row["byte_perplexity"] == pytest.approx(math.exp(5))
    assert row["bits_per_byte"] == pytest.approx(5 / math.log(2))
