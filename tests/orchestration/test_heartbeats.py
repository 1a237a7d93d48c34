"""Which runs are taken for dead, by whoever shares the instance with them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import dagster as dg
import psutil
import pytest
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run
from dagster._core.launcher import DefaultRunLauncher, WorkerStatus
from dagster._core.launcher.base import CheckRunHealthResult

from orchestration import heartbeats
from orchestration.heartbeats import SILENT, Heartbeat, beating, one_process, this_machine
from orchestration.instance import BY_COMMAND, fail_abandoned, open_instance
from warehouse import Lake

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STARTED, FAILURE = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.FAILURE


@dg.job(executor_def=one_process)
def nothing() -> None:
    pass


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def begin(
    instance: dg.DagsterInstance,
    heartbeat: Heartbeat | None,
    status: dg.DagsterRunStatus = STARTED,
    **tags: str,
) -> str:
    """A run in progress, with the last heartbeat of the process that works on it."""
    run_id = instance.create_run_for_job(nothing, status=status, tags=tags).run_id
    if heartbeat is not None:
        heartbeat.send(instance, run_id)
    return run_id


def status_of(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def test_a_process_of_this_machine_is_known_to_be_gone_at_once(
    instance: dg.DagsterInstance,
) -> None:
    with subprocess.Popen(["true"]) as process:
        while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        now = Heartbeat.now()
        zombie = begin(instance, replace(now, pid=process.pid))
        # Its number was given to another process, this one, which is younger than the heartbeat.
        reused = begin(instance, replace(now, time=psutil.Process().create_time() - 10))
        here = begin(instance, now)
        long_paused = begin(instance, replace(now, time=psutil.Process().create_time()))
        fail_abandoned(instance)
    assert status_of(instance, zombie) == status_of(instance, reused) == FAILURE
    assert status_of(instance, here) == status_of(instance, long_paused) == STARTED


def test_a_process_elsewhere_is_not_judged_by_numbers_of_this_machine(
    instance: dg.DagsterInstance,
) -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    now = Heartbeat.now()
    elsewhere = replace(now, machine="elsewhere", pid=process.pid)
    beating_there = begin(instance, elsewhere)
    paused_there = begin(instance, replace(elsewhere, time=now.time - SILENT + 30))
    silent_there = begin(instance, replace(elsewhere, pid=os.getpid(), time=now.time - SILENT - 1))
    of_another_executor = begin(instance, None)
    fail_abandoned(instance)
    assert status_of(instance, silent_there) == FAILURE
    for run_id in (beating_there, paused_there, of_another_executor):
        assert status_of(instance, run_id) == STARTED


@pytest.mark.slow
def test_a_container_beside_this_one_is_another_machine(tmp_path: Path) -> None:
    isolated = ["unshare", "--map-root-user", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*isolated, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs `unshare`, and to be allowed to use it")
    lake = Lake(tmp_path / "lake")
    with open_instance(lake) as instance:
        run_id = begin(instance, None)
    code = (
        "import sys; import dagster as dg; from orchestration.heartbeats import Heartbeat;"
        "instance = dg.DagsterInstance.get(); Heartbeat.now().send(instance, sys.argv[1])"
    )
    environment = os.environ | {"DAGSTER_HOME": str(tmp_path / "lake/.dagster")}
    command = [*isolated, sys.executable, "-c", code, run_id]
    subprocess.run(command, check=True, env=environment)
    with open_instance(lake) as instance:
        heartbeat = Heartbeat.of(instance, run_id)
        assert heartbeat is not None
        assert heartbeat.machine != this_machine()
        # What has its number here says nothing of it.
        assert status_of(instance, run_id) == STARTED
        replace(heartbeat, machine=this_machine(), pid=2**22 + 1).send(instance, run_id)
        fail_abandoned(instance)
        assert status_of(instance, run_id) == FAILURE


def test_a_run_that_never_began_is_given_up(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    starting = dg.DagsterRunStatus.STARTING
    run_id = instance.create_run_for_job(nothing, status=starting).run_id
    fail_abandoned(instance)
    assert status_of(instance, run_id) == starting
    later = time.time() + instance.run_monitoring_start_timeout_seconds + 1
    monkeypatch.setattr(time, "time", lambda: later)
    fail_abandoned(instance)
    assert status_of(instance, run_id) == FAILURE


def test_a_process_beats_for_as_long_as_it_works(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def last() -> float:
        heartbeat = Heartbeat.of(instance, "run")
        assert heartbeat is not None
        assert heartbeat.is_of_this_process
        return heartbeat.time

    def later_than(moment: float) -> float:
        while last() == moment:
            time.sleep(0.01)
        return last()

    monkeypatch.setattr(heartbeats, "EVERY", 0.02)
    with beating(instance, "run"):
        with monkeypatch.context() as patch:
            patch.setattr(instance.daemon_cursor_storage, "set_cursor_values", unreachable)
            silent_since = last()
            time.sleep(0.1)
            assert last() == silent_since
        later_than(later_than(silent_since))
    ended = last()
    time.sleep(0.1)
    assert last() == ended


def unreachable(pairs: object) -> None:
    raise ConnectionError


def test_a_run_of_dagsters_beats(instance: dg.DagsterInstance) -> None:
    run = instance.create_run_for_job(nothing)
    assert execute_run(InMemoryJob(nothing), run, instance).success
    heartbeat = Heartbeat.of(instance, run.run_id)
    assert heartbeat is not None
    assert heartbeat.is_of_this_process


class Telling(DefaultRunLauncher):
    """A launcher that can be asked of the runs that it launched, as those of clusters can."""

    status: WorkerStatus | None = None

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        if self.status is None:
            raise ConnectionError
        return CheckRunHealthResult(self.status)


@pytest.mark.whole
@pytest.mark.parametrize(
    ("status", "closed"),
    [
        (WorkerStatus.RUNNING, {"by command"}),
        (WorkerStatus.SUCCESS, {"by command"}),
        (WorkerStatus.FAILED, {"by command", "silent", "beating", "starting"}),
        (WorkerStatus.NOT_FOUND, {"by command", "silent", "beating"}),
        (WorkerStatus.UNKNOWN, {"by command", "silent"}),
        (None, {"by command", "silent"}),
    ],
)
def test_a_launcher_says_what_became_of_its_runs(
    status: WorkerStatus | None, closed: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Telling, "status", status)
    launcher = {"module": __name__, "class": "Telling"}
    with dg.instance_for_test(overrides={"run_launcher": launcher}) as instance:
        elsewhere = replace(Heartbeat.now(), machine="elsewhere")
        silent = replace(elsewhere, time=elsewhere.time - SILENT - 1)
        runs = {
            "beating": begin(instance, elsewhere),
            "silent": begin(instance, silent),
            "starting": begin(instance, None, dg.DagsterRunStatus.STARTING),
            "command": begin(instance, elsewhere, **{BY_COMMAND: "true"}),
            "by command": begin(instance, silent, **{BY_COMMAND: "true"}),
        }
        fail_abandoned(instance)
        assert {n for n, run_id in runs.items() if status_of(instance, run_id) == FAILURE} == closed
