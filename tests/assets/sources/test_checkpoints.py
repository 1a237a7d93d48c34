"""What ran a model counts: rows of another engine, device type or dtype are not reused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from assets.lineage.signature import Signature
from assets.registry import build_graph
from assets.sources import checkpoints
from warehouse.tables import GENERATIONS, TOKEN_DISTRIBUTIONS

if TYPE_CHECKING:
    from tests.studies import Bench

pytestmark = pytest.mark.whole

CORPORA = [{"name": "docs", "category": "web", "source": "pydoc:topics", "documents": 2}]


def llama(bench: Bench, **changes: Any) -> list[dict[str, Any]]:
    return [{"name": "llama", "source": str(bench.llama), "decodings": [{"top_p": 0.9}], **changes}]


def why(bench: Bench, study: Any, name: str) -> str | None:
    graph = build_graph(study, bench.lake)
    return graph.stale(graph.select([name])).get((name, "llama"))


def run_by(monkeypatch: pytest.MonkeyPatch, **changes: str) -> None:
    """Has checkpoints run by something else from now on."""
    before = checkpoints._run_by

    def changed(checkpoint: Any, engine: str) -> Signature:
        return Signature.of(**(before(checkpoint, engine).to_dict() | changes))

    monkeypatch.setattr(checkpoints, "_run_by", changed)


@pytest.mark.parametrize("other", [{"engine": "hf-0"}, {"device": "cuda"}, {"dtype": "bfloat16"}])
def test_rows_that_something_else_ran_are_made_anew(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, other: dict[str, str]
) -> None:
    study = bench.study(corpora=CORPORA)
    bench.run(study, only=("token_distributions",))
    with monkeypatch.context() as patch:
        run_by(patch, **other)
        (changed,) = other
        for table in ("generations", "token_distributions"):
            assert str(why(bench, study, table)).startswith(f"{changed} changed")
        made = bench.run(study, only=("token_distributions",))
        assert made["generations", "llama"].notes["generations kept from before"] == 0
        assert made["token_distributions", "llama"].notes["tokens kept from before"] == 0
        footer = pq.read_metadata(bench.lake.path(GENERATIONS, "llama")).metadata
        assert other[changed].encode() in footer[b"anchorlake.run_by"]


def test_what_is_resolved_counts_and_not_what_is_asked(bench: Bench) -> None:
    bench.run(bench.study(), only=("generations",))
    same = bench.study(checkpoints=llama(bench, dtype="float32", device="cpu"))
    assert why(bench, same, "generations") is None
    other = bench.study(checkpoints=llama(bench, dtype="bfloat16"))
    assert str(why(bench, other, "generations")).startswith("dtype changed")


def test_two_versions_of_vllm_are_told_apart(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    study = bench.study(checkpoints=llama(bench, engine="vllm"))
    (checkpoint,) = study.checkpoints
    signatures = set()
    for version in ("0.32.0", "0.33.0"):
        monkeypatch.setattr(checkpoints, "vllm_version", lambda version=version: version)
        signatures.add(str(checkpoints.sampled_by(checkpoint)))
    assert {signature.split("|")[0] for signature in signatures} == {
        "engine:vllm-0.32.0",
        "engine:vllm-0.33.0",
    }
    assert str(checkpoints.predicted_by(checkpoint)).startswith("engine:hf-")


@pytest.mark.parametrize(("dtype", "kept"), [("float32", True), ("bfloat16", False)])
def test_rows_of_lakes_that_did_not_say_what_ran_them_are_kept_by_their_signature(
    bench: Bench, dtype: str, kept: bool
) -> None:
    study = bench.study(corpora=CORPORA)
    bench.run(study, only=("token_distributions",))
    for table in (GENERATIONS, TOKEN_DISTRIBUTIONS):
        path = bench.lake.path(table, "llama")
        rows = pq.read_table(path, partitioning=None)
        footer = dict(pq.read_metadata(path).metadata)
        del footer[b"anchorlake.run_by"]
        footer[b"anchorlake.fingerprint"] = b"before"
        signature = Signature.parse(footer[b"anchorlake.signature"].decode())
        entries = [(key, value) for key, value in signature.entries if key != "device"]
        entries = [(key, dtype if key == "dtype" else value) for key, value in entries]
        footer[b"anchorlake.signature"] = str(replace(signature, entries=tuple(entries))).encode()
        with pq.ParquetWriter(path, rows.schema) as writer:
            writer.write_table(rows)
            writer.add_key_value_metadata(
                {k: v for k, v in footer.items() if k.startswith(b"anchorlake.")}
            )
    made = bench.run(study, only=("token_distributions",))
    assert (made["generations", "llama"].notes["generations kept from before"] == 12) is kept
    assert (made["token_distributions", "llama"].notes["tokens kept from before"] > 0) is kept


def test_prompts_under_another_name_are_another_set_in_every_table(bench: Bench) -> None:
    bench.run(bench.study(), only=("ngram_sharing",))
    (bench.folder / "prompts.jsonl").rename(bench.folder / "renamed.jsonl")
    bench.run(bench.study(prompts="renamed.jsonl"), only=("ngram_sharing",))
    for table in ("generations", "ngram_sharing"):
        path = bench.lake.root / table / "checkpoint=llama/data.parquet"
        rows = pq.read_table(path, partitioning=None)
        assert rows["prompt_set"].unique().to_pylist() == ["renamed"]
