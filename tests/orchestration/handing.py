"""Runs handed to processes that go on to the next: one that is started for a run loads for long."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run
from dagster._core.launcher import DefaultRunLauncher

if TYPE_CHECKING:
    from dagster._core.launcher import LaunchRunContext

FOLDER = "ANCHORLAKE_TEST_RUNS"
"""The variable with the folder where runs are handed over, each as an empty file of its name."""


class Handing(DefaultRunLauncher):
    """Hands a run to whichever process takes it first."""

    def launch_run(self, context: LaunchRunContext) -> None:
        (Path(os.environ[FOLDER]) / f"{context.dagster_run.run_id}.launched").touch()


def main() -> None:
    """Takes runs, one after the other, until the folder is gone."""
    from orchestration.definitions import defs

    job = InMemoryJob(defs.resolve_implicit_global_asset_job_def())
    folder = Path(os.environ[FOLDER])
    with dg.DagsterInstance.get() as instance:
        while folder.exists():
            for handed in folder.glob("*.launched"):
                try:
                    taken = handed.rename(handed.with_suffix(f".{os.getpid()}"))
                except FileNotFoundError:
                    continue  # another was faster
                run = instance.get_run_by_id(taken.stem)
                assert run is not None
                execute_run(job, run, instance)
            time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
