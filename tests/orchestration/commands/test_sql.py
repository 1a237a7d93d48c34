"""`anchorlake sql`: what it may read and use, and how it ends."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from orchestration import cli
from tests.warehouse.conftest import PROVENANCE
from warehouse import Lake, session, write_table
from warehouse.sessions import create_view
from warehouse.statements import read_statement
from warehouse.tables import GENERATIONS, PROMPTS
from warehouse.vocabulary import load_words

if TYPE_CHECKING:
    from tests.stores import Proxy

pytestmark = pytest.mark.whole

ROOT = Path(__file__).parents[3]
LONG = "select count(*) from range(100_000_000) a, range(100_000_000) b where hash(a, b) = 1"
SPILLS = "select x from range(3_000_000_000) t (x) order by hash(x)"
NO_FULL_DEVICE = not Path("/dev/full").exists()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a lake that has one generation."""
    monkeypatch.chdir(tmp_path)
    path = Lake(tmp_path / "lake").path(GENERATIONS, "m")
    path.parent.mkdir(parents=True)
    row = {"prompt_id": "a", "sample": 0, "text": "one two \x1b[31mred\u202e"}
    pq.write_table(pa.Table.from_pylist([row], GENERATIONS.arrow_schema), path)
    (tmp_path / "prices.csv").write_text("prompt_id;price\na;7\n")
    return tmp_path


def sql(*arguments: str, status: int = 0) -> str:
    """What the command prints, or its error in one line."""
    result = CliRunner().invoke(cli.app, ["sql", *arguments])
    assert result.exit_code == status, (result.output, result.exception)
    return " ".join((result.stderr if status else result.stdout).split())


def begin(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    """The command in a process of its own."""
    code = "from orchestration.main import main; main()"
    modules = f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"
    environment = os.environ | {"PYTHONPATH": modules, "COLUMNS": "200"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    command = [sys.executable, "-c", code, "sql", *arguments]
    return subprocess.Popen(command, env=environment, start_new_session=True, **pipes)


def test_a_file_is_read_where_the_command_names_it() -> None:
    query = "select g.text[:3] as t, price from generations g join 'prices.csv' using (prompt_id)"
    assert "a file that a query reads beside them must be named" in sql(query, status=2)
    read = ("--read", "prices.csv", "--format", "csv")
    assert sql(*read, query) == "t,price one,7"
    query = "select sum(price) as p from read_csv('prices.csv', delim = ';')"
    assert sql(*read, query) == "p 7"
    # What names the same file otherwise is another path.
    assert "./prices.csv is none" in sql(*read, "from './prices.csv'", status=2)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("none.csv", "--read none.csv: there is no such file"),
        ("lake", "--read lake: a file's name must end in .csv"),
        ("/etc/passwd", "--read /etc/passwd: a file's name must end in .csv"),
        ("*.csv", "the path cannot hold any of * ? ["),
    ],
)
def test_what_cannot_be_read_is_told(path: str, sentence: str) -> None:
    assert sentence in sql("--read", path, "select 1", status=2)


@pytest.mark.parametrize(
    ("size", "sentence"),
    [
        ("much", "--memory much is no size; write it like 500MB or 8GB"),
        ("1MB", "--memory 1MB: give at least 64MiB"),
        ("9EB", "at most 1PiB"),
    ],
)
def test_a_wrong_size_is_told(size: str, sentence: str) -> None:
    assert sentence in sql("--memory", size, "select 1", status=2)


def test_a_query_that_needs_more_memory_than_it_may_use_is_one_sentence() -> None:
    query = "select list(range) from range(1_000_000_000)"
    sentence = sql("--memory", "100MB", query, status=2)
    assert sentence.startswith("the query needs more than 0.1 GB of memory")
    assert sentence.endswith("give it more with --memory")


def test_a_query_that_takes_longer_than_it_may_is_one_sentence(folder: Path) -> None:
    began = time.monotonic()
    sentence = sql("--timeout", "0.5", LONG, status=2)
    assert sentence == (
        "the query took longer than 0.5 seconds; ask for less, or give it longer with --timeout"
    )
    assert time.monotonic() - began < 30
    assert not list(folder.glob("lake/.staging/scratch/*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_a_query_at_once_and_leaves_nothing(folder: Path, number: int) -> None:
    spilled = folder / "lake" / ".staging" / "scratch"
    (folder / "out.csv").write_text("old")
    process = begin("--memory", "64MiB", "-o", "out.csv", SPILLS)
    began = time.monotonic()
    while not list(spilled.glob("*/spill/*")):
        assert process.poll() is None
        assert time.monotonic() - began < 60
        time.sleep(0.02)
    began = time.monotonic()
    process.send_signal(number)
    output, errors = process.communicate(timeout=60)
    assert time.monotonic() - began < 10
    assert process.returncode == 128 + number
    assert (output, errors) == (b"", b"")
    assert os.listdir(spilled) == []
    assert sorted(os.listdir(folder)) == ["lake", "out.csv", "prices.csv"]
    assert (folder / "out.csv").read_text() == "old"


def test_an_output_that_nobody_reads_any_more_is_one_sentence() -> None:
    process = begin("--format", "csv", "select range from range(10_000_000)")
    assert process.stdout is not None
    assert process.stdout.readline() == b"range\r\n"
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b"standard output cannot be written: nobody reads it any more\n"
    assert process.wait(60) == 2


@pytest.mark.skipif(NO_FULL_DEVICE, reason="there is no full device here")
def test_an_output_that_is_full_is_one_sentence() -> None:
    with open("/dev/full", "wb") as full:
        process = begin("select 1", stdout=full)
        errors = process.communicate(timeout=60)[1]
    assert errors == b"standard output cannot be written: No space left on device\n"
    assert process.returncode == 2
    arguments = ("-o", "/dev/full", "--format", "csv", "select 1")
    assert sql(*arguments, status=2) == "/dev/full cannot be written: No space left on device"


def test_standard_output_can_be_named() -> None:
    process = begin("-o", "/dev/stdout", "--format", "csv", "select 1 as a")
    assert process.communicate(timeout=60) == (b"a\r\n1\r\n", b"")


@pytest.mark.core
def test_nothing_is_written_into_the_lake(folder: Path) -> None:
    path = "lake/generations/checkpoint=m/data.parquet"
    before = (folder / path).read_bytes()
    assert "is in the lake" in sql("-o", path, "select 1", status=2)
    assert (folder / path).read_bytes() == before


def test_texts_cannot_command_a_terminal() -> None:
    terminal, its_end = pty.openpty()
    process = begin("--format", "csv", "select text from generations", stdout=its_end)
    os.close(its_end)
    shown = b""
    try:
        while piece := os.read(terminal, 1 << 16):
            shown += piece
    except OSError:  # so Linux says that the other end is closed
        pass
    os.close(terminal)
    assert process.wait(60) == 0
    text = shown.decode()
    assert not set(text) & set("\x1b\u202e")
    assert re.search(r"one two \S+\[31mred\\u202e", text)


def queries_of_the_documentation() -> list[str]:
    """What README and the pages ask of a lake on the command line."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
    asked = re.compile(r'anchorlake sql (?:--?[a-z]+ \S+ )*"([^"]+)"')
    return [query for page in pages for query in asked.findall(page.read_text(encoding="utf-8"))]


def test_the_documentation_asks_what_may_be_asked() -> None:
    from assets.measures.declared import declared_tables

    queries = queries_of_the_documentation()
    assert len(queries) >= 4
    tables = {table.name: table for table in declared_tables()}
    with session() as connection:
        for table in tables.values():
            create_view(connection, table, [])
        load_words(connection)
        for query in queries:
            statement = read_statement(connection, query, ["prices.csv"])
            assert statement.tables & set(tables)
            if "prices.csv" not in query:
                connection.sql(statement.text).fetchall()


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "there is no lake s3://lakes/nothing; name it with --lake, or make it with a run"),
        ({"AWS_SECRET_ACCESS_KEY": "a-wrong-one"}, "lets nobody in with the credentials"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "gave no answer"),
        ({"AWS_ENDPOINT_URL": "its-host:80"}, "$AWS_ENDPOINT_URL is no URL"),
    ],
)
def test_a_bucket_that_cannot_be_asked_is_told_in_a_sentence(
    way: Proxy,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, str],
    sentence: str,
) -> None:
    for name, value in {"ANCHORLAKE_CACHE": str(folder / "caches"), **changes}.items():
        monkeypatch.setenv(name, value)
    process = begin("select 1", "--lake", "s3://lakes/nothing")
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 2
    assert sentence in stderr.decode()
    assert stderr.count(b"\n") == 1
    assert not any(secret in stderr for secret in (b"a-wrong-one", b"its-secret", b"its-key"))


@pytest.mark.cluster
def test_a_bucket_is_asked(way: Proxy, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANCHORLAKE_CACHE", str(folder / "caches"))
    url = f"s3://lakes/{folder.name}"
    row = {"prompt_set": "p", "prompt_id": "a", "category": "c", "text": "Hi?"}
    rows = pa.Table.from_pylist([row], PROMPTS.arrow_schema).to_batches()
    write_table(Lake(folder / "another machine", Lake.at(url).place), PROMPTS, rows, PROVENANCE)
    process = begin("select text from prompts", "--lake", url, "-o", "out.csv")
    assert process.wait(120) == 0
    assert (folder / "out.csv").read_text() == "text\nHi?\n"
