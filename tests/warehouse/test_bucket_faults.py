"""What goes wrong between a lake and its bucket, and with those who write to it, loses nothing."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from tests.soak.lakes import few_assets, materialize_all, tables, write_study
from tests.stores import Fault, Proxy
from tests.studies import Bench
from tests.warehouse.test_storage import PROVENANCE, TABLE, batches
from warehouse import Lake, ask, write_table
from warehouse.places import OvertakenError, Place
from warehouse.tables import GENERATIONS

if TYPE_CHECKING:
    from models import Source

pytestmark = pytest.mark.cluster
REPOSITORY = Path(__file__).parents[2]


def rows_of(lake: Lake) -> list[object]:
    with ask(lake, [TABLE], f"from {TABLE.name} order by all") as relation:
        return relation.fetchall()


@pytest.mark.parametrize("is_new", [True, False])
@pytest.mark.parametrize(
    "faults",
    [
        [Fault.BUSY, Fault.BUSY],
        [Fault.CUT_BEFORE],
        [Fault.CUT_AFTER],
        [Fault.BUSY, Fault.CUT_AFTER, Fault.CUT_BEFORE, Fault.CUT_AFTER],
    ],
)
def test_a_put_that_goes_wrong_is_put_again_and_known_as_ours(
    way: Proxy, machines: tuple[Lake, Lake], faults: list[Fault], is_new: bool
) -> None:
    first, second = machines
    first.has(TABLE)  # a store that answered once is waited for
    if not is_new:
        write_table(first, TABLE, batches(7), PROVENANCE, "a")
    way.once("PUT", *faults)
    again = replace(PROVENANCE, data_version="other")
    write_table(first, TABLE, batches(*range(20_000)), again, "a")
    assert [fault for _, fault in way.injected] == faults
    assert first.provenance(TABLE, "a") == second.provenance(TABLE, "a") == again
    assert rows_of(first) == rows_of(second)
    assert len(rows_of(second)) == 20_000
    # Of what was put is known which version it is.
    write_table(first, TABLE, batches(8), PROVENANCE, "a")
    assert len(rows_of(second)) == 1


@pytest.mark.parametrize("fault", [Fault.BUSY, Fault.CUT_WITHIN, Fault.CUT_AFTER])
def test_a_file_that_comes_halved_is_fetched_again(
    way: Proxy, machines: tuple[Lake, Lake], fault: Fault
) -> None:
    first, second = machines
    write_table(first, TABLE, batches(*range(20_000)), PROVENANCE, "a")
    way.once("GET", fault)
    assert rows_of(second) == rows_of(first)
    assert way.injected == [("GET", fault)]


def test_in_a_storm_nothing_is_lost(
    way: Proxy, machines: tuple[Lake, Lake], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warehouse.asking._PAUSES", (0.01,) * 30)
    first, second = machines
    first.has(TABLE)
    moments = random.Random(0)
    kinds = [Fault.BUSY, Fault.CUT_BEFORE, Fault.CUT_WITHIN, Fault.CUT_AFTER]
    way.choose = lambda method, path: moments.choice(kinds) if moments.random() < 0.4 else None
    names = [f"m{i}" for i in range(30)]
    for time_round in range(2):
        for i, name in enumerate(names):
            made = replace(PROVENANCE, data_version=f"{name} {time_round}")
            write_table(first, TABLE, batches(*range(i, i + 500)), made, name)
    assert second.partitions(TABLE) == sorted(names)
    assert {second.provenance(TABLE, name).data_version for name in names} == {
        f"{name} 1" for name in names
    }
    assert rows_of(second) == rows_of(first)
    assert len(rows_of(second)) == 30 * 500
    assert {fault for _, fault in way.injected} == set(kinds)


def test_of_writers_at_once_exactly_one_is_published(machines: tuple[Lake, Lake]) -> None:
    first, second = machines
    for round_ in range(20):
        name = f"m{round_ % 10}"  # the second time it replaces what is there
        versions = [replace(PROVENANCE, data_version=f"{round_} {i}") for i in range(2)]
        for lake in machines:
            lake.provenance(TABLE, name)

        def write(lake: Lake, provenance: object, name: str = name) -> bool:
            try:
                write_table(lake, TABLE, batches(1), provenance, name)
            except OvertakenError:
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            published = list(pool.map(write, machines, versions))
        assert published.count(True) == 1
        winner = versions[published.index(True)]
        assert first.provenance(TABLE, name) == second.provenance(TABLE, name) == winner


@dataclass
class InBucket(Bench):
    """A machine with copies of a lake in a bucket."""

    place: Place

    @property
    def lake(self) -> Lake:
        return Lake(self.folder / "lake", self.place)


@pytest.mark.usefixtures("few_assets")
def test_who_is_overtaken_keeps_what_is_staged_and_goes_on_from_it(
    way: Proxy, machines: tuple[Lake, Lake], bench: Bench
) -> None:
    for name in ("slow", "fast", "alone"):
        (bench.folder / name).mkdir()
    place = machines[0].place
    slow = InBucket(bench.folder / "slow", bench.llama, place)
    fast = InBucket(bench.folder / "fast", bench.llama, place)
    alone = Bench(bench.folder / "alone", bench.llama)
    longer = slow.study(max_new_tokens=16)  # which makes it another data version
    with ThreadPoolExecutor(1) as pool:
        held = iter([Fault.LATE])
        way.choose = lambda method, path: (
            next(held, None) if method == "PUT" and "/generations/" in path else None
        )
        overtaken = pool.submit(slow.run, longer, only=("generations",))
        while not way.injected and not overtaken.done():
            time.sleep(0.05)
        fast.run(fast.study(), only=("generations",))
        way.let_go.set()
        with pytest.raises(OvertakenError, match=r"generations/.* by another machine"):
            overtaken.result()
    published = fast.lake.read(GENERATIONS, "llama")
    assert slow.lake.read(GENERATIONS, "llama").equals(published)
    staged = [*slow.lake.staging.glob("generations/llama/*.parquet")]
    assert sum(pq.read_metadata(file).num_rows for file in staged) == len(published)
    slow.run(longer, only=("generations",))
    alone.run(alone.study(max_new_tokens=16), only=("generations",))
    expected = alone.lake.read(GENERATIONS, "llama")
    assert fast.lake.read(GENERATIONS, "llama").equals(expected)
    assert not expected.equals(published)
    assert not [*slow.lake.staging.glob("generations/llama/*.parquet")]


def test_a_run_that_is_killed_as_it_publishes_goes_on(
    way: Proxy,
    tmp_path: Path,
    llama_source: Source,
    gemma: Source,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from models import ModelPool

    monkeypatch.setenv("ANCHORLAKE_CACHE", str(tmp_path / "caches"))
    study = write_study(tmp_path, str(llama_source), str(gemma), whole=False)
    with few_assets():
        materialize_all(study, tmp_path / "undisturbed", ModelPool())
    url = f"s3://lakes/{tmp_path.name}"
    held = {"generations": Fault.HELD_BEFORE, "token_distributions": Fault.HELD_AFTER}
    way.choose = lambda method, path: next(
        (held.pop(name) for name in list(held) if method == "PUT" and f"/{name}/" in path), None
    )
    for i in range(3):
        process = start(tmp_path, url)
        while process.poll() is None and (i == 2 or len(way.injected) == i):
            time.sleep(0.05)
        if i < 2:
            assert process.poll() is None, log_of(tmp_path)
            process.kill()
        if i == 0:
            assert list((tmp_path / "caches").glob("*/.staging/generations/base/*.parquet"))
        process.wait()
    assert process.returncode == 0, log_of(tmp_path)
    (copies,) = (tmp_path / "caches").glob("s3*")
    assert tables(copies) == tables(tmp_path / "undisturbed")
    second = Lake(tmp_path / "second", Lake.at(url).place)
    assert len(second.all_files) == len(tables(copies))
    assert tables(second.root) == tables(copies)
    assert not list(copies.glob(".staging/*/base/*.parquet"))
    assert not list(copies.glob(".staging/scratch/*"))


def start(folder: Path, lake: str) -> subprocess.Popen[bytes]:
    """Makes what is stale of a folder's study, in a process of its own."""
    code = "import sys; from tests.soak.child import work; work(*sys.argv[1:])"
    return subprocess.Popen(
        [sys.executable, "-c", code, str(folder), lake, "materialize"], cwd=REPOSITORY
    )


def log_of(folder: Path) -> str:
    return "".join(path.read_text()[-3000:] for path in folder.glob("s3*.log"))
