from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from warehouse import session
from warehouse.sessions import create_view
from warehouse.tables import ALIGNMENTS, GENERATIONS, PROMPTS
from warehouse.vocabulary import load_words, vocabulary_of, words

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with session() as connection:
        yield connection


def made(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """The words that a session has."""
    rows = connection.execute(
        "select distinct function_name from duckdb_functions() "
        "where function_name in (select unnest($words))",
        {"words": list(words())},
    ).fetchall()
    return {name for (name,) in rows}


def test_a_query_has_the_words_that_it_names_and_those_that_they_are_made_of(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    load_words(connection, "select WORDS(text) from texts")
    assert made(connection) == {"words", "whitespace"}
    load_words(connection, "select bits(1)", "select compressed_bytes('')")
    assert made(connection) == {"words", "whitespace", "bits", "compressed_bytes"}


def test_words_over_views_are_made_where_these_are(connection: duckdb.DuckDBPyConnection) -> None:
    query = "from recurring_ngrams([2], true), aligned_prompts()"
    load_words(connection, query)
    assert made(connection) == {"words", "whitespace"}  # which they are made of
    create_view(connection, GENERATIONS, [])
    load_words(connection, query)
    assert {"recurring_ngrams", "ngram_windows", "counted_generations"} < made(connection)
    assert "aligned_prompts" not in made(connection)
    create_view(connection, ALIGNMENTS, [])
    load_words(connection, query)
    assert "aligned_prompts" in made(connection)
    assert "bits" not in made(connection)


def test_without_a_query_all_are_made(connection: duckdb.DuckDBPyConnection) -> None:
    over_nothing = {name for name, tables in words().items() if not tables}
    load_words(connection)
    assert made(connection) == over_nothing
    for table in (PROMPTS, GENERATIONS, ALIGNMENTS):
        create_view(connection, table, [])
    load_words(connection)
    assert made(connection) == set(words()) - {"share_of_draws"}  # which scores need


def test_each_macro_is_a_word() -> None:
    everything = "\n".join(vocabulary_of(["prompts", "generations", "alignments", "scores"]))
    assert everything.count("create or replace macro ") == len(words()) - 1  # one is no macro
