"""Lakes in a bucket of a real object store, SeaweedFS; each machine is a folder of copies."""

from __future__ import annotations

from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from tests.stores import KEY, SECRET, Proxy
from tests.warehouse.test_storage import PROVENANCE, TABLE, batches
from warehouse import Lake, ask, write_table
from warehouse.places import BucketError, OvertakenError, bucket_url


def rows_of(lake: Lake) -> list[object]:
    with ask(lake, [TABLE], f"from {TABLE.name} order by all") as relation:
        return relation.fetchall()


@pytest.mark.cluster
def test_what_a_machine_publishes_another_one_reads(machines: tuple[Lake, Lake]) -> None:
    first, second = machines
    for checkpoint in ("a", "b"):
        write_table(first, TABLE, batches(1, 2), PROVENANCE, checkpoint)
    assert second.exists()
    assert second.partitions(TABLE) == ["a", "b"]
    assert second.provenance(TABLE, "a") == PROVENANCE
    assert rows_of(second) == rows_of(first) != []
    again = replace(PROVENANCE, data_version="other")
    write_table(second, TABLE, batches(1, 2), again, "a")
    assert first.provenance(TABLE, "a") == again


@pytest.mark.cluster
def test_data_versions_are_read_without_the_rows(
    way: Proxy, machines: tuple[Lake, Lake], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warehouse.bucket._SMALL", 0)
    monkeypatch.setattr("warehouse.bucket._TAIL", 100)  # less than a footer has
    first, second = machines
    write_table(first, TABLE, batches(*range(100_000)), PROVENANCE, "a")
    write_table(first, TABLE, batches(1), PROVENANCE, "b")
    lengths: list[int] = []
    way.seen = lambda method, path, content: lengths.append(len(content))
    assert second.provenance(TABLE, "a") == PROVENANCE
    assert second.has(TABLE, "b")
    assert not second.has(TABLE, "c")
    assert second.partitions(TABLE) == ["a", "b"]
    assert second.provenance(TABLE, "c") is None
    (footer, _) = second.footers(TABLE)
    assert pq.read_metadata(footer).num_rows == 100_000
    assert sum(lengths) < first.path(TABLE, "a").stat().st_size / 4
    assert not second.path(TABLE, "a").exists()
    # What was not fetched is replaced all the same, and nobody is told that it was overtaken.
    write_table(second, TABLE, batches(2), replace(PROVENANCE, data_version="other"), "a")
    assert first.provenance(TABLE, "a").data_version == "other"
    assert len(rows_of(first)) == 2
    with ask(second, [TABLE], "show tables") as relation:
        assert relation.fetchall() == [(TABLE.name,)]
    assert not second.path(TABLE, "b").exists()
    assert rows_of(second) == rows_of(first)
    first.path(TABLE, "a").unlink()  # a copy that is lost is fetched again
    assert rows_of(second) == rows_of(first)


@pytest.mark.cluster
def test_a_query_fetches_the_tables_that_it_names(way: Proxy, machines: tuple[Lake, Lake]) -> None:
    first, second = machines
    other = replace(TABLE, name="others")
    write_table(first, TABLE, batches(1), PROVENANCE, "a")
    write_table(first, other, batches(1), PROVENANCE, "a")
    paths: list[str] = []
    way.seen = lambda method, path, content: paths.append(path)
    with ask(second, [TABLE, other], "from others") as relation:
        assert len(relation.fetchall()) == 1
    fetched = [path for path in paths if path.endswith("data.parquet")]
    assert len(fetched) == 1
    assert "/others/" in fetched[0]


@pytest.mark.cluster
def test_of_two_writers_the_first_loses_nothing(
    machines: tuple[Lake, Lake], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = machines
    assert not second.has(TABLE)
    monkeypatch.setattr("warehouse.bucket._FRESH", 60.0)
    write_table(first, TABLE, batches(1, 2), PROVENANCE, "a")
    with pytest.raises(OvertakenError, match="run again"):
        write_table(second, TABLE, batches(1, 2), replace(PROVENANCE, data_version="other"), "a")
    assert second.provenance(TABLE, "a") == PROVENANCE
    # What another machine made alike need not be published again.
    write_table(
        Lake(second.root.with_name("third"), second.place), TABLE, batches(1, 2), PROVENANCE, "a"
    )


@pytest.mark.cluster
def test_an_error_holds_no_credentials(
    machines: tuple[Lake, Lake], monkeypatch: pytest.MonkeyPatch
) -> None:
    from warehouse.asking import store_at

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a-wrong-key")
    store_at.cache_clear()
    with pytest.raises(BucketError) as raised:
        machines[0].has(TABLE)
    store_at.cache_clear()
    assert raised.value.__suppress_context__
    assert "credentials of the environment" in str(raised.value)
    assert not any(secret in str(raised.value) for secret in ("a-wrong-key", SECRET))


@pytest.mark.cluster
def test_no_file_holds_credentials(machines: tuple[Lake, Lake]) -> None:
    first, second = machines
    write_table(first, TABLE, batches(1), PROVENANCE, "a")
    assert len(rows_of(second)) == 1
    files = [path for lake in machines for path in lake.root.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"data.parquet", "verified"}
    for path in files:
        content = path.read_bytes()
        assert not any(secret.encode() in content for secret in (KEY, SECRET)), path


def test_the_address_of_a_bucket_is_read_also_from_a_path() -> None:
    assert bucket_url("s3:/bucket/a/b/") == bucket_url("s3://bucket/a/b") == "s3://bucket/a/b"
    assert bucket_url("s3") is None
    assert bucket_url("/s3://bucket") is None
    with pytest.raises(ValueError, match="environment") as raised:
        bucket_url("s3://key:secret@bucket")
    assert "secret@" not in str(raised.value)
