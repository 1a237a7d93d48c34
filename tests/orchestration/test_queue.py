"""Fifty checkpoints queued at once, with the settings that ship and PostgreSQL."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pytest
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.workspace.load_target import ModuleTarget
from dagster._daemon.run_coordinator import QueuedRunCoordinatorDaemon

from assets.registry import build_graph
from orchestration.build import build_defs
from orchestration.instance import MODEL_POOL, POSTGRES, home, open_instance
from orchestration.names import Names
from orchestration.runner import run
from tests.orchestration.handing import FOLDER
from tests.studies import imported, write_jsonl
from warehouse.tables import GENERATIONS

if TYPE_CHECKING:
    from tests.studies import Bench

pytestmark = [pytest.mark.postgres, pytest.mark.whole]

ROOT = Path(__file__).parents[2]
CHECKPOINTS = [f"made-{number:02}" for number in range(50)]
ASSETS = ["checkpoints", "generations", "ngram_sharing"]
IN_POOL, PROCESSES = 2, 4
"""Runs that may be in the pool at once, and processes that would take some."""
PATIENCE = 300
"""Seconds within which some run ends, on a slow machine."""


def test_fifty_checkpoints_that_are_queued_at_once_are_all_measured(
    bench: Bench, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, name in enumerate(CHECKPOINTS):
        texts = [f"{number} a b c d e f g h i j", f"{number} k l m n o p q r s t"]
        write_jsonl(bench.folder / f"{name}.jsonl", imported("p", *texts))
    study = bench.study(
        checkpoints=[{"name": name, "source": f"file:{name}.jsonl"} for name in CHECKPOINTS]
    )
    handed = bench.folder / "handed"
    handed.mkdir()
    monkeypatch.setenv(POSTGRES, postgres)
    monkeypatch.setenv(FOLDER, str(handed))
    monkeypatch.setenv("ANCHORLAKE_STUDY", str(bench.folder / "study.yaml"))
    monkeypatch.setenv("ANCHORLAKE_LAKE", str(bench.lake.root))
    monkeypatch.setenv("DAGSTER_HOME", str(bench.folder / "instance"))
    with (home(bench.lake) / "dagster.yaml").open("a") as settings:
        settings.write("run_launcher: {module: tests.orchestration.handing, class: Handing}\n")

    defs, names = build_defs(study, bench.lake), Names.of(study)
    job = defs.resolve_implicit_global_asset_job_def()
    with open_instance(bench.lake) as instance:
        run(defs, build_graph(study, bench.lake), [("prompts", None)], instance)
        instance.event_log_storage.set_concurrency_slots(MODEL_POOL, IN_POOL)
        command = [sys.executable, "-m", "tests.orchestration.handing"]
        workers = [subprocess.Popen(command, cwd=ROOT) for _ in range(PROCESSES)]
        module = ModuleTarget("orchestration.definitions", None, str(ROOT), names.location)
        try:
            with create_test_daemon_workspace_context(module, instance) as workspace:
                requests = workspace.create_request_context()
                location = requests.get_code_location(names.location)
                there = location.get_repository("__repository__").get_full_job(job.name)
                queued = [
                    instance.create_run_for_job(
                        job,
                        asset_selection=frozenset(map(names.key, ASSETS)),
                        tags={"dagster/partition": name},
                        remote_job_origin=there.get_remote_origin(),
                        job_code_origin=there.get_python_origin(),
                    )
                    for name in CHECKPOINTS
                ]
                for one in queued:
                    instance.submit_run(one.run_id, requests)
                daemon = QueuedRunCoordinatorDaemon(interval_seconds=1)
                ended, latest = 0, time.monotonic()
                while ended < len(queued):
                    assert not [error for error in daemon.run_iteration(workspace) if error]
                    ended_now = len(runs_that_ended(instance))
                    latest = time.monotonic() if ended_now > ended else latest
                    ended = ended_now
                    assert time.monotonic() - latest < PATIENCE
                    time.sleep(0.2)
        finally:
            shutil.rmtree(handed)
            for worker in workers:
                assert worker.wait(PATIENCE) == 0
        runs = runs_that_ended(instance)
        assert {record.dagster_run.status for record in runs} == {dg.DagsterRunStatus.SUCCESS}
        assert {record.dagster_run.run_id for record in runs} == {one.run_id for one in queued}
        assert most_at_once(runs) == IN_POOL
        for asset in ASSETS:
            made = instance.fetch_materializations(dg.AssetKey(asset), limit=100).records
            assert sorted(str(record.partition_key) for record in made) == CHECKPOINTS
    for number, name in enumerate(CHECKPOINTS):
        texts = bench.lake.read(GENERATIONS, name)["text"].to_pylist()
        assert [text.split()[0] for text in texts] == [str(number)] * 2


def runs_that_ended(instance: dg.DagsterInstance) -> list[dg.RunRecord]:
    records = instance.get_run_records(dg.RunsFilter(tags={"dagster/partition": CHECKPOINTS}))
    return [record for record in records if record.dagster_run.is_finished]


def most_at_once(runs: list[dg.RunRecord]) -> int:
    """How many of them went on at once, at most."""
    changes = sorted([(run.end_time, -1) for run in runs] + [(run.start_time, 1) for run in runs])
    going_on = 0
    return max(going_on := going_on + change for _, change in changes)
