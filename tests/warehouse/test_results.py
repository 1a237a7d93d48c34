"""Results, and the files that they go into."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow.parquet as pq
import pytest

from warehouse import Lake, QueryError, ResultError, ask, write_result
from warehouse.outputs import replacing
from warehouse.printable import printable
from warehouse.results import format_of

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMANDS = (
    *(chr(code) for code in (*range(0x20), 0x7F, *range(0x80, 0xA0))),
    *"\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
)
TEXT = f"red \x1b[31m \x9b31m \x7f \r {''.join(COMMANDS[1:])} end"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    (tmp_path / "lake" / "prompts").mkdir(parents=True)
    (tmp_path / "lake" / "prompts" / "data.parquet").write_text("the lake's own")
    return Lake(tmp_path / "lake")


@pytest.fixture
def result() -> Iterator[duckdb.DuckDBPyRelation]:
    with duckdb.connect() as connection:
        query = 'select $text as "\x1b[1mname", [$text] as texts, 1 as n'
        yield connection.sql(query, params={"text": TEXT})


def written(result: duckdb.DuckDBPyRelation, form: str, *, terminal: bool) -> str:
    file = io.BytesIO()
    write_result(result, form, file, terminal=terminal)
    return file.getvalue().decode()


def commands_in(text: str) -> set[str]:
    return set(text) & set(COMMANDS)


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_a_text_cannot_command_a_terminal(result: duckdb.DuckDBPyRelation, form: str) -> None:
    shown = written(result, form, terminal=True)
    assert commands_in(shown) <= {"\n", "\r"}
    assert shown.count("\r") == shown.count("\r\n")  # ends of lines, as CSV has them
    assert "red" in shown
    assert "\\u009b" in shown


def test_a_table_is_escaped_wherever_it_goes(result: duckdb.DuckDBPyRelation) -> None:
    assert commands_in(written(result, "table", terminal=False)) == {"\n"}


def test_data_in_a_file_stays_as_it_is(result: duckdb.DuckDBPyRelation, tmp_path: Path) -> None:
    rows = list(csv.reader(io.StringIO(written(result, "csv", terminal=False), newline="")))
    assert rows == [["\x1b[1mname", "texts", "n"], [TEXT, json.dumps([TEXT]), "1"]]
    expected = [{"\x1b[1mname": TEXT, "texts": [TEXT], "n": 1}]
    assert json.loads(written(result, "json", terminal=False)) == expected
    assert json.loads(written(result, "json", terminal=True)) == expected
    write_result(result, "parquet", tmp_path / "out.parquet")
    assert pq.read_table(tmp_path / "out.parquet").to_pylist() == expected


def test_what_people_write_is_not_escaped() -> None:
    text = "naïve café, 日本語, עברית, 👩‍👩‍👧, a\u200cb, a\u00a0b"  # joiners and such are theirs
    assert printable(text, one_line=True) == text


def test_a_plan_is_shown_as_it_is_drawn() -> None:
    with duckdb.connect() as connection:
        lines = written(connection.sql("explain select 1"), "table", terminal=True).splitlines()
    assert len(lines) > 3
    assert not any("\\n" in line for line in lines)


def test_an_error_while_rows_are_read_is_one_of_the_query(lake: Lake) -> None:
    query = "select if(range = 150_000, error('no'), range) from range(200_000)"
    with pytest.raises(QueryError, match="no"), ask(lake, [], query) as result:
        write_result(result, "csv", io.BytesIO())


def test_a_file_is_replaced_whole_or_not_at_all(lake: Lake, tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    target.write_text("old")

    def begin() -> None:
        with replacing(target, lake) as path:
            path.write_text("ha")
            assert target.read_text() == "old"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        begin()
    assert target.read_text() == "old"
    with replacing(target, lake) as path:
        path.write_text("new")
    assert target.read_text() == "new"
    assert sorted(os.listdir(tmp_path)) == ["lake", "out.csv"]


def test_two_that_write_a_file_at_once_do_not_mix(lake: Lake, tmp_path: Path) -> None:
    target = tmp_path / "out.csv"

    def write(letter: str) -> None:
        with replacing(target, lake) as path, path.open("w") as file:
            for _ in range(1000):
                file.write(letter * 100)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, "abcdefgh"))
    assert target.read_text() in {letter * 100_000 for letter in "abcdefgh"}
    assert sorted(os.listdir(tmp_path)) == ["lake", "out.csv"]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_a_file_that_is_replaced_keeps_its_permissions(
    lake: Lake, tmp_path: Path, mode: int
) -> None:
    target = tmp_path / "out.csv"
    target.touch()
    target.chmod(mode)
    with replacing(target, lake) as path:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(target.stat().st_mode) == mode


def test_a_new_file_has_the_permissions_that_others_get(lake: Lake, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with replacing(tmp_path / "out.csv", lake):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out.csv").stat().st_mode) == 0o640


@pytest.mark.parametrize(
    "path",
    [
        "lake/prompts/data.parquet",
        "lake/new.csv",
        "lake/new/../.staging.csv",
        "other/../lake/new.csv",
        "link/new.csv",
        "link-to-file.parquet",
        "link-to-nothing.csv",
    ],
)
def test_nothing_is_written_into_the_lake(
    lake: Lake, tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("other").mkdir()
    Path("link").symlink_to("lake")
    Path("link-to-file.parquet").symlink_to("lake/prompts/data.parquet")
    Path("link-to-nothing.csv").symlink_to("lake/new.csv")
    for root in (lake.root, Path("lake"), Path("link")):
        with (
            pytest.raises(ResultError, match="is in the lake"),
            replacing(Path(path), Lake(root)),
        ):
            pytest.fail("it is given a file")
    assert lake.root.joinpath("prompts", "data.parquet").read_text() == "the lake's own"
    assert sorted(os.listdir(lake.root)) == ["prompts"]


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        (".", "is a folder; name a file"),
        ("lake", "is a folder; name a file"),
        ("none/out.csv", "none/out.csv cannot be written: No such file or directory"),
        ("file/out.csv", "cannot be written: Not a directory"),
        ("x" * 300, "cannot be written: File name too long"),
        ("loop", "cannot be written"),
    ],
)
def test_what_cannot_be_written_is_told_before(
    lake: Lake, tmp_path: Path, path: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    Path("file").touch()
    with pytest.raises(ResultError) as caught, replacing(Path(path), lake):
        pytest.fail("it is given a file")
    assert sentence in str(caught.value)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device here")
def test_a_device_is_written_to(lake: Lake, result: duckdb.DuckDBPyRelation) -> None:
    with replacing(Path("/dev/null"), lake) as path:
        assert path == Path("/dev/null")
    with (
        pytest.raises(ResultError, match="the disk cannot be written: No space left on device"),
        replacing(Path("/dev/full"), lake) as path,
    ):
        write_result(result, "csv", path, called="the disk")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_the_format_is_that_of_the_ending() -> None:
    assert format_of(None, None) == "table"
    assert format_of(None, Path("a.json")) == "json"
    assert format_of("csv", Path("a.json")) == "csv"
    with pytest.raises(ResultError, match=r"a\.xyz does not tell its format"):
        format_of(None, Path("a.xyz"))
    with pytest.raises(ResultError, match="name it with -o"):
        format_of("parquet", None)
