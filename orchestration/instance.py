"""The Dagster instance of a lake: what ran, when, and what came out."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import psutil
from filelock import FileLock

if TYPE_CHECKING:
    from warehouse import Lake

PROCESS = "anchorlake/process"
"""Run tag with the process that a command's run is in."""

_SETTINGS = Path(__file__).with_name("dagster.yaml")
_UNFINISHED = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING]


def home(lake: Lake) -> Path:
    """The instance's folder: `$DAGSTER_HOME`, or `.dagster` in the lake; made where missing."""
    folder = Path(os.environ.get("DAGSTER_HOME") or lake.root / ".dagster").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "dagster.yaml").exists():
        shutil.copyfile(_SETTINGS, folder / "dagster.yaml")
    return folder


def open_instance(lake: Lake) -> dg.DagsterInstance:
    """Opens the instance, and closes the books on runs whose process is gone."""
    folder = home(lake)
    os.environ["DAGSTER_HOME"] = str(folder)
    with FileLock(folder / ".lock"):  # two processes that make its database at once trip each other
        instance = dg.DagsterInstance.get()
        instance.get_runs(limit=1)
    for run in instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED)):
        process = run.tags.get(PROCESS)
        if process is not None and not psutil.pid_exists(int(process)):
            instance.report_run_failed(run, "The command that ran it was stopped.")
    return instance
