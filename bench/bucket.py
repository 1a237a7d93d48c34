"""What a lake in a bucket costs, against one on the disk: a whole study, and a query of it.

    python -m bench.bucket [--rounds 3] [--partitions 1000]

Runs an object store, SeaweedFS, on this machine. Makes a study of the demo's shape and a tiny
random model on the disk and in the store, taking turns. Then asks `anchorlake sql` of a table with
many partitions in the store, of which the machine has no copies, and once more when it has them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import yaml

from assets.lineage.materialize import materialize
from assets.registry import build_graph
from assets.study.study import load_study
from bench.partitions import STUDY, save_model
from models import ModelPool
from tests.stores import environment_of, seaweedfs
from warehouse import Lake, Provenance
from warehouse.storage import write_parquet
from warehouse.tables import GENERATIONS

RATIO, SECONDS = 1.3, 3.0
"""Budgets: of the study in the store to that on the disk, and of a query."""
_QUERY = "select count(*), count(distinct checkpoint) from generations"


def make(study: Path, lake: Lake) -> float:
    """Makes all of a study; gives the seconds."""
    start = time.perf_counter()
    graph, models = build_graph(load_study(study), lake), ModelPool()
    for name, partition in graph.stale(graph.select(())):
        materialize(graph, name, partition, models=models)
    return time.perf_counter() - start


def compare_studies(folder: Path, rounds: int) -> None:
    """Prints the seconds of a study on the disk and in the store, and their ratio."""
    aligned = {"name": "tuned", "source": "dir:tuned", "base": "base", "role": "aligned"}
    base, *_ = STUDY["checkpoints"]
    study = {**STUDY, "checkpoints": [base, aligned], "watch": []}
    (folder / "study.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    save_model(folder / "base")
    shutil.copytree(folder / "base", folder / "tuned")
    (folder / "tuned" / "note.txt").write_text("another one", encoding="utf-8")
    seconds: dict[str, list[float]] = {"disk": [], "store": []}
    make(folder / "study.yaml", Lake(folder / "warm"))
    for i in range(rounds):
        order = ["disk", "store"] if i % 2 == 0 else ["store", "disk"]
        for where in order:
            address = folder / f"disk-{i}" if where == "disk" else f"s3://lakes/study-{i}"
            seconds[where].append(make(folder / "study.yaml", Lake.at(address)))
            print(f"study, {where:5} {seconds[where][-1]:8.2f} s", flush=True)
    ratio = min(seconds["store"]) / min(seconds["disk"])
    print(f"study, store / disk {ratio:.2f} of the fastest of each  budget {RATIO}", flush=True)


def ask_of_many(folder: Path, n: int) -> None:
    """Prints the seconds of a query over a table of so many partitions."""
    publishing = Lake(folder / "publishing", Lake.at("s3://lakes/many").place)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: _publish(publishing, folder, i), range(n)))
    for state in ("no copies", "all copied", "all copied", "on the disk"):
        lake = folder / "publishing" if state == "on the disk" else "s3://lakes/many"
        begins = "from orchestration.main import main; main()"
        command = [sys.executable, "-c", begins, "sql", _QUERY, "--lake", lake]
        start, before = time.perf_counter(), os.times()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        seconds, after = time.perf_counter() - start, os.times()
        busy = sum(after[2:4]) - sum(before[2:4])
        print(
            f"query of {n} partitions, {state:11} {seconds:6.2f} s, {busy:5.2f} s of processors  "
            f"budget {SECONDS}",
            flush=True,
        )


def _publish(lake: Lake, folder: Path, i: int) -> None:
    generations = [{"prompt_id": "a", "sample": j, "text": f"{i} {j}"} for j in range(100)]
    rows = pa.Table.from_pylist(generations, GENERATIONS.arrow_schema).to_batches()
    made = Provenance(f"version-{i}", "signature", "many", "0")
    file = folder / f"{i}.parquet"
    write_parquet(file, GENERATIONS.arrow_schema, rows, made.to_footer())
    lake.place.publish(lake.root, file, lake.path(GENERATIONS, f"m{i}"))
    file.unlink(missing_ok=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--partitions", type=int, default=1000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as files:
        os.environ["ANCHORLAKE_CACHE"] = f"{folder}/caches"
        with seaweedfs(Path(files)) as address:
            os.environ |= environment_of(address)
            ask_of_many(Path(folder), options.partitions)
            compare_studies(Path(folder), options.rounds)


if __name__ == "__main__":
    main()
