from __future__ import annotations

import multiprocessing
import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.warehouse.conftest import PROVENANCE
from warehouse import Column, Lake, Provenance, RejectedError, Table, ask, write_table
from warehouse.lake import check_checkpoint_name

if TYPE_CHECKING:
    from pathlib import Path

TABLE = Table(
    name="things",
    description="Things.",
    grain=("checkpoint", "place"),
    columns=(
        Column("checkpoint", "VARCHAR"),
        Column("place", "INTEGER"),
        Column("value", "DOUBLE"),
        Column("names", "VARCHAR[]"),
    ),
)


def batches(*places: int | None, value: float = 0.5) -> list[pa.RecordBatch]:
    rows = [{"place": p, "value": value, "names": ["a", "b"]} for p in places]
    return pa.Table.from_pylist(rows, TABLE.arrow_schema).to_batches()


def write_many(root: Path, value: float) -> None:
    for _ in range(20):
        write_table(Lake(root), TABLE, batches(*range(500), value=value), PROVENANCE, "m")


def test_a_partition_is_one_file_without_its_partition_column(lake: Lake) -> None:
    write_table(lake, TABLE, batches(1, 2), PROVENANCE, "m")
    path = lake.root / "things" / "checkpoint=m" / "data.parquet"
    assert pq.ParquetFile(path).schema_arrow.names == ["place", "value", "names"]
    assert pq.ParquetFile(path).metadata.row_group(0).column(0).compression == "ZSTD"
    assert pq.read_table(lake.root / "things")["checkpoint"].to_pylist() == ["m", "m"]


def test_replacing_a_partition_leaves_its_siblings(lake: Lake) -> None:
    write_table(lake, TABLE, batches(1), PROVENANCE, "a")
    write_table(lake, TABLE, batches(2), PROVENANCE, "b")
    write_table(lake, TABLE, batches(3, 4), PROVENANCE, "a")
    assert lake.read(TABLE, "a")["place"].to_pylist() == [3, 4]
    assert lake.read(TABLE, "b")["place"].to_pylist() == [2]
    assert lake.partitions(TABLE) == ["a", "b"]


def test_the_footer_tells_where_rows_come_from(lake: Lake) -> None:
    write_table(lake, TABLE, batches(1), PROVENANCE, "m", footer={"anchorlake.more": "x"})
    assert lake.provenance(TABLE, "m") == PROVENANCE
    footer = pq.read_metadata(lake.path(TABLE, "m")).metadata
    assert footer[b"anchorlake.fingerprint"] == b"f00d"
    assert footer[b"anchorlake.signature"] == b"p:0.9|v:0"
    assert footer[b"anchorlake.study"] == b"test"
    assert footer[b"anchorlake.more"] == b"x"
    assert lake.provenance(TABLE, "other") is None


def put(lake: Lake, data_version: str, when: int) -> Path:
    """Replaces a partition by a file that differs in its footer alone."""
    provenance = replace(PROVENANCE, data_version=data_version)
    write_table(lake, TABLE, batches(1), provenance, "m")
    path = lake.path(TABLE, "m")
    os.utime(path, ns=(when, when))
    return path


def stored(lake: Lake) -> str | None:
    found = lake.provenance(TABLE, "m")
    return found and found.data_version


def test_a_footer_is_read_once(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    put(lake, "cafe", 1)
    assert stored(lake) == "cafe"
    monkeypatch.setattr(pq, "read_metadata", None)
    assert stored(lake) == "cafe"


def test_a_file_that_was_replaced_is_read_again(lake: Lake) -> None:
    sizes = set()
    for data_version in ("cafe", "f00d"):
        sizes.add(put(lake, data_version, 1).stat().st_size)
        assert stored(lake) == data_version
    assert len(sizes) == 1
    path = lake.path(TABLE, "m")
    path.write_bytes(b"PAR1 cut")
    assert stored(lake) is None
    path.unlink()
    assert stored(lake) is None


def test_two_files_of_a_moment_are_told_apart(lake: Lake) -> None:
    now = time.time_ns()
    other = put(lake, "beef", now).read_bytes()
    path = put(lake, "cafe", now)
    assert stored(lake) == "cafe"
    path.write_bytes(other)  # which is the same inode
    os.utime(path, ns=(now, now))
    assert stored(lake) == "beef"


@pytest.mark.parametrize(
    ("rows", "check"),
    [
        (batches(1, 1), "grain_unique_and_not_null"),
        (batches(1, None), "grain_unique_and_not_null"),
        (batches(), "not_empty"),
    ],
)
def test_rows_that_break_the_declaration_never_reach_the_table(
    lake: Lake, rows: list[pa.RecordBatch], check: str
) -> None:
    write_table(lake, TABLE, batches(7), PROVENANCE, "m")
    with pytest.raises(RejectedError) as caught:
        write_table(lake, TABLE, rows, Provenance("new", "", "", ""), "m")
    assert [finding.check for finding in caught.value.findings if not finding.passed] == [check]
    assert caught.value.kept_at.exists()
    assert lake.read(TABLE, "m")["place"].to_pylist() == [7]
    assert lake.provenance(TABLE, "m") == PROVENANCE


def test_a_writer_that_fails_midway_leaves_the_old_rows_and_no_litter(lake: Lake) -> None:
    write_table(lake, TABLE, batches(7), PROVENANCE, "m")

    def failing():  # type: ignore[no-untyped-def]
        yield from batches(1)
        raise RuntimeError("the power went")

    with pytest.raises(RuntimeError, match="the power went"):
        write_table(lake, TABLE, failing(), PROVENANCE, "m")
    assert lake.read(TABLE, "m")["place"].to_pylist() == [7]
    assert list(lake.staging.glob("*.parquet")) == []


def test_types_are_cast_where_nothing_is_lost(lake: Lake) -> None:
    wide = pa.table({"place": pa.array([1], pa.int64()), "value": [1], "names": [["x"]]})
    write_table(lake, TABLE, wide.to_batches(), PROVENANCE, "m")
    assert lake.read(TABLE, "m").schema.equals(TABLE.arrow_schema)
    too_wide = pa.table({"place": pa.array([1 << 40]), "value": [1.0], "names": [["x"]]})
    with pytest.raises(ValueError, match="does not fit its column"):
        write_table(lake, TABLE, too_wide.to_batches(), PROVENANCE, "m")


@pytest.mark.whole
def test_a_reader_never_sees_a_mixture_while_two_write(lake: Lake) -> None:
    write_table(lake, TABLE, batches(*range(500), value=0.0), PROVENANCE, "m")
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_many, args=(lake.root, v)) for v in (1.0, 2.0)]
    for writer in writers:
        writer.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        values = set(lake.read(TABLE, "m")["value"].to_pylist())
        assert len(values) == 1
        seen |= values
    assert all(writer.exitcode == 0 for writer in writers)
    assert set(lake.read(TABLE, "m")["value"].to_pylist()) <= {1.0, 2.0}
    assert seen <= {0.0, 1.0, 2.0}


@pytest.mark.parametrize("name", ["a", "llama-2-7b_step.100", "007", "x" * 128])
def test_checkpoint_names_that_can_be_partitions(name: str) -> None:
    assert check_checkpoint_name(name) == name


@pytest.mark.parametrize("name", ["", "a b", "a/b", "..", ".", "ä", "x" * 129, "a\n"])
def test_checkpoint_names_that_cannot(name: str) -> None:
    with pytest.raises(ValueError, match="letters, digits"):
        check_checkpoint_name(name)


@pytest.mark.parametrize("size", [1, 1000, 200_000])
def test_row_groups_are_of_a_useful_size_however_rows_come(lake: Lake, size: int) -> None:
    n = 200_000 if size > 1 else 1000
    places = pa.array(range(n), pa.int32())
    values = [places, pa.nulls(n, pa.float64()), pa.nulls(n, pa.list_(pa.string()))]
    rows = pa.table(values, ["place", "value", "names"])
    write_table(lake, TABLE, rows.to_batches(max_chunksize=size), PROVENANCE, "m")
    file = pq.ParquetFile(lake.path(TABLE, "m"))
    groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert groups == {1: [1000], 1000: [123_000, 77_000], 200_000: [122_880, 77_120]}[size]
    assert file.read(["place"])["place"].combine_chunks() == places


def test_row_groups_of_long_rows_have_less_than_32_mb(lake: Lake) -> None:
    rows = [{"place": place, "value": 0.5, "names": ["x" * (1 << 20)]} for place in range(40)]
    batch = pa.Table.from_pylist(rows, TABLE.arrow_schema).to_batches()
    write_table(lake, TABLE, batch, PROVENANCE, "m")
    metadata = pq.ParquetFile(lake.path(TABLE, "m")).metadata
    groups = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    assert groups == [30, 10]


def test_numbers_of_models_have_no_dictionary_and_come_back_as_they_were(lake: Lake) -> None:
    table = replace(TABLE, columns=(*TABLE.columns, Column("logprobs", "REAL[]")))
    logprobs = [[-0.1, float("-inf"), None], [], None, [-0.1, 1e-38]]
    columns = {"place": range(4), "value": [0.5] * 4, "names": [[]] * 4, "logprobs": logprobs}
    rows = pa.table({k: list(v) for k, v in columns.items()}).cast(table.arrow_schema)
    write_table(lake, table, rows.to_batches(), PROVENANCE, "m")
    file = pq.ParquetFile(lake.path(table, "m"))
    group = file.metadata.row_group(0)
    encodings = {group.column(i).path_in_schema: group.column(i).encodings for i in range(4)}
    assert "BYTE_STREAM_SPLIT" in encodings["logprobs.list.element"]
    assert not any("DICTIONARY" in encoding for encoding in encodings["logprobs.list.element"])
    assert "RLE_DICTIONARY" in encodings["place"]
    assert file.read().equals(rows)
    with ask(lake, [table], "select logprobs from things") as relation:
        assert relation.to_arrow_table()["logprobs"].equals(rows["logprobs"])
