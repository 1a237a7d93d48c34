"""What Dagster is given."""

from __future__ import annotations

import importlib
import json
import subprocess
from dataclasses import replace
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest

from assets.lineage.asset import TableAsset
from assets.registry import build_graph
from orchestration import runner
from orchestration.assets import FORCE
from orchestration.build import build_defs
from orchestration.heartbeats import Heartbeat
from orchestration.instance import open_instance
from orchestration.partitions import register
from orchestration.runner import run, stages
from tests.studies import FEW, PROMPTS, Bench, imported, write_jsonl
from warehouse.checks import CHECKS
from warehouse.tables import GENERATIONS, TOKEN_DISTRIBUTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from assets.lineage.graph import AssetGraph

pytestmark = pytest.mark.whole

SNAPSHOT = Path(__file__).with_name("assets.json")


SETTINGS: dict[str, Any] = {
    "corpora": [{"name": "docs", "source": "pydoc:topics", "documents": 3, "max_words": 20}],
    "prefixes": {"documents": 2, "words": 4},
    "shannon_game": {"source": "corpora", "passages": 3, "words": 8},
    "probes": {"prompt_sets": ["prompts"]},
    "readaptation": {"documents": 10, "steps": 2},
    "preferences": [{"name": "pairs", "source": "file:pairs.jsonl"}],
    "choices": [
        {"name": "q", "source": "file:questions.jsonl", "conditions": ["direct", "reasoned"]}
        | {"reasoning_tokens": 8}
    ],
}
QUESTION = {"question": "q", "options": ["a", "b"], "answer": 0}
PAIR = {"prompt": "p", "chosen": "a", "rejected": "b"}


def study(bench: Bench) -> Any:
    write_jsonl(bench.folder / "made.jsonl", imported("p", "a b c d e", "a b c d e"))
    write_jsonl(bench.folder / "pairs.jsonl", [PAIR])
    write_jsonl(bench.folder / "questions.jsonl", [QUESTION])
    return bench.study(
        checkpoints=[
            {"name": "elsewhere", "source": "file:made.jsonl"},
            {"name": "llama", "source": str(bench.llama), "decodings": [{"top_p": 0.9}]},
        ],
        **SETTINGS,
    )


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.mark.core
def test_every_asset_is_as_it_was_agreed(bench: Bench) -> None:
    """A change here is one that users of the UI see: look at it, then write the file anew."""
    defs = build_defs(study(bench), bench.lake)
    found = {
        spec.key.to_user_string(): {
            "group": spec.group_name,
            "reads": sorted(dep.asset_key.to_user_string() for dep in spec.deps),
            "partitioned": spec.partitions_def is not None,
            "kinds": sorted(spec.kinds),
            "description": spec.description,
        }
        for spec in defs.resolve_all_asset_specs()
    }
    assert found == json.loads(SNAPSHOT.read_text())


def test_every_table_has_checks_and_every_model_step_pool_and_retries(bench: Bench) -> None:
    defs = build_defs(study(bench), bench.lake)
    graph = build_graph(study(bench), bench.lake)
    for asset in graph.present:
        definition = defs.resolve_assets_def(dg.AssetKey(asset.name.split("/")))
        if isinstance(asset, TableAsset):
            assert tuple(check.name for check in definition.check_specs) == CHECKS
        (step,) = definition.node_def.node_defs
        assert step.pool == ("model" if asset.uses_model else None)
        assert (step.retry_policy is not None) == asset.uses_model


def test_the_module_that_dagster_loads(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    study(bench)
    monkeypatch.setenv("ANCHORLAKE_STUDY", str(bench.folder / "study.yaml"))
    monkeypatch.setenv("ANCHORLAKE_LAKE", str(bench.lake.root))
    module = importlib.reload(importlib.import_module("orchestration.definitions"))
    dg.Definitions.validate_loadable(module.defs)
    assert module.defs.metadata["lake"].value == str(bench.lake.root)


@pytest.mark.parametrize(
    "few_assets", [(*FEW, "text_statistics", "measures/support")], ids=["few"], indirect=True
)
@pytest.mark.usefixtures("few_assets")
def test_materializing_writes_tables_checks_and_metadata(
    bench: Bench, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_SOON", 0.0)  # the run is to have a first report before its last
    read = study(bench)
    defs = build_defs(read, bench.lake)
    graph = build_graph(read, bench.lake)
    nodes = graph.select(())
    said: list[str] = []
    outcome = run(defs, graph, nodes, instance, say=said.append)
    assert outcome.failures == []
    assert sorted(outcome.made, key=str) == sorted(nodes, key=str)
    assert [line.partition(":")[0] for line in said] == [
        "tiny",
        "elsewhere",
        "llama",
        *("a first report of what is there, before the rest is made", "elsewhere", "llama", "tiny"),
        "llama",
        "elsewhere",
        "llama",
        "tiny",
    ]

    event = instance.get_latest_materialization_event(dg.AssetKey("generations"))
    metadata = event.asset_materialization.metadata
    assert metadata["dagster/row_count"].value == 14
    assert metadata["signature"].value.startswith("p:0.9|T:1|S:4|max:12")
    assert metadata["tokens per second"].value > 0
    figure = instance.get_latest_materialization_event(dg.AssetKey(["figures", "ngram_sharing"]))
    preview = figure.asset_materialization.metadata["preview"].value
    assert preview.startswith("![preview](data:image/png;base64,")
    assert len(preview) < 150_000
    records = instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(dg.AssetKey("generations"), "not_empty"), limit=5
    )
    assert [record.status.value for record in records] == ["SUCCEEDED"] * 2


@pytest.mark.usefixtures("few_assets")
def test_what_is_up_to_date_is_skipped_unless_forced(
    bench: Bench, instance: dg.DagsterInstance
) -> None:
    read = study(bench)
    defs = build_defs(read, bench.lake)
    graph = build_graph(read, bench.lake)
    nodes = graph.select(["generations"])
    run(defs, graph, nodes, instance)
    path = bench.lake.path(GENERATIONS, "llama")
    written = path.stat().st_mtime_ns
    run(defs, graph, nodes, instance)
    assert path.stat().st_mtime_ns == written
    event = instance.get_latest_materialization_event(dg.AssetKey("generations"))
    assert event.asset_materialization.metadata["up to date"].value is True
    run(defs, graph, nodes, instance, force=True)
    assert path.stat().st_mtime_ns > written
    assert instance.get_runs(limit=1)[0].tags[FORCE] == "true"


@pytest.mark.core
def test_rows_that_break_a_declaration_fail_their_check_and_stop_what_reads_them(
    bench: Bench, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    from assets.generations import generations

    read = study(bench)
    once = generations._imported
    monkeypatch.setattr(
        generations, "_imported", lambda s, c: __import__("pyarrow").concat_tables([once(s, c)] * 2)
    )
    graph = build_graph(read, bench.lake)
    nodes = list(graph.select(["ngram_sharing"], ["elsewhere"]))
    outcome = run(build_defs(read, bench.lake), graph, nodes, instance)
    ((name, reason),) = outcome.failures
    assert name == "generations (elsewhere)"
    assert "grain_unique_and_not_null: 2 of 4 rows" in reason
    assert ("ngram_sharing", "elsewhere") not in outcome.made
    assert bench.lake.files(GENERATIONS, "elsewhere") == []


@pytest.mark.usefixtures("few_assets")
def test_a_measurement_cannot_run_before_what_it_reads(
    bench: Bench, instance: dg.DagsterInstance
) -> None:
    read = study(bench)
    graph = build_graph(read, bench.lake)
    nodes = [("ngram_sharing", "elsewhere")]
    outcome = run(build_defs(read, bench.lake), graph, nodes, instance)
    ((_, reason),) = outcome.failures
    assert "reads generations, which the lake does not have yet" in reason


def test_a_study_has_assets_only_for_what_it_names(bench: Bench) -> None:
    write_jsonl(bench.folder / "made.jsonl", imported("p", "a b"))
    made = {"name": "elsewhere", "source": "file:made.jsonl"}
    defs = build_defs(bench.study(checkpoints=[made]), bench.lake)
    names = {spec.key.to_user_string() for spec in defs.resolve_all_asset_specs()}
    absent = {"documents", "passages", "token_distributions", "perplexity", "figures/perplexity"}
    assert names >= {"prompts", "generations", "ngram_sharing", "figures/ngram_sharing", "report"}
    assert not names & absent


@pytest.mark.usefixtures("few_assets")
def test_what_is_not_measured_is_not_there_and_holds_nothing_else_up(
    bench: Bench, instance: dg.DagsterInstance
) -> None:
    write_jsonl(bench.folder / "made.jsonl", imported("p", "a b c d e", "a b c d e"))
    llama = {"name": "llama", "source": str(bench.llama)}
    elsewhere = {"name": "elsewhere", "source": "file:made.jsonl"}
    read = bench.study(checkpoints=[elsewhere, llama])
    register(instance, read)
    # All there is, as "Materialize all" in the UI asks for it.
    result = (
        build_defs(read, bench.lake)
        .resolve_implicit_global_asset_job_def()
        .execute_in_process(instance=instance, partition_key="elsewhere")
    )
    assert result.success
    made = {e.asset_key.to_user_string() for e in result.all_events if e.is_step_materialization}
    assert {"generations", "ngram_sharing", "figures/ngram_sharing", "report"} <= made
    assert not {"token_distributions", "text_statistics", "perplexity"} & made
    assert instance.get_latest_materialization_event(dg.AssetKey("token_distributions")) is None
    records = instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(dg.AssetKey("token_distributions"), "not_empty"), limit=5
    )
    assert "SUCCEEDED" not in {record.status.value for record in records}
    assert not bench.lake.files(TOKEN_DISTRIBUTIONS)


def stale_in_dagster(defs: dg.Definitions, instance: dg.DagsterInstance, graph: AssetGraph) -> set:
    """What Dagster says is missing or stale of what it looks at."""
    resolver = CachingStaleStatusResolver(
        instance, defs.resolve_asset_graph(), LoadingContextForTest(instance)
    )
    return {
        (name, partition)
        for name, partition in graph.select(())
        if resolver.get_status(dg.AssetKey(name.split("/")), partition) != StaleStatus.FRESH
    }


@pytest.mark.usefixtures("few_assets")
def test_dagster_says_stale_of_what_check_says_it_of(
    bench: Bench, instance: dg.DagsterInstance
) -> None:
    def models(**changes: Any) -> Any:
        return bench.study(max_new_tokens=3, samples_per_prompt=2, **changes)

    def agreed() -> set:
        read = bench.study_there()
        graph = build_graph(read, bench.lake)
        stale = set(graph.stale(graph.select(())))
        assert stale_in_dagster(build_defs(read, bench.lake), instance, graph) == stale
        return stale

    read = models()
    graph = build_graph(read, bench.lake)
    run(build_defs(read, bench.lake), graph, graph.select(()), instance)
    assert agreed() == set()
    bench.study(max_new_tokens=3, samples_per_prompt=3)
    assert {("generations", "llama"), ("ngram_sharing", "llama"), ("report", None)} <= agreed()
    read = bench.study_there()
    graph = build_graph(read, bench.lake)
    run(build_defs(read, bench.lake), graph, graph.select(["ngram_sharing"]), instance)
    stale = set(graph.stale(graph.select(())))
    assert ("ngram_sharing", "llama") not in stale
    # What gathers measures waits for those that were not selected, which Dagster does not see.
    waiting = {("summary", "llama"), ("comparisons", "llama"), ("figures/ngram_sharing", None)}
    assert stale - stale_in_dagster(build_defs(read, bench.lake), instance, graph) <= waiting
    assert not graph.stale(graph.select(["ngram_sharing"]))


@pytest.mark.parametrize(
    "change",
    [
        {"samples_per_prompt": 5},
        {"max_new_tokens": 11},
        {"seed": 1},
        {"prompts": "others.jsonl", "probes": {"prompt_sets": ["others"]}},
        {"aligner": "mafft"},
        {"corpora": [{"name": "docs", "source": "pydoc:topics", "documents": 2}]},
        {"prefixes": {"documents": 1, "words": 4}},
        {"shannon_game": {"source": "corpora", "passages": 2, "words": 8}},
        {"preferences": [{"name": "others", "source": "file:pairs.jsonl"}]},
        {"probes": {"prompt_sets": ["prompts"], "horizons": [1]}},
        {"readaptation": {"documents": 12, "steps": 2}},
        {"diversity_sweep": {"top_p": [0.5], "prompts": 1}},
        {"drift": [{"measure": "perplexity", "over": 9.0}]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_setting_that_changes_an_asset_changes_its_code_version(
    bench: Bench, change: dict[str, Any]
) -> None:
    """Of what is changed for all checkpoints Dagster learns by the code version alone."""
    (bench.folder / "others.jsonl").write_text(json.dumps(PROMPTS[0]))
    write_jsonl(bench.folder / "pairs.jsonl", [PAIR])
    write_jsonl(bench.folder / "questions.jsonl", [QUESTION])
    steps = [
        {"name": f"step-{i}", "source": str(bench.llama), "series": "run", "step": i}
        for i in (1, 2)
    ]
    given = SETTINGS | {"checkpoints": steps}
    before = build_graph(bench.study(**given), bench.lake)
    after = build_graph(bench.study(**(given | change)), bench.lake)
    old, new = before.code_versions(), after.code_versions()
    changed = {
        name
        for name, partition in after.select(())
        if before.has(name, partition)
        and before.data_version_after(name, partition) != after.data_version_after(name, partition)
    }
    assert changed
    assert changed <= {name for name in new if new[name] != old[name]}


@pytest.mark.usefixtures("few_assets")
def test_a_partition_that_no_checkpoint_stands_behind_fails(
    bench: Bench, instance: dg.DagsterInstance
) -> None:
    defs = build_defs(study(bench), bench.lake)
    instance.add_dynamic_partitions("checkpoint", ["nobody"])
    result = defs.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance,
        partition_key="nobody",
        asset_selection=[dg.AssetKey("generations")],
        raise_on_error=False,
    )
    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    reason = failure.step_failure_data.user_failure_data.description
    assert reason == "the study has no checkpoint 'nobody'; it has elsewhere, llama"
    assert instance.get_latest_materialization_event(dg.AssetKey("generations")) is None


@pytest.mark.usefixtures("few_assets")
def test_dagster_is_told_the_data_version(bench: Bench, instance: dg.DagsterInstance) -> None:
    read = study(bench)
    graph = build_graph(read, bench.lake)
    run(build_defs(read, bench.lake), graph, graph.select(["generations"]), instance)
    for name, checkpoint in (("generations", "llama"), ("prompts", None)):
        (record,) = instance.fetch_materializations(
            dg.AssetRecordsFilter(
                asset_key=dg.AssetKey(name),
                asset_partitions=[checkpoint] if checkpoint else None,
            ),
            limit=1,
        ).records
        stored = bench.lake.provenance(graph.tables[name], checkpoint)
        assert stored is not None
        tags = record.asset_materialization.tags
        assert tags["dagster/data_version"] == stored.data_version


@pytest.mark.usefixtures("few_assets")
def test_a_partner_that_failed_is_scored_once_it_is_there(
    bench: Bench, instance: dg.DagsterInstance
) -> None:
    path = bench.folder / "partner.jsonl"
    write_jsonl(path, imported("p", "a b"))
    llama = {"name": "llama", "source": str(bench.llama), "decodings": [{"top_p": 0.9}]}
    partner = {"name": "partner", "source": "file:partner.jsonl", "base": "llama"}
    read = bench.study(checkpoints=[llama, partner], samples_per_prompt=1, max_new_tokens=4)
    graph = build_graph(read, bench.lake)
    nodes = [n for n in graph.select(["token_distributions"]) if n != ("generations", "partner")]
    assert run(build_defs(read, bench.lake), graph, nodes, instance).failures == []
    conditions = bench.lake.read(TOKEN_DISTRIBUTIONS, "llama")["condition"].unique().to_pylist()
    assert conditions == ["own"]
    nodes = list(graph.stale(graph.select(["token_distributions"])))
    assert nodes == [
        ("generations", "partner"),
        ("scored_texts", "llama"),
        ("token_distributions", "llama"),
    ]
    assert run(build_defs(read, bench.lake), graph, nodes, instance).failures == []
    conditions = bench.lake.read(TOKEN_DISTRIBUTIONS, "llama")["condition"].unique().to_pylist()
    assert conditions == ["own", "partner"]


@pytest.mark.core
def test_a_run_is_a_checkpoint(bench: Bench) -> None:
    graph = build_graph(study(bench), bench.lake)
    found = [
        [(partition, len(nodes)) for partition, nodes in stage]
        for stage in stages(graph, graph.select(()))
    ]
    assert found == [
        [(None, 6)],  # what comes in
        [("elsewhere", 27), ("llama", 44)],  # what is written, and what is made of it
        # What is predicted, partners' text included, and what is counted beside a base's texts.
        [("llama", 33), ("elsewhere", 2)],
        [("elsewhere", 2), ("llama", 2)],  # summary and comparisons, whatever measure failed
        [(None, 20)],  # figures
    ]


@pytest.mark.usefixtures("few_assets")
def test_a_run_whose_process_is_gone_is_closed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    defs = build_defs(study(bench), bench.lake)
    job = defs.resolve_implicit_global_asset_job_def()
    with open_instance(bench.lake) as kept:
        register(kept, bench.study_there())
        left = kept.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
        with subprocess.Popen(["true"]) as process:
            process.wait()
        replace(Heartbeat.now(), pid=process.pid).send(kept, left.run_id)
    with open_instance(bench.lake) as kept:
        assert kept.get_run_by_id(left.run_id).status == dg.DagsterRunStatus.FAILURE
        assert kept.get_dynamic_partitions("checkpoint") == ["elsewhere", "llama"]
        assert not kept.telemetry_enabled


def test_a_run_that_is_stopped_is_left_to_a_later_daemon(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*arguments: Any) -> Any:
        raise dg.DagsterExecutionInterruptedError

    monkeypatch.setattr("models.sampling._run_batch", stopped)
    read = bench.study()
    job = build_defs(read, bench.lake).resolve_implicit_global_asset_job_def()
    retries = {"enabled": True, "max_retries": 1, "retry_on_asset_or_op_failure": False}
    with dg.DagsterInstance.ephemeral(settings={"run_retries": retries}) as instance:
        register(instance, read)
        result = job.execute_in_process(
            instance=instance,
            partition_key="llama",
            asset_selection=[dg.AssetKey(n) for n in ("prompts", "checkpoints", "generations")],
            raise_on_error=False,
        )
        tags = instance.get_run_by_id(result.run_id).tags
    of_step = [e for e in result.all_events if e.step_key == "generations.materialize"]
    assert [e.event_type_value for e in of_step][-1] == "STEP_FAILURE"
    assert "STEP_UP_FOR_RETRY" not in {e.event_type_value for e in of_step}
    assert tags["dagster/will_retry"] == "true"


@pytest.mark.usefixtures("few_assets")
def test_a_command_waits_for_the_model_that_the_daemon_runs(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    read = study(bench)
    defs = build_defs(read, bench.lake)
    graph = build_graph(read, bench.lake)
    said: list[str] = []
    with open_instance(bench.lake) as kept:
        other = kept.create_run_for_job(
            defs.resolve_implicit_global_asset_job_def(), status=dg.DagsterRunStatus.STARTED
        )
        run(defs, graph, [("prompts", None)], kept, say=said.append)
        assert said == ["tiny: prompts"]
        ending = Timer(0.5, lambda: kept.report_run_canceled(kept.get_run_by_id(other.run_id)))
        ending.start()
        run(defs, graph, [("checkpoints", "llama")], kept, say=said.append)
        ending.join()
    assert said[1:] == [
        f"waiting for the run {other.run_id}, which is in the pool 'model'",
        "llama: checkpoints",
    ]
