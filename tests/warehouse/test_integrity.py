"""A file that does not hold what was written is found, whatever became of it."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
import xxhash

from tests.warehouse.conftest import PROVENANCE
from tests.warehouse.test_storage import TABLE, batches
from warehouse import Lake, integrity, write_table
from warehouse.integrity import Verified, is_whole

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(lake: Lake) -> Path:
    write_table(lake, TABLE, batches(*range(40)), PROVENANCE, "m")
    return lake.path(TABLE, "m")


@pytest.mark.whole
def test_a_flipped_bit_goes_unnoticed_nowhere(file: Path) -> None:
    content = file.read_bytes()
    assert is_whole(file)
    flip = random.Random(0)
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << flip.randrange(8)
        file.write_bytes(flipped)
        assert not is_whole(file), place


def test_a_file_that_was_cut_short_or_went_on_is_damaged(file: Path) -> None:
    content = file.read_bytes()
    for damaged in (b"", content[:3], content[:-1], content[: len(content) // 2], content + b"\0"):
        file.write_bytes(damaged)
        assert not is_whole(file)


@pytest.mark.parametrize("piece", [1, 1000, 1 << 20])
def test_the_digest_is_of_the_file_with_its_own_bytes_as_zeros(
    lake: Lake, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integrity, "_PIECE", piece)
    write_table(lake, TABLE, batches(*range(40)), PROVENANCE, "m")
    file = lake.path(TABLE, "m")
    digest = pq.read_metadata(file).metadata[b"anchorlake.digest"]
    content = file.read_bytes()
    assert content.count(digest) == 1
    zeroed = content.replace(digest, b"0" * 32)
    assert xxhash.xxh3_128(zeroed).hexdigest().encode() == digest
    assert is_whole(file)


def test_a_file_of_an_earlier_version_is_taken_for_whole(lake: Lake, tmp_path: Path) -> None:
    file = tmp_path / "old.parquet"
    with pq.ParquetWriter(file, TABLE.arrow_schema) as writer:
        writer.write_batch(batches(1)[0])
        writer.add_key_value_metadata({"anchorlake.fingerprint": "f00d"})
    assert is_whole(file)


def test_a_damaged_partition_has_no_provenance_and_is_named(lake: Lake, file: Path) -> None:
    write_table(lake, TABLE, batches(1), PROVENANCE, "other")
    assert lake.damaged(lake.all_files) == []
    content = bytearray(file.read_bytes())
    content[20] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(1, 1))
    assert lake.provenance(TABLE, "m") is None
    assert lake.provenance(TABLE, "other") == PROVENANCE
    assert lake.damaged(lake.all_files) == [file]


def test_a_file_is_read_once_for_as_long_as_it_is_the_same(
    lake: Lake, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []

    def counting(path: Path) -> bool:
        read.append(path)
        return is_whole(path)

    monkeypatch.setattr(integrity, "is_whole", counting)

    def verified() -> Verified:
        return Verified(lake.staging / "verified", lake.root.absolute())  # as another process does

    assert verified().is_whole(file)
    assert read == []  # it was written here
    os.utime(file, ns=(5, 5))
    assert verified().is_whole(file)
    assert verified().is_whole(file)
    assert read == [file]
    assert verified().is_whole(file, anew=True)
    assert len(read) == 2


def test_decay_that_leaves_no_trace_is_found_where_everything_is_read(
    lake: Lake, file: Path
) -> None:
    status = file.stat()
    content = bytearray(file.read_bytes())
    content[30] ^= 4
    file.write_bytes(content)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert lake.damaged([file]) == []
    assert lake.damaged([file], anew=True) == [file]
    assert lake.damaged([file]) == [file]


def test_a_record_that_was_cut_short_costs_another_look(lake: Lake, file: Path) -> None:
    record = lake.staging / "verified"
    record.write_bytes(record.read_bytes()[:-30] + b"\xff nonsense\n12 13")
    assert Verified(record, lake.root.absolute()).is_whole(file)


def test_a_long_record_is_written_anew(lake: Lake, file: Path) -> None:
    record = lake.staging / "verified"
    record.write_text(record.read_text() * 1100)
    assert Verified(record, lake.root.absolute()).is_whole(file)
    assert len(record.read_text().splitlines()) == 1


def test_what_is_published_is_on_the_disk_before_it_has_its_name(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[tuple[str, str]] = []
    fsync = os.fsync

    def noting(descriptor: int) -> None:
        steps.append(("flush", os.path.realpath(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    replace = type(lake.root).replace

    def renaming(path: Path, target: Any) -> Any:
        steps.append(("rename", str(target)))
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", noting)
    monkeypatch.setattr(type(lake.root), "replace", renaming)
    write_table(lake, TABLE, batches(1), PROVENANCE, "m")
    target = lake.path(TABLE, "m")
    renamed = steps.index(("rename", str(target)))
    assert any(kind == "flush" and path.endswith(".parquet") for kind, path in steps[:renamed])
    made = [str(target.parents[i]) for i in (2, 1)]  # folders that hold new folders
    assert [path for kind, path in steps[:renamed] if path in made] == made
    assert steps[renamed + 1] == ("flush", str(target.parent))
