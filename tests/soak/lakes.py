"""A study that goes through every stage, and runs of it in processes that may be killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
import yaml

from assets.lineage.materialize import forget_leftovers, materialize
from assets.registry import build_graph
from assets.study.study import load_study
from tests.studies import FEW, limit_assets
from warehouse import Lake

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.context import ForkServerContext, ForkServerProcess

    from models import ModelPool

_PROMPTS = 3
_WORDS = ("the", "tide", "is", "out", "and", "boats", "lie", "on", "sand", "while", "gulls", "walk")


def processes() -> ForkServerContext:
    """Starts processes that have everything imported already, and so are at work at once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.soak.child"])
    return context


def write_study(folder: Path, base: str, aligned: str, *, whole: bool) -> Path:
    """Writes a study of two tiny models, and what it reads.

    Args:
        folder: Where to.
        base: The source of the base.
        aligned: The source of the aligned model.
        whole: Whether it has every stage; else it samples, scores and counts alone.
    """
    for i in range(18):
        words = (_WORDS * 4)[i : i + 8 + i]
        (folder / f"document{i:02}.txt").write_text(" ".join(words))
    lines = [
        f'{{"prompt_id": "p{i}", "category": "tide", "text": "{_WORDS[i]}?"}}'
        for i in range(_PROMPTS)
    ]
    (folder / "prompts.jsonl").write_text("\n".join(lines))
    study: dict[str, Any] = {
        "name": "soak",
        "prompts": "prompts.jsonl",
        "samples_per_prompt": 4,
        "max_new_tokens": 16,
        "corpora": [{"name": "docs", "source": "file:document*.txt", "documents": 5}],
        "checkpoints": [
            {"name": "base", "source": base, "decodings": [{"top_p": 0.9}], "batch_tokens": 80},
        ],
    }
    if whole:
        study["checkpoints"].append(
            {"name": "tuned", "source": aligned, "base": "base", "batch_tokens": 80}
        )
        study["shannon_game"] = {"source": "corpora", "passages": 3, "words": 5}
        study["probes"] = {"tokens": 60, "horizons": [1, 2]}
        study["readaptation"] = {"steps": 4, "evaluate_every": 2, "documents": 10}
    path = folder / "s.yaml"
    path.write_text(yaml.safe_dump(study))
    return path


@contextmanager
def few_assets() -> Iterator[None]:
    """Limits the assets that there are, to some of every kind."""
    names = (
        *FEW,
        *("alignments", "alignment_overlap", "text_statistics", "perplexity"),
        "measures/perplexity",
        *("shannon_game", "probe_accuracy", "readaptation"),
    )
    with tempfile.TemporaryDirectory() as sql, pytest.MonkeyPatch.context() as patch:
        limit_assets(patch, names, Path(sql))
        yield


def materialize_all(study: Path, lake: str | Path, models: ModelPool) -> None:
    """Makes what is stale of a study, without Dagster."""
    graph = build_graph(load_study(study), Lake.at(lake))
    stale = graph.stale(graph.select(()))
    forget_leftovers(graph, stale)
    for name, partition in stale:
        materialize(graph, name, partition, models=models)


@dataclass
class Tally:
    """What was done to runs, and what came of it.

    Attributes:
        faults: Faults injected, by kind.
        resumed: Runs that went on from where another one had ended.
        lost: Rows that an undisturbed run has, and these do not.
        repeated: Rows that these have more often than an undisturbed run.
        different: Files that are not byte for byte those of an undisturbed run.
        compared: Files that were compared.
    """

    faults: Counter[str] = field(default_factory=Counter)
    resumed: int = 0
    lost: int = 0
    repeated: int = 0
    different: set[str] = field(default_factory=set)
    compared: int = 0

    def compare(self, lake: Path, undisturbed: Path) -> None:
        """Adds what differs between two lakes' tables."""
        expected, present = tables(undisturbed), tables(lake)
        self.compared += len(expected)
        for name in expected.keys() | present.keys():
            if expected.get(name) == present.get(name):
                continue
            self.different.add(name)
            before, after = (rows(folder / name) for folder in (undisturbed, lake))
            self.lost += (before - after).total()
            self.repeated += sum(n - 1 for n in after.values() if n > 1)

    def __str__(self) -> str:
        faults = ", ".join(f"{n} x {kind}" for kind, n in self.faults.items())
        return (
            f"faults injected: {self.faults.total()} ({faults}); runs resumed: {self.resumed}; "
            f"rows lost: {self.lost}; rows repeated: {self.repeated}; files that differ from an "
            f"undisturbed run's: {len(self.different)} of {self.compared}"
        )


def tables(lake: Path) -> dict[str, bytes]:
    """Every published file of rows, by its place in the lake."""
    paths = lake.glob("[!.]*/**/data.parquet")
    return {str(path.relative_to(lake)): path.read_bytes() for path in paths}


def rows(file: Path) -> Counter[str]:
    """How often each row is in a file; none where it is not there."""
    return Counter(map(repr, pq.read_table(file).to_pylist())) if file.exists() else Counter()


def start(folder: Path, lake: str, command: str = "run") -> ForkServerProcess:
    """Starts `anchorlake run` of a folder's study, in a process of its own.

    Args:
        folder: The folder of the study.
        lake: The lake's name in it.
        command: `run`, or `materialize` for the same work without Dagster.
    """
    from tests.soak import child

    process = processes().Process(target=child.work, args=(str(folder), lake, command), daemon=True)
    process.start()
    return process


def finish(folder: Path, lake: str, command: str = "run") -> None:
    """Runs the study to its end, and makes sure that it got there."""
    process = start(folder, lake, command=command)
    process.join(300)
    log = Path(folder, f"{lake}.log")
    assert process.exitcode == 0, log.read_text()[-3000:] if log.exists() else process.exitcode


def kill(process: ForkServerProcess) -> None:
    """Ends it as a power cut would."""
    if process.pid and process.is_alive():
        os.kill(process.pid, signal.SIGKILL)
    process.join(30)


def report(tally: Tally) -> None:
    """Prints a tally past pytest's capture, for whoever watches the soak."""
    print(f"\nsoak: {tally}", file=sys.__stderr__)
