"""What a query may be. `hostile.py` holds what is refused, and `friendly.py` what works."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import duckdb
import pandas as pd
import pytest

from tests.warehouse.friendly import FRIENDLY
from tests.warehouse.hostile import HOSTILE
from tests.warehouse.watched import digest, placed, write_watched
from warehouse import Lake, QueryError, session
from warehouse.sessions import bind, confine
from warehouse.statements import _FUNCTIONS, read_statement
from warehouse.tables import BASE_TABLES
from warehouse.vocabulary import load_words

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REFUSED_FUNCTIONS = {
    *("combine", "combine_aggr", "finalize", "to_aggregate_state"),
    *("current_connection_id", "current_query", "current_query_id", "current_transaction_id"),
    *("current_schemas", "current_setting", "getvariable", "in_search_path", "txid_current"),
    *("currval", "nextval", "setval", "setseed"),
    *("json_serialize_plan", "pg_sleep", "sleep_ms", "stats", "vector_type", "write_log"),
}
"""DuckDB's functions of values that no query may call, beside its internal ones."""


class Watched(NamedTuple):
    """A folder that is watched, and a session of the lake in it that is locked."""

    folder: Path
    connection: duckdb.DuckDBPyConnection
    readable: str

    def digest(self) -> dict[str, str]:
        """What there is in the folder."""
        return digest(self.folder)

    def answer(self, query: str) -> list[tuple[object, ...]]:
        """The rows of a query that may read one further file."""
        statement = read_statement(self.connection, self.placed(query), [self.readable])
        return self.connection.sql(statement.text).fetchall()

    def placed(self, statement: str) -> str:
        """A statement with this folder's paths."""
        return placed(statement, self.folder)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("watched")
    lake, readable = write_watched(folder)
    with session(lake) as connection:
        confine(connection, [*bind(connection, lake, BASE_TABLES), readable])
        load_words(connection)
        yield Watched(folder, connection, readable)


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_more_than_reading_the_lake_is_refused(
    watched: Watched, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(watched.folder / "out")
    a_data_frame = pd.DataFrame({"a": [1]})
    before = watched.digest()
    with pytest.raises((QueryError, duckdb.Error)):
        watched.answer(HOSTILE[name])
    assert watched.digest() == before
    assert len(a_data_frame) == 1


@pytest.mark.parametrize("query", FRIENDLY)
def test_what_only_reads_the_lake_is_answered(watched: Watched, query: str) -> None:
    assert watched.answer(query)


def test_a_locked_session_writes_nowhere_even_if_a_statement_gets_through(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(watched.folder / "out")
    before = watched.digest()
    lake = Lake(watched.folder / "lake")
    with session(lake) as connection:
        confine(connection, bind(connection, lake, BASE_TABLES))
        load_words(connection)
        writing = [statement for statement in HOSTILE.values() if "OUT/" in statement]
        assert len(writing) > 30
        for statement in writing:
            with suppress(duckdb.Error):  # what only explains, say, is no error
                connection.execute(watched.placed(statement)).fetchall()
    assert watched.digest() == before


def test_a_locked_session_keeps_its_settings(watched: Watched) -> None:
    for setting in ("enable_external_access = true", "lock_configuration = false", "threads = 1"):
        with pytest.raises(duckdb.InvalidInputException, match="locked"):
            watched.connection.execute(f"set {setting}")


def test_functions_that_do_more_than_compute_are_these(watched: Watched) -> None:
    may_be_called = dict(watched.connection.execute(_FUNCTIONS).fetchall())
    of_values = watched.connection.execute(
        "select distinct function_name from duckdb_functions() "
        "where function_type in ('scalar', 'aggregate', 'window', 'macro') "
        "and not starts_with(function_name, '__') and database_name = 'system'"
    ).fetchall()
    # A version of DuckDB that has further ones is looked at before it is used.
    assert {name for (name,) in of_values if not may_be_called[name]} == REFUSED_FUNCTIONS


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("explain select 1", "explain select 1"),
        ("Explain Analyze from generations", "explain (Analyze) from generations"),
        ("explain (format json, analyze) (select 1)", "explain (format json, analyze) (select 1)"),
        ("/* first */ explain /* then */ select 1", "explain select 1"),
    ],
)
def test_what_is_explained_is_what_was_looked_at(watched: Watched, query: str, text: str) -> None:
    assert read_statement(watched.connection, query).text == text


@pytest.mark.parametrize(
    ("query", "tables", "defined"),
    [
        ("select 1", set(), set()),
        ("from Generations g join prompts using (prompt_id)", {"generations", "prompts"}, set()),
        ("with X as (from prompts) from x", {"prompts", "x"}, {"x"}),
        ("from (describe summary)", {"summary"}, set()),
        ("explain select (select max(n) from ngram_sharing)", {"ngram_sharing"}, set()),
        ("from kept_columns()", {"generations", "alignments"}, set()),
        ("select units_of(null, words('a'))", {"generations"}, set()),
    ],
)
def test_a_query_tells_what_it_reads(
    watched: Watched, query: str, tables: set[str], defined: set[str]
) -> None:
    statement = read_statement(watched.connection, query)
    assert (statement.tables, statement.defined) == (tables, defined)
    assert not statement.about_all


@pytest.mark.parametrize(
    "query",
    [
        "show tables",
        "describe",
        "from duckdb_views()",
        "from duckdb_tables",
        "select count(*) from information_schema.columns",
    ],
)
def test_a_query_tells_that_it_asks_what_there_is(watched: Watched, query: str) -> None:
    assert read_statement(watched.connection, query).about_all


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("with x as (delete from generations returning *) from x", "this is DELETE"),
        ("select current_setting('threads')", "current_setting() is not allowed here"),
        ("select medain(sample) from generations", "did you mean median()?"),
        ("from unest([1])", "did you mean unnest()?"),
        ("from 'other.csv'", "other.csv is none of the lake's tables"),
        ("from read_csv('other.csv')", "must be named with `--read FILE`"),
        ("from read_csv('other' || '.csv')", "takes the path of a file"),
        ("pivot generations on prompt_id using count(*)", "PIVOT needs its values named"),
        ("explain (settings) select 1", "explain type: settings"),
        ("select " + "(" * 5_000 + "1" + ")" * 5_000, "depth"),
    ],
)
def test_a_refusal_says_why(watched: Watched, query: str, sentence: str) -> None:
    with pytest.raises((QueryError, duckdb.Error)) as caught:
        read_statement(watched.connection, query)
    assert sentence in str(caught.value)
