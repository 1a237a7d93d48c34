"""What is known of runs whose process is gone."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import psutil
import pytest
import sqlalchemy

from orchestration.instance import POSTGRES, PROCESS, fail_abandoned, open_instance
from orchestration.places import DATABASES, dagster_home
from warehouse import Lake

if TYPE_CHECKING:
    from collections.abc import Iterator


@dg.job
def nothing() -> None:
    pass


def test_a_run_whose_process_is_a_zombie_is_closed() -> None:
    with subprocess.Popen(["true"]) as process, dg.DagsterInstance.ephemeral() as instance:
        run = instance.create_run_for_job(
            nothing, status=dg.DagsterRunStatus.STARTED, tags={PROCESS: str(process.pid)}
        )
        while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        fail_abandoned(instance)
        closed = instance.get_run_by_id(run.run_id)
        assert closed is not None
        assert closed.status == dg.DagsterRunStatus.FAILURE


class Killed(BaseException):
    """Stands for a kill."""


@pytest.mark.parametrize("table", ["run_tags", "dynamic_partitions", "job_ticks"])
def test_databases_that_a_killed_process_had_begun_are_made_anew(
    table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    lake = Lake(tmp_path / "lake")

    def killed(made: sqlalchemy.Table, *_: object, **__: object) -> None:
        if made.name == table:
            raise Killed

    sqlalchemy.event.listen(sqlalchemy.Table, "before_create", killed)
    try:
        with pytest.raises(Killed):
            open_instance(lake)
    finally:
        sqlalchemy.event.remove(sqlalchemy.Table, "before_create", killed)
    assert any((dagster_home(lake) / database).exists() for database in DATABASES)
    for n_checkpoints in (1, 2):
        with open_instance(lake) as instance:
            instance.add_dynamic_partitions("checkpoint", [f"c{n_checkpoints}"])
            assert len(instance.get_dynamic_partitions("checkpoint")) == n_checkpoints
            assert instance.create_run_for_job(nothing)
            (pool,) = instance.event_log_storage.get_pool_limits()  # which the UI lists
            assert (pool.name, pool.limit) == ("model", 1)
            assert instance.schedule_storage is not None
            assert instance.schedule_storage.get_ticks("a", "b") == []
    assert not (dagster_home(lake) / ".making").exists()


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[str]:
    """The address of a PostgreSQL server that is started for a test, from the system's package."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs or importlib.util.find_spec("dagster_postgres") is None:
        pytest.skip("needs PostgreSQL (apt-get install postgresql) and the extra `postgres`")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        user = []
        if os.getuid() == 0:  # as whom it does not run
            shutil.chown(folder, "postgres")
            user = ["runuser", "-u", "postgres", "--"]
        data = ["-D", f"{folder}/data"]
        settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
        server = [*user, str(programs[-1] / "pg_ctl"), *data, "-w", "-l", f"{folder}/log"]
        made = [*user, str(programs[-1] / "initdb"), *data, "-A", "trust", "-U", "dagster"]
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL, cwd="/")
        subprocess.run([*server, "-o", settings, "start"], check=True, cwd="/")
        yield f"postgresql+psycopg2://dagster@127.0.0.1:{port}/postgres"
        subprocess.run([*server, "-m", "immediate", "stop"], check=True, cwd="/")


@pytest.mark.postgres
def test_an_instance_is_kept_in_postgresql(
    postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.setenv(POSTGRES, postgres)
    lake = Lake(tmp_path / "lake")
    for n_runs in (1, 2):
        with open_instance(lake) as instance:
            assert type(instance.run_storage).__name__ == "PostgresRunStorage"
            instance.create_run_for_job(nothing)
            assert instance.get_runs_count() == n_runs
            (pool,) = instance.event_log_storage.get_pool_limits()
            assert (pool.name, pool.limit) == ("model", 1)
            assert not instance.telemetry_enabled
    assert not any((dagster_home(lake) / database).exists() for database in DATABASES)
    with open_instance(lake) as instance:
        assert instance.schedule_storage is not None
        assert instance.schedule_storage.get_ticks("a", "b") == []
