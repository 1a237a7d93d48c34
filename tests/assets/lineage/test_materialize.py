"""Nothing is made twice at once, and whoever waits is told so."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from assets.lineage.materialize import materialize
from assets.lineage.progress import Silent
from assets.registry import build_graph
from tests.studies import imported, write_jsonl

if TYPE_CHECKING:
    from tests.studies import Bench


class Listening(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.heard = threading.Event()

    def say(self, line: str) -> None:
        self.lines.append(line)
        self.heard.set()


def test_a_run_that_waits_for_another_says_so(bench: Bench) -> None:
    path = write_jsonl(bench.folder / "made.jsonl", imported("p", "a b"))
    study = bench.study(checkpoints=[{"name": "m", "source": f"file:{path}"}])
    graph = build_graph(study, bench.lake)
    materialize(graph, "prompts")
    materialize(graph, "checkpoints", "m")
    progress = Listening()
    made: list[object] = []

    def wait() -> None:
        made.append(materialize(graph, "generations", "m", progress=progress))

    waiting = threading.Thread(target=wait)
    with bench.lake.lock("generations.m"):
        waiting.start()
        assert progress.heard.wait(60)
        assert made == []
    waiting.join(60)
    assert made[0] is not None
    assert progress.lines == ["waiting for another run, which is making generations of m"]
    materialize(graph, "generations", "m", progress=progress)
    assert len(progress.lines) == 1
