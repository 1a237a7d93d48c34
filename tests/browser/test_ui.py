"""The whole of it, as somebody sees it who looks on in a browser."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import psutil
import pytest

from orchestration.instance import open_instance
from warehouse.tables import GENERATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Page

    from tests.studies import Bench

pytestmark = pytest.mark.browser

PROGRAMS = Path(sys.executable).parent
ROOT = Path(__file__).parents[2]
PATIENCE = 300
"""Seconds that anything may take on a slow machine."""


@dataclass
class Ui:
    """`anchorlake ui`, running or not."""

    bench: Bench
    port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.bench.folder / "ui.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    PROGRAMS / "anchorlake",
                    "ui",
                    "study.yaml",
                    "--lake",
                    "lake",
                    "--port",
                    str(self.port),
                ],
                cwd=self.bench.folder,
                stdout=log,
                stderr=log,
            )
        until(self._answers, "the UI answers")

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/server_info", timeout=5):
                return True
        except OSError:
            return False

    def kill(self, how: int = signal.SIGKILL) -> None:
        """Kills everything that belongs to it, all at once."""
        assert self.process is not None
        everything = [psutil.Process(self.process.pid)]
        everything += everything[0].children(recursive=True)
        for process in everything:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(how)
        psutil.wait_procs(everything, timeout=30)

    def sensor_on(self) -> None:
        """What the switch in the browser does."""
        subprocess.run(
            [
                PROGRAMS / "dagster",
                "sensor",
                "start",
                "new_checkpoints",
                "-m",
                "orchestration.definitions",
                "-d",
                ROOT,
            ],
            check=True,
            capture_output=True,
            env={
                **os.environ,
                "DAGSTER_HOME": str(self.bench.lake.root / ".dagster"),
                "ANCHORLAKE_STUDY": str(self.bench.folder / "study.yaml"),
                "ANCHORLAKE_LAKE": str(self.bench.lake.root),
            },
        )


@pytest.fixture
def ui(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ui]:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = Ui(bench, port)
    yield running
    running.kill()


@pytest.fixture
def page(bench: Bench) -> Iterator[Page]:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    assert chromium, "these tests look at the UI in Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        opened = browser.new_page(viewport={"width": 1400, "height": 900})
        opened.set_default_timeout(60_000)
        yield opened
        opened.screenshot(path=bench.folder / "page.png")  # for whoever wonders why it failed
        browser.close()


def until(there: Callable[[], Any], what: str, *, every: float = 1.0) -> Any:
    """Waits for something, looking every so many seconds, and gives it."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := there():
            return found
        time.sleep(every)
    raise AssertionError(f"after {PATIENCE} s it is not so that {what}")


def study(bench: Bench, **changes: Any) -> None:
    watch = {"dir": "runs/checkpoint-*", "series": "dpo", "base": "llama"}
    bench.study(watch=[watch], watch_every=5, **changes)


def drop(bench: Bench, step: int) -> None:
    """Copies a checkpoint in, a file after the other, as a trainer writes them."""
    target = bench.folder / f"runs/checkpoint-{step}"
    target.mkdir(parents=True)
    for file in sorted(Path(bench.llama.location).iterdir()):
        shutil.copyfile(file, target / file.name)


def runs(bench: Bench, partition: str) -> list[dg.DagsterRun]:
    with open_instance(bench.lake) as instance:
        return instance.get_runs(dg.RunsFilter(tags={"dagster/partition": partition}))


def statuses(bench: Bench, partition: str) -> list[str]:
    return [run.status.value for run in runs(bench, partition)]


def anchorlake(bench: Bench, *arguments: str) -> str:
    return subprocess.run(
        [PROGRAMS / "anchorlake", *arguments, "--lake", "lake"],
        cwd=bench.folder,
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def sql(bench: Bench, query: str) -> Any:
    return json.loads(anchorlake(bench, "sql", "--format", "json", query))


def test_a_checkpoint_that_is_dropped_into_a_folder(bench: Bench, ui: Ui, page: Page) -> None:
    from playwright.sync_api import expect

    study(bench)
    ui.start()
    home = f"http://127.0.0.1:{ui.port}"

    page.goto(f"{home}/asset-groups")
    for group in ("sources", "generations", "blueprints", "predictions", "measurements", "figures"):
        page.get_by_text(group, exact=True).first.wait_for()

    page.goto(f"{home}/automation")
    page.get_by_text("new_checkpoints").first.wait_for()
    switch = page.locator("label[class*=formatSwitch]")
    switch.click()
    expect(switch.locator("input")).to_be_checked()

    drop(bench, 100)
    page.goto(f"{home}/runs")
    row = page.locator("[class*=RunsFeedRow_rowGrid]", has_text="measure_checkpoint").filter(
        has_text="partition: dpo-100"
    )
    row.get_by_text("Success").wait_for(timeout=PATIENCE * 1000)

    page.goto(f"{home}/assets/generations?view=partitions&partition=dpo-100")
    page.get_by_text("Materialized (2)").wait_for()
    page.get_by_text("p:0.9|T:1|S:4|max:12", exact=False).first.wait_for()

    page.goto(f"{home}/assets/figures/trajectory")
    page.get_by_text("[Show Markdown]").first.click()
    image = page.locator("img[src^='data:image/png;base64']")
    image.wait_for()
    assert image.evaluate("image => image.naturalWidth") > 200

    query = "select count(*) as n from generations where checkpoint = 'dpo-100'"
    assert sql(bench, query) == [{"n": 12}]
    assert statuses(bench, "dpo-100") == ["SUCCESS"]


def test_a_daemon_that_is_killed_measures_once_and_wholly(bench: Bench, ui: Ui) -> None:
    study(bench, samples_per_prompt=300, max_new_tokens=100)
    ui.start()
    ui.sensor_on()
    until(lambda: bench.lake.partitions(GENERATIONS), "the study's own checkpoint is measured")
    drop(bench, 100)
    staged = bench.lake.staging / "generations" / "dpo-100"
    until(lambda: list(staged.glob("*.parquet")), "a batch is put aside", every=0.01)
    ui.kill()
    assert statuses(bench, "dpo-100") == ["FAILURE"]  # told by whoever looks next

    ui.start()
    until(lambda: "SUCCESS" in statuses(bench, "dpo-100"), "it is run again")
    assert sorted(statuses(bench, "dpo-100")) == ["FAILURE", "SUCCESS"]
    counted = "select count(*) as n, count(distinct (prompt_id, sample)) as d from generations"
    assert sql(bench, f"{counted} where checkpoint = 'dpo-100'") == [{"n": 900, "d": 900}]
    until(lambda: (bench.lake.figures / "trajectory").exists(), "the figures are drawn")
    listed = anchorlake(bench, "checkpoints", "list", "study.yaml")
    (line,) = [line for line in listed.splitlines() if line.startswith("dpo-100")]
    assert " measured " in line
    (run,) = [run for run in runs(bench, "dpo-100") if run.status.value == "SUCCESS"]
    assert run.tags["dagster/retry_number"] == "1"
