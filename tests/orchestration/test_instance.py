"""What is known of runs whose process is gone."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

import dagster as dg
import psutil
import pytest
import sqlalchemy

from orchestration.instance import PROCESS, fail_abandoned, open_instance
from orchestration.places import DATABASES, dagster_home
from warehouse import Lake

if TYPE_CHECKING:
    from pathlib import Path


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
            assert instance.schedule_storage is not None
            assert instance.schedule_storage.get_ticks("a", "b") == []
    assert not (dagster_home(lake) / ".making").exists()
