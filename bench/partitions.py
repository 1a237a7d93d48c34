"""What a lake costs as checkpoints gather in it: runs that make nothing, the sensor, the figures.

    python -m bench.partitions [10 200 1000]

Measures a tiny random model and one watched checkpoint of it, and copies what was measured until
there are as many checkpoints as are asked for. Prints the seconds, and those of the processors, of
commands that make nothing, of the sensor's ticks, and of drawing every figure after one more
checkpoint.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import torch
import yaml
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from assets.lineage.asset import TableAsset
from assets.lineage.materialize import materialize
from assets.registry import build_graph
from assets.study.registered import as_it_stands, register
from assets.study.study import Study, load_study
from models import ModelPool
from models.files import one_look
from models.sources.folders import snapshot
from orchestration.build import build_defs
from orchestration.instance import open_instance
from orchestration.partitions import register as register_partitions
from warehouse import Lake
from warehouse.storage import write_parquet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from assets.lineage.graph import AssetGraph

BUDGETS = {
    "run": "10 s at 200",
    "a tick that takes one in": "5 s at 200",
    "all figures and the report": "30 s at 1,000",
}
_SERIES = "dpo"
STUDY = {
    "name": "partitions",
    "samples_per_prompt": 20,
    "max_new_tokens": 64,
    "corpora": [
        {"name": "python-docs", "source": "pydoc:topics", "documents": 24, "max_words": 100}
    ],
    "prefixes": {"documents": 12},
    "shannon_game": {"source": "corpora", "passages": 24, "words": 48},
    "probes": {"prompt_sets": ["demo"], "tokens": 1000, "horizons": [1, 2]},
    "readaptation": {"documents": 10, "steps": 2, "documents_per_step": 2, "evaluate_every": 1},
    "diversity_sweep": {"top_p": [0.8, 0.9, 1.0], "prompts": 2},
    "drift": [{"measure": "perplexity", "over_base": 100.0}],
    "checkpoints": [{"name": "base", "source": "dir:base"}],
    "watch": [{"dir": "runs/checkpoint-*", "series": _SERIES, "base": "base"}],
}
_SETTLES = 2.5
"""Seconds after which what was read of a file may be remembered."""


@dataclass
class Place:
    """A folder with a study, the checkpoints that it watches, and a lake."""

    folder: Path

    @property
    def study(self) -> Study:
        """As its file says."""
        return load_study(self.folder / "study.yaml")

    @property
    def lake(self) -> Lake:
        """The lake."""
        return Lake(self.folder / "lake")

    @property
    def graph(self) -> AssetGraph:
        """The assets as they are now."""
        with one_look():
            return build_graph(as_it_stands(self.study, self.lake), self.lake)

    def checkpoint(self, step: int) -> Path:
        """The folder of a step."""
        return self.folder / f"runs/checkpoint-{step}"


def save_model(folder: Path) -> None:
    """Saves a random Llama of two layers that reads bytes."""
    special = ["<bos>", "<eos>"]
    alphabet = [*special, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    backend = Tokenizer(BPE({token: i for i, token in enumerate(alphabet)}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token=special[0],
        eos_token=special[1],
        chat_template="{% for turn in messages %}{{ turn.content }}{% endfor %}",
    ).save_pretrained(folder)
    torch.manual_seed(0)
    LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(alphabet),
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=2048,
            bos_token_id=0,
            eos_token_id=1,
            initializer_range=0.4,
        )
    ).save_pretrained(folder)


def measure_two(folder: Path) -> Place:
    """Makes a study, and measures its base and the first checkpoint of its series."""
    place = Place(folder)
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY), encoding="utf-8")
    save_model(folder / "base")
    shutil.copytree(folder / "base", place.checkpoint(1))
    take_in(place, 1)
    models, graph = ModelPool(), place.graph
    for name, partition in graph.stale(graph.select(())):
        if graph.assets[name].group != "figures":  # drawn when all are there
            materialize(graph, name, partition, models=models)
    return place


def take_in(place: Place, step: int) -> str:
    """Takes a checkpoint in as the sensor does, without looking at all the others."""
    source = f"dir:{place.checkpoint(step)}"
    (watch,) = place.study.watch
    values = {"name": f"{_SERIES}-{step}", "source": source, "step": step}
    found = {"seen": snapshot(place.checkpoint(step)), "found_by": watch.place}
    return register(place.lake, place.study, watch.settings(source) | values | found).name


def grow(place: Place, steps: range) -> None:
    """Takes copies of the first checkpoint in, each with a digest of its own, as if measured."""
    names = []
    for step in steps:
        drop(place, step)
        names.append(take_in(place, step))
    copy_tables(place, names)
    with open_instance(place.lake) as instance:
        register_partitions(instance, place.graph.study)


def drop(place: Place, step: int) -> None:
    """Puts a copy of the first checkpoint where the study watches."""
    folder = place.checkpoint(step)
    shutil.copytree(place.checkpoint(1), folder)
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": step}), "utf-8")


def copy_tables(place: Place, names: list[str], leave: tuple[str, ...] = ()) -> None:
    """Gives checkpoints the rows of the first, in files that say what would be said of each."""
    graph, lake = place.graph, place.lake
    for asset in graph.assets.values():
        if not isinstance(asset, TableAsset) or not asset.partitioned or asset.name in leave:
            continue
        if not graph.has(asset.name, f"{_SERIES}-1"):
            continue
        first = asset.stored(lake, f"{_SERIES}-1")
        rows = lake.read(asset.table, f"{_SERIES}-1").to_batches()
        for name in names:
            data_version = graph.data_version_now(asset.name, name)
            assert first is not None
            assert data_version is not None
            made = replace(first, data_version=data_version.digest, parts=data_version.to_json())
            path = lake.path(asset.table, name)
            path.parent.mkdir(parents=True)
            write_parquet(path, asset.table.arrow_schema, rows, made.to_footer())


def draw_all(place: Place) -> None:
    """Draws what is stale, as a run does, whose figures share a graph."""
    graph = place.graph
    for name in [name for name, asset in graph.assets.items() if asset.group == "figures"]:
        with timed(f"  {name}"):
            if graph.has(name, None):
                materialize(graph, name)


@contextmanager
def timed(name: str) -> Iterator[None]:
    """Prints the time of a block, and what it took of the processors, child processes included."""
    before, start = os.times(), time.perf_counter()
    yield
    seconds, after = time.perf_counter() - start, os.times()
    busy = sum(after[:4]) - sum(before[:4])
    budget = f"  budget {BUDGETS[name]}" if name in BUDGETS else ""
    print(f"{name:40} {seconds:8.2f} {busy:8.2f}{budget}", flush=True)


def command(place: Place, name: str) -> None:
    """Runs a command on the study, as a process of its own."""
    run = "from orchestration.main import main; main()"
    with timed(name):
        subprocess.run(
            [sys.executable, "-c", run, name, place.folder / "study.yaml"],
            env=os.environ | {"ANCHORLAKE_LAKE": str(place.lake.root)},
            stdout=subprocess.PIPE,
            check=True,
        )


def tick(place: Place, sensor: dg.SensorDefinition, cursor: str | None, name: str) -> str | None:
    """Lets the sensor look once; gives what it is to remember."""
    with open_instance(place.lake) as instance, timed(name):
        with dg.build_sensor_context(instance=instance, cursor=cursor) as context:
            result = sensor(context)
        assert isinstance(result, dg.SensorResult)
    return result.cursor


def compare(place: Place, n: int) -> None:
    """Prints what a lake with so many checkpoints costs."""
    print(f"\n{n} checkpoints and their base\n{'':40} {'seconds':>8} {'busy':>8}")
    time.sleep(_SETTLES)
    with timed("all figures and the report, at first"):
        draw_all(place)
    command(place, "run")
    command(place, "check")
    sensor = build_defs(place.study, place.lake).resolve_sensor_def("new_checkpoints")
    cursor = tick(place, sensor, None, "the first tick")
    cursor = tick(place, sensor, cursor, "a tick that finds nothing")
    drop(place, n + 1)
    cursor = tick(place, sensor, cursor, "a tick that sees one for the first time")
    tick(place, sensor, cursor, "a tick that takes one in")
    results = ("summary", "comparisons")
    copy_tables(place, [f"{_SERIES}-{n + 1}"], leave=results)
    with timed("summary and comparisons of one more"):
        for name in results:
            materialize(place.graph, name, f"{_SERIES}-{n + 1}")
    with timed("all figures and the report"):
        draw_all(place)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("checkpoints", type=int, nargs="*", default=[10, 200], help="ascending")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = measure_two(Path(folder))
        there = 1
        for n in options.checkpoints:
            grow(place, range(there + 1, n + 1))
            compare(place, n)
            there = n + 1


if __name__ == "__main__":
    main()
