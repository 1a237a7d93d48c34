"""The whole of it, as somebody sees it who looks on in a browser."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from orchestration.instance import open_instance
from tests.browser.running import PATIENCE, PROGRAMS, until
from warehouse.tables import GENERATIONS

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.running import Ui
    from tests.studies import Bench

pytestmark = pytest.mark.browser


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
