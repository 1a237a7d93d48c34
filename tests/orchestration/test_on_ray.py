"""Runs on a Ray cluster whose machines are processes here, each with resources of its own."""

from __future__ import annotations

import importlib.util
import json
import socket
import urllib.request
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import dagster as dg
import psutil
import pytest

from assets.registry import build_graph
from assets.study.errors import InputError
from assets.study.resources import Resources
from orchestration.build import build_defs
from orchestration.instance import MODEL_POOL, POSTGRES, RAY, open_instance
from orchestration.resources import as_tags, from_tag, most_of, resources_of
from orchestration.runner import run
from tests.browser.running import Ui, until
from warehouse.tables import GENERATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.studies import Bench

SAMPLES = 300
ASSETS = ["checkpoints", "generations", "ngram_sharing"]
BACKFILL = """
mutation($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) { __typename }
}
"""


def test_an_asset_takes_what_is_said_of_it_and_else_of_its_group(bench: Bench) -> None:
    read = bench.study(
        resources={
            "ngram_sharing": {"num_cpus": 4},
            "measurements": {"num_cpus": 2, "custom": {"a100": 1}},
        }
    )
    assets = build_graph(read, bench.lake).assets.values()
    taken = resources_of(read, assets)
    assert taken["ngram_sharing"] == Resources(num_cpus=4)
    assert taken["ngram_spread"] == Resources(num_cpus=2, custom={"a100": 1})
    assert "generations" not in taken
    with pytest.raises(InputError, match=r"resources: generation: .*mean generations"):
        build_defs(bench.study(resources={"generation": {"num_gpus": 1}}), bench.lake)


def test_a_run_takes_the_most_that_a_step_does() -> None:
    steps = [
        Resources(num_cpus=4, custom={"a100": 1}),
        Resources(num_gpus=0.5, memory=10),
        Resources(num_cpus=2.5, custom={"a100": 0.5, "disk": 1}),
    ]
    most = Resources(num_cpus=4, num_gpus=0.5, memory=10, custom={"a100": 1, "disk": 1})
    assert most_of(steps) == most
    assert most_of([]) == Resources()
    (tag,) = as_tags(most).values()
    assert from_tag(tag) == most
    assert as_tags(Resources()) == as_tags(None) == {}
    assert from_tag('{"num_gpus": 1, "runtime_env": {"pip": ["torch"]}}') == Resources(num_gpus=1)


def test_a_cluster_needs_a_database_that_its_machines_reach(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(RAY, "http://127.0.0.1:8265")
    with pytest.raises(InputError, match="ANCHORLAKE_POSTGRES"):
        open_instance(bench.lake)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head that runs nothing, and two machines of which each runs one job at a time."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("needs the extra `ray`")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    dashboard = free_port()
    started = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 0,
            "include_dashboard": True,
            "dashboard_port": dashboard,
            "dashboard_agent_listen_port": free_port(),
            "object_store_memory": 80_000_000,
        },
    )
    for _ in range(2):
        started.add_node(
            num_cpus=2,
            resources={"work": 1},
            dashboard_agent_listen_port=free_port(),
            object_store_memory=80_000_000,
        )
    monkeypatch.setenv(RAY, f"http://127.0.0.1:{dashboard}")
    yield started
    started.shutdown()


@pytest.mark.cluster
@pytest.mark.whole
def test_runs_go_on_when_a_machine_is_lost(
    bench: Bench, postgres: str, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(POSTGRES, postgres)
    study = bench.study(
        samples_per_prompt=SAMPLES,
        max_new_tokens=100,
        checkpoints=[
            {"name": name, "source": str(bench.llama), "decodings": [{"top_p": 0.9}]}
            for name in ("first", "second")
        ],
        resources={"generations": {"custom": {"work": 1}}},
    )
    ui = Ui(bench, free_port())
    with open_instance(bench.lake) as instance:
        run(
            build_defs(study, bench.lake),
            build_graph(study, bench.lake),
            [("prompts", None)],
            instance,
        )
        instance.event_log_storage.set_concurrency_slots(MODEL_POOL, 2)
        ui.start()
        try:
            ask_for_all(ui, ["first", "second"])
            staged = bench.lake.staging / "generations" / "first"
            until(lambda: list(staged.glob("*.parquet")), "a batch is staged", every=0.05)
            (interrupted,) = runs_of(instance, "first")
            lost = machine_of(cluster, interrupted.run_id)
            beside = machine_of(cluster, *(run.run_id for run in runs_of(instance, "second")))
            assert lost is not beside
            kill(lost)
            left = {path.name: path.stat().st_mtime_ns for path in staged.glob("*.parquet")}
            assert left
            until(lambda: succeeded(instance, "first"), "it is run again")
            until(lambda: succeeded(instance, "second"), "the other one has ended")
        finally:
            ui.stop()
        again, before = runs_of(instance, "first")
        assert before.run_id == interrupted.run_id
        assert before.status == dg.DagsterRunStatus.FAILURE
        assert again.tags["dagster/retry_number"] == "1"
        assert len(runs_of(instance, "second")) == 1
    rows = {
        name: sorted(
            (row["prompt_id"], row["sample"], row["text"])
            for row in bench.lake.read(GENERATIONS, name).to_pylist()
        )
        for name in ("first", "second")
    }
    assert len(rows["first"]) == len({row[:2] for row in rows["first"]}) == 3 * SAMPLES
    assert rows["first"] == rows["second"]  # which is the same model, and was not interrupted


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def ask_for_all(ui: Ui, partitions: list[str]) -> None:
    """Asks for the assets of checkpoints, as the UI's dialog does."""
    params = {"assetSelection": [{"path": [name]} for name in ASSETS], "partitionNames": partitions}
    request = urllib.request.Request(
        f"http://127.0.0.1:{ui.port}/graphql",
        json.dumps({"query": BACKFILL, "variables": {"params": params}}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        answer = json.load(response)
    assert answer["data"]["launchPartitionBackfill"]["__typename"] == "LaunchBackfillSuccess"


def runs_of(instance: dg.DagsterInstance, partition: str) -> list[dg.DagsterRun]:
    """The newest first."""
    return list(instance.get_runs(dg.RunsFilter(tags={"dagster/partition": partition})))


def succeeded(instance: dg.DagsterInstance, partition: str) -> bool:
    return runs_of(instance, partition)[0].status == dg.DagsterRunStatus.SUCCESS


def machine_of(cluster: Any, run_id: str) -> Any:
    """The machine that a run's process is on."""
    (process,) = (
        p
        for p in psutil.process_iter(["cmdline"])
        if "execute_run" in (p.info["cmdline"] or ()) and run_id in "".join(p.info["cmdline"])
    )
    above = {parent.pid for parent in process.parents()}
    (machine,) = (node for node in cluster.worker_nodes if raylet(node).pid in above)
    return machine


def raylet(node: Any) -> psutil.Process:
    return psutil.Process(node.all_processes["raylet"][0].process.pid)


def kill(node: Any) -> None:
    """Kills all that is on a machine, as the loss of its power does."""
    first = raylet(node)
    everything = [first, *first.children(recursive=True)]
    for process in everything:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(everything, timeout=30)
