"""Dagster's event log, with connections that stay open."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import dagster as dg
import psutil
import pytest
from dagster._core.storage.event_log import SqliteEventLogStorage

from orchestration.event_log import EventLog
from orchestration.instance import open_instance
from warehouse import Lake

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.whole

RUNS = 7


@dg.asset(check_specs=[dg.AssetCheckSpec("even", asset="counted")])
def counted() -> dg.MaterializeResult:
    return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=True)])


def open_databases() -> set[str]:
    paths = [file.path for file in psutil.Process().open_files()]
    return {path for path in paths if path.endswith(".db") and "history/runs/" in path}


def test_dagsters_own_log_reads_the_same_events(tmp_path: Path) -> None:
    with open_instance(Lake(tmp_path / "lake")) as instance:
        log = instance.event_log_storage
        assert isinstance(log, EventLog)
        runs = [dg.materialize([counted], instance=instance).run_id for _ in range(RUNS)]
        own = SqliteEventLogStorage(str(tmp_path / "lake/.dagster/history/runs"))
        assert sorted(own.get_all_run_ids()) == sorted(runs)
        for run in runs:
            events = own.get_logs_for_run(run)
            assert events == log.get_logs_for_run(run)
            kinds = [entry.dagster_event_type for entry in events]
            assert kinds.count(dg.DagsterEventType.ASSET_MATERIALIZATION) == 1
            assert kinds.count(dg.DagsterEventType.ASSET_CHECK_EVALUATION) == 1
            assert kinds[-1] == dg.DagsterEventType.RUN_SUCCESS
        latest = own.get_latest_materialization_events([counted.key])[counted.key]
        assert latest is not None
        assert latest.run_id == runs[-1]


def test_few_databases_stay_open_and_none_afterwards(tmp_path: Path) -> None:
    with open_instance(Lake(tmp_path / "lake")) as instance:
        for _ in range(RUNS):
            dg.materialize([counted], instance=instance)
        assert 1 <= len(open_databases()) <= 4
    assert open_databases() == set()
    for path in (tmp_path / "lake/.dagster/history/runs").glob("*.db"):
        with closing(sqlite3.connect(path)) as database:
            assert database.execute("pragma journal_mode").fetchone() == ("wal",)
            assert database.execute("pragma integrity_check").fetchone() == ("ok",)


def test_what_a_migration_may_add_is_looked_for_until_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []

    def has_table(log: SqliteEventLogStorage, name: str) -> bool:
        looked.append(name)
        return name == "there"

    log = EventLog(str(tmp_path))
    monkeypatch.setattr(SqliteEventLogStorage, "has_table", has_table)
    names = ["there", "there", "lacking", "lacking"]
    assert [log.has_table(name) for name in names] == [True, True, False, False]
    assert looked == ["there", "lacking", "lacking"]
    log.dispose()
