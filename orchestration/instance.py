"""The Dagster instance of a lake: what ran, when, and what came out."""

from __future__ import annotations

import math
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from dagster._check import CheckError
from dagster._core.launcher import WorkerStatus
from filelock import FileLock

from assets.study.errors import InputError
from orchestration.heartbeats import Heartbeat
from orchestration.places import DATABASES, bad_settings, dagster_home
from warehouse.durable import in_one_step

if TYPE_CHECKING:
    from collections.abc import Callable

    from warehouse import Lake

BY_COMMAND = "anchorlake/by_command"
"""Run tag of what `run` runs in its own process; other runs are the run launcher's."""

MODEL_POOL = "model"
"""The pool of runs that load a model."""
_LOOK_AGAIN = 1.0
"""Seconds between looks at a pool that is full."""

POSTGRES = "ANCHORLAKE_POSTGRES"
"""The variable with the address of the PostgreSQL database that an instance is kept in."""
RAY = "ANCHORLAKE_RAY"
"""The variable with the address of the Ray cluster that runs are launched on."""
_MAKING = ".making"
"""A file in the instance's folder while its databases are made; who is killed then leaves it."""
_UNFINISHED = [
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.CANCELING,
]


def home(lake: Lake) -> Path:
    """The instance's folder: `$DAGSTER_HOME`, or `.dagster` in the lake; made where missing."""
    folder = dagster_home(lake)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "dagster.yaml").exists():
        with in_one_step(folder / "dagster.yaml") as unfinished:
            unfinished.write_text(_settings(), "utf-8")
    return folder


def _settings() -> str:
    """What an instance begins with, by where it is kept and where its runs are launched.

    Raises:
        InputError: Runs are launched on a cluster, and its machines could not reach the database.
    """
    if os.environ.get(RAY) and not os.environ.get(POSTGRES):
        raise InputError(
            f"${RAY} is set, and the machines of a cluster cannot share a database in files; set "
            f"${POSTGRES} to the address of a database in PostgreSQL, too"
        )
    names = [
        "dagster",
        "dagster-postgres" if os.environ.get(POSTGRES) else "dagster-sqlite",
        "dagster-ray" if os.environ.get(RAY) else "dagster-local",
    ]
    return "".join(Path(__file__).with_name(f"{name}.yaml").read_text("utf-8") for name in names)


def open_instance(lake: Lake) -> dg.DagsterInstance:
    """Opens the instance, and closes the books on runs whose process is gone.

    Raises:
        InputError: Its settings are none of Dagster's, or cannot be written as they are asked for.
    """
    folder = home(lake)
    os.environ["DAGSTER_HOME"] = str(folder)
    with FileLock(folder / ".lock"):  # two processes that make its database at once trip each other
        try:
            instance = _open(folder)
        except (dg.DagsterInvalidConfigError, CheckError) as error:
            reason = " ".join(str(error).split("Expected:")[0].split())
            raise bad_settings(folder, reason) from error
    fail_abandoned(instance)
    return instance


def _open(folder: Path) -> dg.DagsterInstance:
    """Opens the instance with all of its databases.

    Dagster makes each in several steps, and uses one of which some were not done as it is, for
    ever. So those that a killed process had begun are removed first; nothing was in them yet.
    """
    making = folder / _MAKING
    if making.exists():
        for database in DATABASES:
            for path in folder.glob(f"{database}*"):
                path.unlink()
    if not any((folder / database).exists() for database in DATABASES):
        making.touch()
    instance = dg.DagsterInstance.get()
    instance.get_runs(limit=1)
    _show_pool(instance)
    if instance.schedule_storage is not None:
        instance.schedule_storage.all_instigator_state()
    making.unlink(missing_ok=True)
    return instance


def _show_pool(instance: dg.DagsterInstance) -> None:
    """Gives the pool `model` the default limit, unless it has one: the UI lists what has limits."""
    storage = instance.event_log_storage
    if all(pool.name != MODEL_POOL for pool in storage.get_pool_limits()):
        storage.initialize_concurrency_limit_to_default(MODEL_POOL)


def fail_abandoned(instance: dg.DagsterInstance) -> None:
    """Reports runs as failed whose process is gone, so that they can be retried.

    Dagster itself never notices of runs that it started on this machine, or that a command did, and
    would take them for running for ever.
    """
    for record in instance.get_run_records(dg.RunsFilter(statuses=_UNFINISHED)):
        run = record.dagster_run
        if not _is_gone(instance, record):
            continue
        if run.status == dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run)
        else:
            instance.report_run_failed(run, "The process that ran it was stopped.")


def _is_gone(instance: dg.DagsterInstance, record: dg.RunRecord) -> bool:
    """Whether nothing works on an unfinished run: as its launcher says, or else its heartbeat."""
    run, launcher = record.dagster_run, instance.run_launcher
    is_starting = run.status == dg.DagsterRunStatus.STARTING
    if launcher.supports_check_run_worker_health and BY_COMMAND not in run.tags:
        with suppress(Exception):  # what it asks, such as a cluster, may not answer
            status = launcher.check_run_worker_health(run).status
            if status == WorkerStatus.FAILED:
                return True
            if status == WorkerStatus.NOT_FOUND and not is_starting:
                return True
            if status in (WorkerStatus.RUNNING, WorkerStatus.SUCCESS):
                return False
    heartbeat = Heartbeat.of(instance, run.run_id)
    if heartbeat is None and is_starting:
        allowed = instance.run_monitoring_start_timeout_seconds
        return 0 < allowed < time.time() - record.update_timestamp.timestamp()
    return heartbeat is not None and heartbeat.has_stopped


def wait_for_pool(instance: dg.DagsterInstance, say: Callable[[str], None]) -> None:
    """Waits until the pool `model` has room for one more run; a queue waits for it by itself.

    Args:
        instance: The instance.
        say: Told once that there is something to wait for.
    """
    waiting = False
    while len(runs := _runs_in_pool(instance)) >= _pool_limit(instance):
        if not waiting:
            say(f"waiting for the run {runs[0].run_id}, which is in the pool {MODEL_POOL!r}")
        waiting = True
        time.sleep(_LOOK_AGAIN)
        fail_abandoned(instance)


def _runs_in_pool(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    """The runs of other processes that are in the pool."""
    return [
        run
        for run in instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED))
        if run.run_op_concurrency is not None
        and MODEL_POOL in (run.run_op_concurrency.all_pools or ())
        and not _is_own(instance, run)
    ]


def _is_own(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    heartbeat = Heartbeat.of(instance, run.run_id)
    return heartbeat is not None and heartbeat.is_of_this_process


def _pool_limit(instance: dg.DagsterInstance) -> float:
    """How many runs may be in it: the limit set in the UI, or the instance's own."""
    for pool in instance.event_log_storage.get_pool_limits():
        if pool.name == MODEL_POOL:
            return int(pool.limit)
    default = instance.get_concurrency_config().pool_config.default_pool_limit
    return math.inf if default is None else default
