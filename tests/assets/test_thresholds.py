"""What the thresholds of a study change, and what they leave alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from assets.lineage.asset import TableAsset
from assets.predictions import token_distributions
from assets.registry import build_graph
from assets.study.thresholds import Thresholds
from tests.encoders import count_words
from warehouse.tables import TOKEN_DISTRIBUTIONS

if TYPE_CHECKING:
    from assets.lineage.graph import AssetGraph
    from assets.study.study import Study
    from tests.studies import Bench

SPANS = {
    *("frequent_spans", "anchor_spans", "anchor_paths", "blueprint_flows", "anchor_coverage"),
    "span_meanings",
}
PREDICTIONS = {
    "token_distributions",
    "text_statistics",
    "perplexity",
    "top_k_mass",
    "support_size",
    "position_statistics",
    "calibration",
}
CHANGES: dict[str, tuple[Any, set[str]]] = {
    "ngram_lengths": ([5, 10], {"ngram_sharing"}),
    "ngram_spread_length": (5, {"ngram_spread"}),
    "ngram_diversity_lengths": ([1, 2], {"ngram_diversity"}),
    "ngram_similarity_length": (2, set()),
    "phrase_lengths": ([3], {"stock_phrases"}),
    "phrase_share": (0.5, {"stock_phrases"}),
    "phrase_prior": (10, {"stock_phrases"}),
    "distinct_vocabulary": (1000, set()),
    "opening_words": (3, set()),
    "loop_times": (4, set()),
    "repetitions": (3, set()),
    "kept_by": (3, {"alignment_overlap", "anchor_coverage"}),
    "aligned_with": (3, {"alignment_overlap"}),
    "span_characters": (20, SPANS),
    "span_share": (0.5, SPANS | {"semantic_anchors"}),
    "spans": (3, {"anchor_spans", "anchor_paths", "blueprint_flows", "span_meanings"}),
    "top_k": ([1, 3, 30], PREDICTIONS),
    "support": (1e-3, PREDICTIONS),
    "likeliest": (2, PREDICTIONS),
    "same_answer": (0.5, {"answers"}),
    "same_sentence": (0.5, {"semantic_anchors", "span_meanings"}),
    "draws": ([1, 4], set()),  # of measures alone
}
"""For each key another value, and the tables that it makes stale beside measures."""

DOCUMENTS = [{"name": "docs", "source": "pydoc:topics", "documents": 2, "max_words": 8}]


@pytest.fixture(autouse=True)
def _embedder(monkeypatch: pytest.MonkeyPatch) -> None:
    count_words(monkeypatch)


def tuned(bench: Bench, **thresholds: Any) -> Study:
    return bench.study(
        samples_per_prompt=2,
        max_new_tokens=6,
        corpora=DOCUMENTS,
        embedder="dir:encoder",
        thresholds=thresholds,
    )


def graph_of(bench: Bench, **thresholds: Any) -> AssetGraph:
    return build_graph(tuned(bench, **thresholds), bench.lake)


def versions(graph: AssetGraph) -> dict[str, str]:
    return {name: graph.data_version_after(name, partition) for name, partition in graph.select(())}


def changed(before: dict[str, str], after: dict[str, str], graph: AssetGraph) -> set[str]:
    """Tables whose versions differ."""
    return {
        name
        for name in before
        if before[name] != after[name] and isinstance(graph.assets[name], TableAsset)
    }


def test_there_is_a_change_of_every_threshold() -> None:
    assert CHANGES.keys() == Thresholds.model_fields.keys()


@pytest.mark.parametrize("key", CHANGES)
def test_a_threshold_makes_stale_what_is_made_with_it_and_nothing_else(
    bench: Bench, key: str
) -> None:
    value, expected = CHANGES[key]
    before, after = graph_of(bench), graph_of(bench, **{key: value})
    stale = changed(versions(before), versions(after), after)
    results = ("measures", "summaries")  # of measures and what gathers them, those that read these
    assert {name for name in stale if after.assets[name].group not in results} == expected
    code = changed(before.code_versions(), after.code_versions(), after)
    assert code & versions(after).keys() == stale  # the study has nothing for others
    for name in before.assets:
        if before.assets[name].group in results and before.partitions(name):
            asset = after.assets[name]
            is_used = f"thresholds.{key}" in asset.settings
            assert (name in stale) == (is_used or bool(stale & set(asset.counted)))
    figures = {
        name
        for name in versions(before)
        if name.startswith("figures/") and stale & set(after.assets[name].counted)
    }
    assert figures == {
        name
        for name, version in versions(before).items()
        if name.startswith("figures/") and versions(after)[name] != version
    }


def test_at_the_defaults_nothing_of_before_there_were_thresholds_is_scored_again(
    bench: Bench,
) -> None:
    graph = graph_of(bench)
    asset = graph.assets["token_distributions"]
    parameters = asset.parameters(graph.study, graph.checkpoint("llama"))
    assert parameters.keys() == {"weights", "engine", "device", "dtype", "prompt_format"}
    listed = {key: value for key, (value, _) in CHANGES.items()}
    assert asset.settings == (
        "thresholds.top_k",
        "thresholds.support",
        "thresholds.likeliest",
    )
    other = graph_of(bench, **listed)
    assert asset.parameters(other.study, other.checkpoint("llama")).keys() == {
        *parameters,
        "top_k",
        "support",
        "likeliest",
    }


def rows(bench: Bench, graph: AssetGraph, name: str) -> list[dict[str, Any]]:
    return bench.lake.read(graph.tables[name], "llama").to_pylist()


@pytest.mark.whole
def test_predictions_are_made_with_the_studys_thresholds(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    only = ("top_k_mass", "support_size", "anchor_spans", "anchor_paths", "ngram_sharing")
    bench.run(tuned(bench), only=only)
    of_default = {
        (row["condition"], row["corpus"], row["text_id"], row["position"]): row
        for row in bench.lake.read(TOKEN_DISTRIBUTIONS, "llama").to_pylist()
    }
    study = tuned(bench, top_k=[1, 3, 30], support=1e-3, likeliest=2)
    graph = build_graph(study, bench.lake)
    reasons = graph.stale(graph.select(only))
    assert reasons["token_distributions", "llama"] == "top_k, support, likeliest changed"
    assert reasons["text_statistics", "llama"].startswith("top_k changed; reads token_distribut")
    made = bench.run(study, only=only)
    notes = made["token_distributions", "llama"].notes
    assert notes["tokens scored"] == len(of_default)
    assert ("generations", "llama") not in made

    tokens = bench.lake.read(TOKEN_DISTRIBUTIONS, "llama").to_pylist()
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in tokens:
        before = of_default[row["condition"], row["corpus"], row["text_id"], row["position"]]
        assert row["top_mass"][:2] == [before["top_mass"][0], before["top_mass"][2]]
        assert before["top_mass"][10] < row["top_mass"][2] < before["top_mass"][11]  # 20, 30, 50
        assert row["support"] < before["support"]
        assert {k: row[k] for k in ("logprob", "rank", "entropy")} == {
            k: before[k] for k in ("logprob", "rank", "entropy")
        }
        assert len(set(row["top_ids"])) == 2
        assert (row["top_ids"][:1], row["top_logprobs"][:1]) == (
            before["top_ids"],
            before["top_logprobs"],
        )
        assert math.exp(row["top_logprobs"][0]) == pytest.approx(row["top_mass"][0], rel=1e-5)
        assert (row["rank"] <= 2) == (row["token_id"] in row["top_ids"])
        groups.setdefault((row["condition"], row["corpus"]), []).append(row)
    mass = {
        (row["condition"], row["corpus"], row["k"]): row["mass"]
        for row in rows(bench, graph, "top_k_mass")
    }
    assert mass == {
        (*key, k): pytest.approx(sum(row["top_mass"][i] for row in some) / len(some))
        for key, some in groups.items()
        for i, k in enumerate((1, 3, 30))
    }
    assert {
        (row["condition"], row["corpus"]): row["mean_support"]
        for row in rows(bench, graph, "support_size")
    } == {
        key: pytest.approx(sum(row["support"] for row in some) / len(some))
        for key, some in groups.items()
    }
    provenance = bench.lake.provenance(graph.tables["top_k_mass"], "llama")
    assert provenance is not None
    assert "|top_k:1,3,30|support:0.001|" in provenance.signature

    # What is about generations alone asks no model.
    monkeypatch.setattr(token_distributions, "score", None)
    made = bench.run(tuned(bench, top_k=[1, 3, 30], support=1e-3, likeliest=2, spans=2), only=only)
    assert {name for name, _ in made} == {"anchor_spans", "anchor_paths"}
    provenance = bench.lake.provenance(graph.tables["anchor_spans"], "llama")
    assert provenance is not None
    assert "|span_characters:30|span_share:0.2|" in provenance.signature
    assert "|spans:2|" in provenance.signature
    assert provenance.signature.count("span_share") == 1
