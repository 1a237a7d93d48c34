"""How a study appears in Dagster beside others, and in a project of somebody's own."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from dagster.components.testing import create_defs_folder_sandbox

from assets.measures.drift import Crossing
from assets.registry import build_graph
from assets.study.errors import InputError
from assets.study.study import load_study
from orchestration import assets
from orchestration.build import build_defs
from orchestration.component import Study as Component
from orchestration.runner import run
from tests.studies import imported, write_jsonl
from warehouse import Lake

if TYPE_CHECKING:
    from pathlib import Path

    from assets.study.study import Study

WORDS = "a b c d e f g h i j"
"""One 10-gram, which both generations hold."""
OWNED = {"owners": ["team:evals"], "tags": {"tier": "nightly"}, "fresh_within_hours": 24}


def study(folder: Path, prefix: str, **changes: Any) -> Study:
    write_jsonl(folder / "made.jsonl", imported("p", WORDS, WORDS))
    values = {
        "name": f"study of {prefix}",
        "prompts": str(write_prompt(folder)),
        "checkpoints": [{"name": "elsewhere", "source": "file:made.jsonl"}],
        "dagster": {"prefix": prefix, **changes},
    }
    path = folder / f"{prefix.partition('/')[0]}.yaml"
    path.write_text(json.dumps(values))
    return load_study(path)


def write_prompt(folder: Path) -> Path:
    path = folder / "prompts.jsonl"
    path.write_text(json.dumps({"prompt_id": "p", "category": "generic", "text": "Hi?"}))
    return path


@pytest.mark.whole
@pytest.mark.usefixtures("few_assets")
def test_two_studies_are_in_one_instance(tmp_path: Path) -> None:
    small, large = study(tmp_path, "small", **OWNED), study(tmp_path, "large")
    lakes = {"small": Lake(tmp_path / "small"), "large": Lake(tmp_path / "large")}
    defs = build_defs(small, lakes["small"])
    beside = build_defs(large, lakes["large"])
    both = dg.Definitions.merge(defs, beside)
    dg.Definitions.validate_loadable(both)
    jobs = {job.name for job in both.resolve_all_job_defs()}
    assert jobs >= {f"{p}_{job}" for p in lakes for job in ("measure_checkpoint", "refresh")}
    measured = both.resolve_job_def("small_measure_checkpoint").asset_layer.selected_asset_keys
    assert {key.path[0] for key in measured} == {"small"}

    specs = {spec.key.to_user_string(): spec for spec in both.resolve_all_asset_specs()}
    report = specs["small/report"]
    assert list(report.owners) == ["team:evals"]
    assert report.tags["tier"] == "nightly"
    assert report.freshness_policy == dg.FreshnessPolicy.time_window(timedelta(hours=24))
    assert specs["small/summary"].freshness_policy is None
    assert specs["large/report"].freshness_policy is None

    with dg.DagsterInstance.ephemeral() as instance:
        graph = build_graph(small, lakes["small"])
        nodes = graph.select(["summary"])
        outcome = run(defs, graph, nodes, instance)
        assert outcome.failures == []
        assert sorted(outcome.made, key=str) == sorted(nodes, key=str)
        assert instance.get_dynamic_partitions("small_checkpoint") == ["elsewhere"]
        assert instance.get_dynamic_partitions("checkpoint") == []
        # The UI's timeline has runs of a location, and finds them by this tag.
        (newest,) = instance.get_runs(limit=1)
        assert newest.remote_job_origin is not None
        assert newest.remote_job_origin.location_name == "study-of-small"
        assert newest.tags[".dagster/repository"] == "__repository__@study-of-small"
        event = instance.get_latest_materialization_event(dg.AssetKey(["small", "summary"]))
        assert event is not None
        assert event.asset_materialization is not None
        metadata = event.asset_materialization.metadata
        assert metadata["ngram_sharing (word)"] == dg.FloatMetadataValue(1.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"prefix": "a__b"},
        {"prefix": "a/b"},
        {"owners": ["somebody"]},
        {"tags": {"a b": "c"}},
        {"tags": {"a": "b c"}},
        {"fresh_within_hours": 0},
    ],
    ids=str,
)
def test_what_dagster_would_refuse_is_refused_by_the_study(
    tmp_path: Path, wrong: dict[str, Any]
) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        study(tmp_path, **{"prefix": "small", **wrong})


def test_a_drift_check_has_a_row_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    crossed = [
        Crossing("k", "dpo-1", "words", 12.5, "dpo-1: 12.5 words, under 20 (words).", "under 20")
    ]
    (row,) = assets._as_table(crossed).records
    assert dict(row.data) == {
        "checkpoint": "dpo-1",
        "measure": "words",
        "value": 12.5,
        "limit": "under 20",
    }


def test_findings_are_short_enough_to_show_without_a_click() -> None:
    assert assets._first(["a", "b"]) == "- a\n- b"
    assert assets._first(["a" * 500, "b" * 600]) == "- " + "a" * 500
    assert len(assets._first(["a" * 5_000])) == 999


@pytest.mark.usefixtures("few_assets")
def test_a_component_is_what_build_defs_gives(tmp_path: Path) -> None:
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(
            component_cls=Component,
            defs_yaml_contents={
                "type": "anchorlake.Study",
                "attributes": {"study": "small.yaml", "lake": "lake"},
            },
        )
        read = study(path, "small", **OWNED)
        with sandbox.load_component_and_build_defs(defs_path=path) as (component, defs):
            assert isinstance(component, Component)
            keys = {spec.key for spec in defs.resolve_all_asset_specs()}
            expected = build_defs(read, Lake(path / "lake"))
            assert keys == {spec.key for spec in expected.resolve_all_asset_specs()}
            assert defs.metadata["small_lake"].value == str(path / "lake")
