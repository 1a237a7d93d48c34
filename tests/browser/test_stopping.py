"""How `anchorlake ui` ends, with all that it started."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import dagster as dg
import psutil
import pytest

from orchestration.instance import open_instance
from orchestration.jobs import REFRESH
from orchestration.services import is_running
from tests.browser.running import PROGRAMS, until
from warehouse.tables import GENERATIONS

if TYPE_CHECKING:
    from tests.browser.running import Ui
    from tests.studies import Bench

pytestmark = pytest.mark.browser

WITHIN = 10
"""Seconds."""


def stop(ui: Ui, number: int) -> list[psutil.Process]:
    """Sends a signal; gives what is left."""
    assert ui.process is not None
    everything = ui.processes()
    sent = time.monotonic()
    ui.process.send_signal(number)
    assert ui.process.wait(WITHIN) == 130
    assert time.monotonic() - sent < WITHIN
    return [process for process in everything if is_running(process)]


def listening(ui: Ui) -> set[tuple[str, int]]:
    """Where its processes can be reached over the network."""
    return {
        tuple(connection.laddr)
        for process in ui.processes()
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }


def test_sigint_stops_all_although_a_script_had_it_ignored(bench: Bench, ui: Ui) -> None:
    bench.study()
    ui.start(ignoring_sigint=True)
    assert len(ui.processes()) == 5  # itself, the webserver, two code servers and the daemon
    assert listening(ui) == {("127.0.0.1", ui.port)}
    assert stop(ui, signal.SIGINT) == []
    ui.start()  # the port is free again at once
    assert stop(ui, signal.SIGTERM) == []


def test_a_run_that_is_stopped_with_it_goes_on_when_it_is_started_again(
    bench: Bench, ui: Ui
) -> None:
    def tries() -> list[tuple[str | None, str]]:
        """The number and the status of each try of the run that the sensor asked for."""
        with open_instance(bench.lake) as instance:
            runs = instance.get_runs(dg.RunsFilter(job_name=REFRESH), ascending=True)
            return [(run.tags.get("dagster/retry_number"), run.status.value) for run in runs]

    # Sampling takes longer than the end of all processes may, on a fast machine, too.
    samples = 900
    bench.study(samples_per_prompt=samples, max_new_tokens=100)
    ui.start()
    ui.sensor_on()
    staged = bench.lake.staging / "generations" / "llama"
    until(lambda: list(staged.glob("*.parquet")), "a batch is staged", every=0.01)
    assert len(ui.processes()) > 5
    assert stop(ui, signal.SIGTERM) == []
    assert not bench.lake.partitions(GENERATIONS)
    assert list(staged.glob("*.parquet"))
    assert tries() == [(None, "FAILURE")]

    ui.start()
    until(lambda: tries() == [(None, "FAILURE"), ("1", "SUCCESS")], "it is run again")
    query = "select count(*) as n, count(distinct (prompt_id, sample)) as d from generations"
    counted = subprocess.run(
        [PROGRAMS / "anchorlake", "sql", "--lake", "lake", "--format", "json", query],
        cwd=bench.folder,
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(counted.stdout) == [{"n": 3 * samples, "d": 3 * samples}]
    assert stop(ui, signal.SIGTERM) == []
