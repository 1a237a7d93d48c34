"""What Dagster is asked to run when checkpoints appear, and by the clock."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from assets.registry import build_graph
from assets.study.errors import InputError
from assets.study.registered import as_it_stands, remove
from assets.study.watching import take_in_new
from orchestration.build import build_defs
from tests.orchestration.daemon import Daemon
from tests.studies import FEW, PROMPTS, Bench
from warehouse import Lake, tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from assets.study import Study
    from models import Source

pytestmark = pytest.mark.whole

SMALL = {"samples_per_prompt": 1, "max_new_tokens": 3}


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.fixture(scope="module", autouse=True)
def _few_assets(limit_assets: Callable[..., None]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        limit_assets(patch, FEW)
        yield


@pytest.fixture(scope="module")
def measured_once(tmp_path_factory: pytest.TempPathFactory, llama_source: Source) -> Lake:
    """A lake with the study's own checkpoint and the figures; not to be written to."""
    bench = Bench(tmp_path_factory.mktemp("measured"), llama_source)
    bench.run(watching(bench), figures=True)
    return bench.lake


@pytest.fixture
def measured(bench: Bench, measured_once: Lake) -> Bench:
    """A folder for a study whose own checkpoint is measured."""
    shutil.copytree(measured_once.root, bench.lake.root)
    return bench


def watching(bench: Bench, **changes: Any) -> Study:
    watch = {"dir": "runs/checkpoint-*", "series": "dpo", "base": "llama", "role": "aligned"}
    return bench.study(**(SMALL | {"watch": [watch]} | changes))


def drop(bench: Bench, step: int) -> None:
    shutil.copytree(bench.llama.location, bench.folder / f"runs/checkpoint-{step}")


def daemon(bench: Bench, instance: dg.DagsterInstance, **changes: Any) -> Daemon:
    return Daemon(build_defs(watching(bench, **changes), bench.lake), instance)


def after_one_more(bench: Bench, instance: dg.DagsterInstance) -> Daemon:
    """A daemon that has taken in and measured `dpo-1`."""
    beside = daemon(bench, instance)
    drop(bench, 1)
    for _ in range(3):
        beside.tick()
    return beside


def stale(bench: Bench) -> list[tuple[str, str | None]]:
    graph = build_graph(as_it_stands(bench.study_there(), bench.lake), bench.lake)
    return list(graph.stale(graph.select(())))


def test_checkpoints_are_measured_as_they_come_each_once(
    bench: Bench, instance: dg.DagsterInstance
) -> None:
    beside = daemon(bench, instance)
    drop(bench, 100)
    (first,) = beside.tick()
    assert first.success
    assert beside.asked == ["refresh"]  # the study's own
    assert stale(bench) == []
    assert [result.success for result in beside.tick()] == [True]
    assert beside.asked == ["refresh", "dpo-100"]
    drop(bench, 200)
    assert beside.tick() == []
    assert "to be looked at again" in beside.said
    (second,) = beside.tick()
    assert second.success
    assert beside.asked == ["refresh", "dpo-100", "dpo-200"]
    assert stale(bench) == []
    assert instance.get_dynamic_partitions("checkpoint") == ["llama", "dpo-100", "dpo-200"]
    made = {event.asset_key.path[-1] for event in materialized(second) if event.partition}
    assert made >= {"generations", "token_distributions", "ngram_sharing", "summary"}
    figures = [e for e in materialized(second) if e.asset_key.path[0] in ("figures", "report")]
    assert figures
    assert beside.tick() == []
    assert beside.said == "nothing new"
    # A daemon that starts again, its cursor cleared, asks for nothing that was run.
    beside.cursor = None
    assert beside.tick() == beside.tick() == []


def test_a_first_load_that_starts_late_leaves_others_to_their_own_runs(
    bench: Bench, instance: dg.DagsterInstance
) -> None:
    beside = daemon(bench, instance)
    beside.tick(run=False)
    drop(bench, 1)
    beside.tick(run=False)
    beside.tick(run=False)
    assert beside.asked == ["refresh", "dpo-1"]
    assert beside.launch(beside.requests[0]).success
    assert bench.lake.partitions(tables.GENERATIONS) == ["llama"]
    assert beside.launch(beside.requests[1]).success
    assert stale(bench) == []
    assert len(instance.get_runs(dg.RunsFilter(tags={"dagster/partition": "dpo-1"}))) == 1


def materialized(result: dg.ExecuteInProcessResult) -> list[Any]:
    return [event for event in result.all_events if event.is_step_materialization]


def test_a_tick_that_was_cut_short_is_made_good_by_the_next(
    bench: Bench, instance: dg.DagsterInstance
) -> None:
    beside = daemon(bench, instance)
    beside.tick(run=False)
    drop(bench, 1)
    beside.tick(run=False)
    before = beside.cursor
    beside.tick(run=False)
    assert beside.asked == ["refresh", "dpo-1"]
    # The daemon died before it had launched anything or kept the cursor.
    beside.cursor, beside.keys, beside.asked = before, set(), []
    beside.tick(run=False)
    assert "dpo-1" in beside.asked


@pytest.mark.slow
def test_a_change_of_the_study_is_asked_for_once_and_reaches_all_that_was_measured(
    measured: Bench, instance: dg.DagsterInstance
) -> None:
    beside = after_one_more(measured, instance)
    assert beside.asked == ["dpo-1"]
    changed = {"samples_per_prompt": 2}
    beside.defs = build_defs(watching(measured, **changed), measured.lake)
    (result,) = beside.tick()
    assert result.success
    assert beside.asked == ["dpo-1", "refresh"]
    assert stale(measured) == []
    for checkpoint in ("llama", "dpo-1"):
        rows = measured.lake.read(tables.GENERATIONS, checkpoint)
        assert len(rows) == 2 * len(PROMPTS)
    assert beside.tick() == []
    # What it was before is another change, though its state is one that was run already.
    beside.defs = build_defs(watching(measured), measured.lake)
    assert [result.success for result in beside.tick()] == [True]
    assert stale(measured) == []


def test_weights_of_the_studys_own_that_are_written_over_are_measured_anew(
    bench: Bench, instance: dg.DagsterInstance, gemma: Source
) -> None:
    shutil.copytree(bench.llama.location, bench.folder / "own")
    beside = daemon(bench, instance, checkpoints=[{"name": "llama", "source": "dir:own"}])
    assert [beside.tick(run=False), beside.tick(run=False)] == [[], []]
    assert beside.asked == ["refresh"]
    shutil.rmtree(bench.folder / "own")
    shutil.copytree(gemma.location, bench.folder / "own")
    beside.tick(run=False)
    assert beside.asked == ["refresh", "refresh"]


def test_a_first_load_of_which_one_fails_is_one_run(
    bench: Bench, instance: dg.DagsterInstance
) -> None:
    names = ["llama", "other-0", "other-1", "other-2"]
    for name in names[1:]:
        shutil.copytree(bench.llama.location, bench.folder / name)
    config = bench.folder / "other-1/config.json"
    config.write_text(config.read_text().replace('"llama"', '"no-such-model"'))
    sources = [str(bench.llama), *(f"dir:{name}" for name in names[1:])]
    checkpoints = [{"name": n, "source": s} for n, s in zip(names, sources, strict=True)]
    beside = daemon(bench, instance, checkpoints=checkpoints, retries=0)
    (result,) = beside.tick()
    assert not result.success
    assert bench.lake.partitions(tables.GENERATIONS) == [n for n in names if n != "other-1"]
    assert [beside.tick(), beside.tick(), beside.tick()] == [[], [], []]
    assert beside.asked == ["refresh"]


def test_figures_that_nothing_else_draws_are_asked_for(
    measured: Bench, instance: dg.DagsterInstance
) -> None:
    beside = after_one_more(measured, instance)
    assert beside.tick() == []
    study = measured.study_there()
    build_graph(study, measured.lake).tables.values()
    remove(measured.lake, study, ["dpo-1"])
    shutil.rmtree(measured.folder / "runs/checkpoint-1")
    (result,) = beside.tick()
    assert result.success
    assert beside.requests[-1].run_key.startswith("figures as of ")
    assert stale(measured) == []
    assert beside.tick() == []
    # The same figures may be stale once more, as another request: Dagster runs no key twice.
    drawn = measured.lake.figures / "ngram_sharing/chart.json"
    for number in (2, 3):
        drawn.unlink()
        beside.cursor = json.dumps(json.loads(str(beside.cursor)) | {"looked": ""})
        (result,) = beside.tick()
        assert result.success
        assert beside.requests[-1].run_key.endswith(f"({number})")
        assert beside.tick() == []


def test_a_refresh_leaves_out_what_was_removed_before_it_started(
    measured: Bench, instance: dg.DagsterInstance
) -> None:
    beside = daemon(measured, instance)
    config = {"ops": {"materialize_stale": {"config": {"checkpoints": ["llama", "gone"]}}}}
    assert beside.launch(dg.RunRequest(job_name="refresh", run_config=config)).success


def test_a_file_that_cannot_be_read_is_said_and_the_cursor_is_kept(
    measured: Bench, instance: dg.DagsterInstance
) -> None:
    beside = daemon(measured, instance)
    (measured.folder / "prompts.jsonl").write_text("no JSON")
    drop(measured, 1)
    beside.tick(run=False)
    assert "no valid JSON" in beside.said
    assert "checkpoint-1" in str(beside.cursor)


def test_one_that_fails_holds_nobody_up(measured: Bench, instance: dg.DagsterInstance) -> None:
    beside = daemon(measured, instance, retries=0)
    drop(measured, 1)
    drop(measured, 2)
    beside.tick()
    config = measured.folder / "runs/checkpoint-1/config.json"
    kept = config.read_text()
    config.write_text(kept.replace('"llama"', '"no-such-model"'))
    results = [*beside.tick(), *beside.tick()]
    assert beside.asked == ["dpo-2", "dpo-1"]  # it was written to meanwhile
    assert [result.success for result in results] == [True, False]
    assert "dpo-2" in measured.lake.partitions(tables.GENERATIONS)
    left = {name for name, partition in stale(measured) if partition != "dpo-1"}
    assert left == {"figures/trajectory", "report"}  # the other figures show the last step
    config.write_text(kept)
    beside.tick()
    (again,) = beside.tick()
    assert again.success
    assert stale(measured) == []


def test_what_is_refused_or_broken_is_said_in_the_tick(
    bench: Bench, instance: dg.DagsterInstance
) -> None:
    beside = daemon(bench, instance)
    beside.tick(run=False)
    drop(bench, 1)
    (bench.folder / "runs/checkpoint-1/model.safetensors").rename(
        bench.folder / "runs/checkpoint-1/pytorch_model.bin"
    )
    drop(bench, 2)
    (bench.folder / "runs/checkpoint-2/config.json").unlink()
    assert beside.tick() == beside.tick() == []
    assert "`allow_pickle: true`" in beside.said
    assert "checkpoint-2" in beside.said


def test_one_that_is_gone_before_its_run_fails_and_says_so(
    measured: Bench, instance: dg.DagsterInstance
) -> None:
    beside = daemon(measured, instance)
    drop(measured, 1)
    beside.tick()
    beside.tick(run=False)
    assert beside.asked == ["dpo-1"]
    shutil.rmtree(measured.folder / "runs/checkpoint-1")
    job = beside.defs.resolve_job_def("measure_checkpoint")
    result = job.execute_in_process(instance=instance, partition_key="dpo-1", raise_on_error=False)
    reasons = {
        event.step_failure_data.user_failure_data.description
        for event in result.all_events
        if event.is_step_failure and event.step_failure_data.user_failure_data
    }
    assert any("were gone before it was measured" in reason for reason in reasons)
    assert not [node for node in stale(measured) if node[1] == "dpo-1"]


def test_what_a_command_measured_already_is_not_run_again(
    bench: Bench, instance: dg.DagsterInstance
) -> None:
    beside = daemon(bench, instance)
    drop(bench, 1)
    study = bench.study_there()
    take_in_new(study, bench.lake, say=lambda line: None, pause=0.01)
    bench.run(as_it_stands(study, bench.lake), figures=True)
    beside.tick(run=False)
    assert beside.asked == []
    drop(bench, 2)
    beside.tick()
    shutil.rmtree(bench.folder / "runs/checkpoint-2/")
    beside.tick(run=False)
    assert beside.said == "nothing new"


def test_one_that_is_gone_before_it_is_asked_for_is_said_to_be(
    bench: Bench, instance: dg.DagsterInstance
) -> None:
    beside = daemon(bench, instance)
    beside.tick(run=False)
    drop(bench, 1)
    take_in_new(bench.study_there(), bench.lake, say=lambda line: None, pause=0.01)
    shutil.rmtree(bench.folder / "runs/checkpoint-1")
    beside.tick(run=False)
    assert "the weights of dpo-1 were gone before it was measured" in beside.said
    assert beside.asked == ["refresh"]
    drop(bench, 1)  # as a trainer may that writes it anew
    beside.tick(run=False)
    beside.tick(run=False)
    assert beside.asked == ["refresh", "dpo-1"]


def test_the_schedule_does_what_a_run_does(measured: Bench, instance: dg.DagsterInstance) -> None:
    beside = daemon(measured, instance, schedule="0 3 * * *")
    schedule = beside.defs.resolve_schedule_def("refresh")
    assert schedule.cron_schedule == "0 3 * * *"
    drop(measured, 1)
    for _ in range(3):
        beside.tick(run=False)
    assert stale(measured) != []
    assert beside.launch(dg.RunRequest(job_name=schedule.job_name)).success
    assert stale(measured) == []
    assert measured.lake.partitions(tables.GENERATIONS) == ["dpo-1", "llama"]


def test_a_schedule_that_is_no_cron_expression(bench: Bench) -> None:
    with pytest.raises(InputError, match="schedule: found 'nightly'"):
        build_defs(bench.study(schedule="nightly"), bench.lake)


def test_steps_and_runs_are_tried_again_as_the_study_says(
    bench: Bench, instance: dg.DagsterInstance
) -> None:
    beside = daemon(bench, instance, retries=5)
    (step,) = beside.defs.resolve_assets_def(dg.AssetKey("generations")).node_def.node_defs
    assert step.retry_policy.max_retries == 5
    drop(bench, 1)
    sensor = beside.defs.resolve_sensor_def("new_checkpoints")
    with dg.build_sensor_context(instance=instance) as context:
        (request,) = sensor(context).run_requests
    assert request.tags == {"dagster/max_retries": "5"}
