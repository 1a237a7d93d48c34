"""Lakes in a bucket of a real object store, SeaweedFS; each machine is a folder of copies."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.warehouse.test_storage import PROVENANCE, TABLE, batches
from warehouse import Lake, ask, write_table
from warehouse.places import BucketError, OvertakenError, bucket_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY, SECRET = "its-key", "its-secret"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A store's address on this machine."""
    weed = shutil.which("weed")
    if weed is None:
        pytest.skip("`make test-cluster` installs SeaweedFS")
    folder = tmp_path_factory.mktemp("seaweed")
    credentials = f'[{{"accessKey": "{KEY}", "secretKey": "{SECRET}"}}]'
    (folder / "s3.json").write_text(
        f'{{"identities": [{{"name": "t", "credentials": {credentials}, "actions": ["Admin"]}}]}}'
    )
    ports = free_ports(4)
    options = ("master.port", "volume.port", "filer.port", "s3.port")
    server = subprocess.Popen(
        [
            *(weed, "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
            *(
                "-filer",
                "-s3",
                f"-s3.config={folder}/s3.json",
                "-master.telemetry=false",
                "-s3.port.iceberg=0",
                "-s3.port.lance=0",
            ),
            *("-volume.max=50", "-master.volumeSizeLimitMB=64"),
            *(f"-{option}={port}" for option, port in zip(options, ports, strict=True)),
        ],
        cwd=folder,
        stdout=(folder / "log").open("w"),
        stderr=subprocess.STDOUT,
    )
    wait_for(ports[-1])
    yield f"http://127.0.0.1:{ports[-1]}"
    server.terminate()
    server.wait()


def free_ports(n: int) -> list[int]:
    """Ports that are free, and of which SeaweedFS's second ones, 10,000 above, exist."""
    sockets = []
    while len(sockets) < n:
        sockets.append(socket.create_server(("127.0.0.1", 0)))
        if sockets[-1].getsockname()[1] > 55_000:
            sockets.pop().close()
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def wait_for(port: int) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError


@pytest.fixture
def environment(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What tells the store and the credentials."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)


@pytest.fixture
def machines(
    environment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Lake, Lake]:
    """A lake as two machines have it."""
    from warehouse import bucket

    bucket._store.cache_clear()
    monkeypatch.setattr(bucket, "_FRESH", 0.0)
    url = f"s3://lakes/{tmp_path.name}"
    place = Lake.at(url).place
    return Lake(tmp_path / "first", place), Lake(tmp_path / "second", place)


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
def test_of_two_writers_the_first_loses_nothing(
    machines: tuple[Lake, Lake], monkeypatch: pytest.MonkeyPatch
) -> None:
    from warehouse import bucket

    first, second = machines
    assert not second.has(TABLE)
    monkeypatch.setattr(bucket, "_FRESH", 60.0)
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
    from warehouse import bucket

    monkeypatch.setattr(bucket, "_PAUSES", ())
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a-wrong-key")
    bucket._store.cache_clear()
    with pytest.raises(BucketError) as raised:
        machines[0].has(TABLE)
    bucket._store.cache_clear()
    assert raised.value.__suppress_context__
    assert "credentials in the environment" in str(raised.value)
    assert not any(secret in str(raised.value) for secret in ("a-wrong-key", SECRET))


def test_the_address_of_a_bucket_is_read_also_from_a_path() -> None:
    assert bucket_url("s3:/bucket/a/b/") == bucket_url("s3://bucket/a/b") == "s3://bucket/a/b"
    assert bucket_url("s3") is None
    assert bucket_url("/s3://bucket") is None
    with pytest.raises(ValueError, match="environment") as raised:
        bucket_url("s3://key:secret@bucket")
    assert "secret@" not in str(raised.value)
