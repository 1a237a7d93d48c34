"""Rows of another version, or damaged ones: they are dropped, and made again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets.lineage.staging import published_rows, stage, staged_files, staged_rows, staging
from assets.registry import build_graph
from warehouse import Column, Table

if TYPE_CHECKING:
    from pathlib import Path

    from assets.lineage.context import AssetContext
    from tests.studies import Bench

TABLE = Table(
    "made_up",
    "What nobody needs.",
    ("prompt_id",),
    (Column("prompt_id", "VARCHAR"), Column("n", "INTEGER"), Column("later", "DOUBLE")),
)
ROWS = pa.table({"prompt_id": ["p", "q"], "n": [1, 2], "later": [0.5, None]}, TABLE.arrow_schema)
TEXTS = ROWS.set_column(1, "n", pa.array(["one", "two"]))
LARGER = ROWS.set_column(1, "n", pa.array([1, 2], pa.int64()))
TOO_LARGE = ROWS.set_column(1, "n", pa.array([1 << 40, 2]))
LISTS = ROWS.set_column(0, "prompt_id", pa.array([[1], [2]]))
NO_GRAIN = ROWS.drop_columns("prompt_id")
OLDER = ROWS.drop_columns("later")
MORE = ROWS.append_column("gone", pa.array([1, 2]))


@pytest.fixture
def context(bench: Bench) -> AssetContext:
    return build_graph(bench.study(), bench.lake).context("checkpoints", "llama")


def put(path: Path, rows: pa.Table, versions: bytes = json.dumps({"p": "1"}).encode()) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows.replace_schema_metadata({b"anchorlake.made_from": versions}), path)
    return path


def test_what_was_staged_is_gone_on_from(context: AssetContext) -> None:
    stage(context, TABLE, ROWS)
    assert [rows for rows, _ in staged_rows(context, TABLE)] == [ROWS]


def test_what_was_staged_is_in_the_order_in_which_it_was(context: AssetContext) -> None:
    put(staging(context, TABLE) / "000012.of_an_older_version.parquet", ROWS)
    pieces = [ROWS.set_column(1, "n", pa.array([i, i], pa.int32())) for i in range(12)]
    for piece in pieces:
        stage(context, TABLE, piece)
    assert [rows for rows, _ in staged_rows(context, TABLE)] == [ROWS, *pieces]


@pytest.mark.parametrize(
    "rows",
    [NO_GRAIN, OLDER, TEXTS, LARGER, TOO_LARGE, LISTS],
    ids=["no grain", "older", "texts", "larger", "too large", "lists"],
)
def test_staged_rows_of_another_version_are_dropped(rows: pa.Table, context: AssetContext) -> None:
    other = put(staging(context, TABLE) / "000000.other.parquet", rows)
    stage(context, TABLE, ROWS)
    assert [rows for rows, _ in staged_rows(context, TABLE)] == [ROWS]
    assert not other.exists()
    assert len(staged_files(context, TABLE)) == 1


def test_of_staged_rows_columns_that_are_gone_are_left_out(context: AssetContext) -> None:
    put(staging(context, TABLE) / "000000.other.parquet", MORE)
    assert [rows.to_pylist() for rows, _ in staged_rows(context, TABLE)] == [ROWS.to_pylist()]


@pytest.mark.parametrize("content", [b"", b"junk", b"PAR1" + b"\0" * 99 + b"PAR1"])
def test_a_damaged_staged_file_is_dropped(content: bytes, context: AssetContext) -> None:
    folder = staging(context, TABLE)
    folder.mkdir(parents=True)
    (folder / "000000.x.parquet").write_bytes(content)
    (folder / "000001.folder.parquet").mkdir()
    assert list(staged_rows(context, TABLE)) == []
    assert not (folder / "000000.x.parquet").exists()


@pytest.mark.parametrize("versions", [b"{", b"[1]", b"\xff"])
def test_rows_that_do_not_say_what_made_them_are_made_again(
    versions: bytes, context: AssetContext
) -> None:
    put(staging(context, TABLE) / "000000.x.parquet", ROWS, versions)
    assert list(staged_rows(context, TABLE)) == []


@pytest.mark.parametrize("rows", [ROWS, LARGER, MORE], ids=["the same", "larger", "more"])
def test_published_rows_are_cast_to_what_the_table_is_now(
    rows: pa.Table, context: AssetContext
) -> None:
    put(context.lake.path(TABLE, "llama"), rows)
    assert [rows for rows, _ in published_rows(context, TABLE)] == [ROWS]


def test_published_rows_that_are_older_than_a_column_have_nulls_there(
    context: AssetContext,
) -> None:
    put(context.lake.path(TABLE, "llama"), OLDER)
    ((rows, versions),) = published_rows(context, TABLE)
    assert rows["later"].to_pylist() == [None, None]
    assert versions == {"p": "1"}


@pytest.mark.parametrize(
    "rows", [NO_GRAIN, TEXTS, TOO_LARGE, LISTS], ids=["no grain", "texts", "too large", "lists"]
)
def test_published_rows_that_no_longer_fit_are_made_again(
    rows: pa.Table, context: AssetContext
) -> None:
    path = put(context.lake.path(TABLE, "llama"), rows)
    assert list(published_rows(context, TABLE)) == []
    assert path.exists()


def test_a_column_of_the_grain_that_is_filled_in_later_may_be_missing(
    context: AssetContext,
) -> None:
    put(context.lake.path(TABLE, "llama"), NO_GRAIN)
    ((rows, _),) = published_rows(context, TABLE, ["prompt_id"])
    assert rows["prompt_id"].to_pylist() == [None, None]
    assert rows["n"].to_pylist() == [1, 2]
