"""Where an instance is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg
import pytest
import sqlalchemy

from orchestration.instance import POSTGRES, open_instance
from orchestration.places import DATABASES, dagster_home
from warehouse import Lake

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.whole


@dg.job
def nothing() -> None:
    pass


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
