"""What is known of runs whose process is gone."""

from __future__ import annotations

import subprocess
import time

import dagster as dg
import psutil

from orchestration.instance import PROCESS, fail_abandoned


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
