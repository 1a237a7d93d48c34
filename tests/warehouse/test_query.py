from __future__ import annotations

import shutil
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse import Lake, Limits, QueryError, ask, catalog, session
from warehouse.catalog import mend_catalog, write_catalog
from warehouse.sessions import create_view
from warehouse.tables import BASE_TABLES, GENERATIONS, MEASURE_TABLES, PROMPTS
from warehouse.vocabulary import load_words

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from warehouse.schema import Table

WHITESPACE = [chr(i) for i in range(0x110000) if chr(i).isspace()]


@pytest.mark.parametrize(
    "query",
    [
        "from generations",
        "explain analyze from generations",
        "describe generations",
        "summarize generations",
        "pivot generations on prompt_id in ('a') using count(*)",
        "from generation_units()",
    ],
)
def test_what_reads_is_answered(lake: Lake, put_generations: Callable, query: str) -> None:
    put_generations({"a": ["one two"]})
    with ask(lake, BASE_TABLES, query) as result:
        assert result.fetchall()


@pytest.mark.parametrize(
    "query",
    [
        "copy generations to 'stolen.csv'",
        "with x as (copy generations to 'stolen.csv') from x",
        "explain (analyze ')select 1 --') copy (select 1) to 'stolen.csv'",
        "from read_text('/etc/passwd')",
    ],
)
def test_what_does_more_is_refused(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(QueryError), ask(lake, BASE_TABLES, query) as result:
        result.fetchall()
    assert not list(tmp_path.rglob("stolen*"))


def test_a_query_opens_the_tables_that_it_names_and_no_others(
    lake: Lake, put_generations: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_generations({"a": ["one two"]})
    viewed = []

    def note(connection: duckdb.DuckDBPyConnection, table: Table, files: list[str]) -> bool:
        viewed.append(table.name)
        return create_view(connection, table, files)

    def viewed_for(text: str) -> list[str]:
        viewed.clear()
        with ask(lake, BASE_TABLES, text) as result:
            result.fetchall()
        return sorted(viewed)

    monkeypatch.setattr("warehouse.query.create_view", note)
    every = sorted(table.name for table in BASE_TABLES)
    assert viewed_for("select 1") == []
    assert viewed_for("from Generations") == ["generations"]
    assert viewed_for("with x as (from generations) from x") == ["generations"]
    assert viewed_for("from prompts join generation_units() using (prompt_id)") == [
        "generations",
        "prompts",
    ]
    assert viewed_for("show tables") == every
    with pytest.raises(QueryError, match="Did you mean"):
        viewed_for("from generation")
    assert sorted(viewed) == every


def test_a_file_is_read_where_it_is_named(lake: Lake, tmp_path: Path) -> None:
    for name in ("named.csv", "other.csv"):
        (tmp_path / name).write_text("a\n7\n")
    named, other = (str(tmp_path / name) for name in ("named.csv", "other.csv"))
    with ask(lake, [], f"from '{named}'", files=[named]) as result:
        assert result.fetchall() == [(7,)]
    for query in (f"from '{other}'", f"from read_csv(['{named}', '{other}'])"):
        with pytest.raises(QueryError, match=r"other\.csv"), ask(lake, [], query, files=[named]):
            pass


def test_what_needs_more_than_the_limits_is_one_sentence(lake: Lake) -> None:
    limits = Limits(memory=100 << 20, disk=1 << 20)
    for query in (
        "select list(range) from range(100_000_000)",
        "from range(100_000_000) order by hash(range)",
    ):
        with (
            pytest.raises(QueryError, match=r"^the query needs more than 0\.105 GB of memory"),
            ask(lake, [], query, limits) as result,
        ):
            result.fetchall()


@pytest.mark.parametrize(
    "query", ["", "selec 1", "select * from nowhere", "select frm generations"]
)
def test_a_wrong_query_is_one_message(lake: Lake, query: str) -> None:
    with pytest.raises(QueryError) as caught, ask(lake, BASE_TABLES, query) as result:
        result.fetchall()
    assert str(caught.value)


def test_names_that_look_like_numbers_and_dates_stay_names(
    lake: Lake, put_generations: Callable
) -> None:
    for name in ("007", "2024-01-01", "1e3"):
        put_generations({"a": ["text"]}, checkpoint=name)
    with ask(lake, BASE_TABLES, "select checkpoint from generations order by 1") as result:
        assert result.fetchall() == [("007",), ("1e3",), ("2024-01-01",)]


def test_a_table_without_rows_is_an_empty_view(lake: Lake) -> None:
    with ask(lake, BASE_TABLES, "select count(*), count(token_ids) from generations") as result:
        assert result.fetchall() == [(0, 0)]


def test_columns_that_older_files_lack_are_null(
    lake: Lake, put_generations: Callable, tmp_path: Path
) -> None:
    put_generations({"a": ["old"]}, checkpoint="b")
    path = lake.path(GENERATIONS, "b")
    new = pq.ParquetFile(path).read().replace_schema_metadata()
    pq.write_table(new.drop_columns(["prompt_sent", "logprobs"]), path)
    query = "select checkpoint, prompt_sent, logprobs from generations order by 1"

    def asked() -> list[tuple]:
        write_catalog(lake, BASE_TABLES)
        with duckdb.connect(str(lake.catalog), read_only=True) as connection:
            in_catalog = connection.sql(query).fetchall()
        with ask(lake, BASE_TABLES, query) as result:
            assert result.fetchall() == in_catalog
        return in_catalog

    assert asked() == [("b", None, None)]
    sent = pa.array(["sent"], pa.string())
    place = new.column_names.index("prompt_sent")
    for checkpoint in ("a", "c"):
        put_generations({"a": ["new"]}, checkpoint=checkpoint)
        path = lake.path(GENERATIONS, checkpoint)
        pq.write_table(new.set_column(place, "prompt_sent", sent), path)
        found = {name: prompt for name, prompt, _ in asked()}
        assert found.pop("b") is None
        assert set(found.values()) == {"sent"}


def test_the_catalog_takes_in_partitions_that_come_later(
    lake: Lake, put_generations: Callable
) -> None:
    put_generations({"a": ["one two"]}, checkpoint="first")
    write_catalog(lake, BASE_TABLES)
    put_generations({"a": ["one"]}, checkpoint="second")
    with duckdb.connect(str(lake.catalog), read_only=True) as connection:
        query = "select checkpoint, words(text) from generations order by 1"
        assert connection.sql(query).fetchall() == [("first", ["one", "two"]), ("second", ["one"])]
        assert connection.sql("select count(*) from generation_units()").fetchall() == [(2,)]
        assert connection.sql("show tables").fetchall() == [("generations",)]


def test_the_catalog_is_written_again_only_where_it_would_differ(
    lake: Lake, put_generations: Callable, tmp_path: Path
) -> None:
    def written() -> int:
        return write_catalog(lake, BASE_TABLES).stat().st_mtime_ns

    def views() -> list[tuple[str]]:
        with duckdb.connect(str(lake.catalog), read_only=True) as connection:
            return connection.sql("show tables").fetchall()

    empty = written()
    put_generations({"a": ["one"]}, checkpoint="first")
    first = written()
    assert first != empty
    put_generations({"a": ["one"]}, checkpoint="second")
    assert written() == first
    lake.catalog.unlink()
    assert written() != first
    shutil.copyfile(lake.catalog, tmp_path / "other")
    (tmp_path / "other").replace(lake.catalog)  # as another process does
    other = lake.catalog.stat().st_mtime_ns
    assert written() != other
    file = lake.path(GENERATIONS, "first")
    whole = file.read_bytes()
    file.write_bytes(b"PAR1 cut")
    lake.catalog.unlink()
    damaged = written()
    assert views() == []
    file.write_bytes(whole)
    assert written() != damaged
    assert views() == [("generations",)]


def test_the_catalog_says_what_tables_and_columns_hold(
    lake: Lake, put_generations: Callable
) -> None:
    put_generations({"a": ["one"]}, checkpoint="first")
    write_catalog(lake, [replace(GENERATIONS, description="It's what checkpoints wrote.")])
    with duckdb.connect(str(lake.catalog), read_only=True) as connection:
        views = "select comment from duckdb_views() where not internal"
        (comment,) = connection.sql(views).fetchall()
        columns = "select column_name, comment from duckdb_columns() where not internal"
        comments = dict(connection.sql(columns).fetchall())
    assert comment == (
        "It's what checkpoints wrote. One row for each checkpoint, decoding, prompt_set, "
        "prompt_id, sample.",
    )
    assert comments["n_tokens"] == "how many; null where not known [tokens]"
    assert comments["checkpoint"] == "name of the checkpoint"


def test_the_catalog_of_a_moved_lake_reads_the_place_where_it_was(
    lake: Lake, put_generations: Callable, tmp_path: Path
) -> None:
    put_generations({"a": ["one"]}, checkpoint="first")
    write_catalog(lake, BASE_TABLES)
    moved = Lake(tmp_path / "it's elsewhere")
    shutil.copytree(lake.root, moved.root)
    put_generations({"a": ["one"]}, checkpoint="second")  # where it was

    def seen(catalog: Path) -> list[tuple]:
        with duckdb.connect(str(catalog), read_only=True) as connection:
            comments = "select count(comment) > 10 from duckdb_columns() where not internal"
            assert connection.sql(comments).fetchall() == [(True,)]
            return connection.sql("select checkpoint from generations order by 1").fetchall()

    assert seen(moved.catalog) == [("first",), ("second",)]
    mend_catalog(moved)
    assert seen(moved.catalog) == [("first",)]
    written = moved.catalog.stat().st_mtime_ns
    mend_catalog(moved)
    assert moved.catalog.stat().st_mtime_ns == written
    mend_catalog(Lake(tmp_path / "nowhere"))
    assert not (tmp_path / "nowhere").exists()


def test_of_two_catalogs_that_are_written_at_once_neither_loses_a_view(
    lake: Lake, put_generations: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_generations({"a": ["one"]}, checkpoint="first")
    lake.path(GENERATIONS, "first").parent.parent.rename(lake.root / "aside")
    prompts = lake.path(PROMPTS)
    prompts.parent.mkdir(parents=True)
    pq.write_table(PROMPTS.arrow_schema.empty_table(), prompts)
    add, begun, other_has_begun = catalog._add, threading.Event(), threading.Event()

    def slowly(*arguments: Any) -> Any:
        begun.set()
        other_has_begun.wait(60)
        time.sleep(0.2)
        return add(*arguments)

    monkeypatch.setattr(catalog, "_add", slowly)
    slow = threading.Thread(target=write_catalog, args=[lake, BASE_TABLES])
    slow.start()
    assert begun.wait(60)
    monkeypatch.setattr(catalog, "_add", add)
    (lake.root / "aside").rename(lake.root / "generations")
    fast = threading.Thread(target=write_catalog, args=[lake, BASE_TABLES])
    fast.start()
    other_has_begun.set()
    for thread in (slow, fast):
        thread.join(60)
    with duckdb.connect(str(lake.catalog), read_only=True) as connection:
        views = connection.sql("show tables").fetchall()
    assert views == [("generations",), ("prompts",)]


@given(st.text(alphabet=st.one_of(st.sampled_from(WHITESPACE), st.characters(codec="utf-8"))))
@settings(deadline=None)  # a machine may be busy
def test_words_are_those_of_str_split(text: str) -> None:
    assert _words(text) == text.split()


def test_every_whitespace_character_separates_words() -> None:
    assert _words("x".join(WHITESPACE)) == "x".join(WHITESPACE).split()
    # Neither of these is whitespace to str.split(): the zero-width space and the word joiner.
    assert _words("a\u200bb\u2060c") == ["a\u200bb\u2060c"]


@pytest.fixture(scope="module", autouse=True)
def _connection(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    global _session
    with session(Lake(tmp_path_factory.mktemp("lake"))) as _session:
        load_words(_session)
        yield


def _words(text: str) -> list[str]:
    return _session.execute("select words($text)", {"text": text}).fetchone()[0]


def test_tables_that_nothing_declares_are_views_of_their_files(
    lake: Lake, put_generations: Callable
) -> None:
    put_generations({"a": ["one two"]})
    lines = pa.table({"item": ["a", "b"], "n_lines": pa.array([1, 2], pa.int32())})
    for path in ("lines/checkpoint=7/data.parquet", "all_lines/data.parquet"):
        (lake.root / path).parent.mkdir(parents=True)
        pq.write_table(lines, lake.root / path)
    older = lake.root / "lines" / "checkpoint=6" / "data.parquet"  # without a column
    older.parent.mkdir()
    pq.write_table(lines.select(["item"]), older)
    with ask(lake, BASE_TABLES, "from lines order by all") as result:
        assert result.columns == ["item", "n_lines", "checkpoint"]
        rows = [("a", 1, "7"), ("a", None, "6"), ("b", 2, "7"), ("b", None, "6")]
        assert result.fetchall() == rows
    joined = "select sum(n_lines) from all_lines join generations on item = prompt_id"
    with ask(lake, BASE_TABLES, joined) as result:
        assert result.fetchall() == [(1,)]
    assert set(lake.undeclared(BASE_TABLES)) == {"lines", "all_lines"}
    assert "generations" in lake.undeclared([])


@pytest.mark.parametrize(
    "folder", ["Lines", "my lines", "2lines", "figures", ".staging", "measures/measure=lines"]
)
def test_folders_that_are_no_tables_are_no_views(lake: Lake, folder: str) -> None:
    for partition in (".", "checkpoint=m"):
        path = lake.root / folder / partition / "data.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"a": [1]}), path)
    (lake.root / "empty").mkdir()
    (lake.root / "file").write_text("")
    assert lake.undeclared([*BASE_TABLES, *MEASURE_TABLES]) == {}


def test_a_damaged_file_of_such_a_table_troubles_only_those_who_ask_for_it(lake: Lake) -> None:
    path = lake.root / "lines" / "data.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"PAR1 cut")
    with ask(lake, BASE_TABLES, "select 1") as result:
        assert result.fetchall() == [(1,)]
    with pytest.raises(QueryError, match=r"lines/data\.parquet"), ask(lake, [], "from lines"):
        pass


def test_a_lake_that_is_not_there_has_no_such_tables(lake: Lake) -> None:
    assert lake.undeclared([]) == {}


def test_bit_rot_is_refused_and_named_to_those_who_ask_for_the_table(
    lake: Lake, put_generations: Callable
) -> None:
    put_generations({"a": ["one"]})
    path = lake.path(GENERATIONS, "model")
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 2
    path.write_bytes(content)
    with (
        pytest.raises(QueryError, match=f"{path} does not hold what was written to it; `anchorl"),
        ask(lake, BASE_TABLES, "from generations"),
    ):
        pass
    with ask(lake, BASE_TABLES, "select count(*) from prompts") as result:
        assert result.fetchall() == [(0,)]
