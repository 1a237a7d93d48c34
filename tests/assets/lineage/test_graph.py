"""The order of assets, and what they are made from."""

from __future__ import annotations

from dataclasses import replace
from graphlib import CycleError
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.lineage.graph import AssetGraph
from assets.lineage.order import in_order
from assets.registry import assets_of
from assets.sources.documents import DOCUMENTS

if TYPE_CHECKING:
    from tests.studies import Bench


def names_in_order(reads: dict[str, tuple[str, ...]]) -> list[str]:
    assets = [replace(DOCUMENTS, name=name, reads=read) for name, read in reads.items()]
    return [asset.name for asset in in_order(assets)]


def test_assets_stay_in_the_order_in_which_they_are_given() -> None:
    assert names_in_order({"c": (), "a": ("c",), "b": (), "d": ("b", "a")}) == ["c", "a", "b", "d"]


def test_an_asset_comes_after_what_it_reads() -> None:
    assert names_in_order({"a": ("c",), "b": (), "c": ("b",)}) == ["b", "c", "a"]


def test_what_is_read_and_is_no_asset_does_not_matter() -> None:
    assert names_in_order({"a": ("elsewhere",), "b": ()}) == ["a", "b"]


def test_assets_that_read_each_other_are_an_error() -> None:
    with pytest.raises(CycleError):
        names_in_order({"a": ("b",), "b": ("a",)})


@given(st.lists(st.sets(st.integers(0, 7)), max_size=8), st.randoms())
def test_each_comes_after_what_it_reads_whatever_the_order(
    upstream: list[set[int]], random
) -> None:
    reads = {
        str(i): tuple(str(j) for j in sorted(read) if j < i) for i, read in enumerate(upstream)
    }
    shuffled = list(reads.items())
    random.shuffle(shuffled)
    ordered = names_in_order(dict(shuffled))
    assert sorted(ordered) == sorted(reads)
    for name, read in reads.items():
        assert all(ordered.index(other) < ordered.index(name) for other in read)


def test_an_asset_is_given_what_it_reads_and_no_graph(bench: Bench) -> None:
    study = bench.study()
    graph = AssetGraph(study, bench.lake, assets_of(study))
    context = graph.context("generations", "llama")
    assert context.partition == "llama"
    assert {name: up.partitions for name, up in context.upstream.items()} == {
        "prompts": (None,),
        "checkpoints": ("llama",),
    }
    assert str(context.upstream["checkpoints"].signature("llama")) == "checkpoints:none"
    bench.run(study)
    assert str(context.upstream["checkpoints"].signature("llama")).startswith("source:dir@")
    assert not any(isinstance(value, AssetGraph) for value in vars(context).values())
