"""What ran a model counts: rows of another engine, device type or dtype are not reused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from assets.lineage.signature import Signature
from assets.registry import build_graph
from assets.sources import checkpoints
from assets.study.registered import as_it_stands, register
from warehouse import ask
from warehouse.tables import CHECKPOINTS, GENERATIONS, TOKEN_DISTRIBUTIONS

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
        for key in (b"anchorlake.run_by", b"anchorlake.sealed", b"anchorlake.digest"):
            del footer[key]
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


def stages(bench: Bench, **keys: dict[str, Any]) -> list[dict[str, Any]]:
    """A base and what was made from it, listed in another order than they were made in."""
    plain = {"source": str(bench.llama), "base": "base", "decodings": [{"top_p": 0.9}]}
    return [
        {"name": "dpo", **plain, **keys.get("dpo", {})},
        {"name": "base", **plain, "base": None, "role": "base"},
        {"name": "sft", **plain, **keys.get("sft", {})},
    ]


LADDERS = [{"name": "olmo", "checkpoints": ["base", "sft", "dpo"]}]
KEYS = {"sft": {"stage": "SFT"}, "dpo": {"stage": "DPO", "controlled": True}}
COLUMNS = "checkpoint, ladder, rung, stage, controlled"


def test_a_ladder_changes_the_table_of_checkpoints_and_nothing_that_takes_a_model_hours(
    bench: Bench,
) -> None:
    settings: dict[str, Any] = {"corpora": CORPORA, "samples_per_prompt": 2, "max_new_tokens": 4}
    settings["probes"] = {"horizons": [1], "tokens": 50, "probe": "vocabulary"}
    before = bench.study(checkpoints=stages(bench), **settings)
    bench.run(before, only=("token_distributions", "alignments"))
    asked = f"select {COLUMNS} from checkpoints order by ladder, rung, checkpoint"
    with ask(bench.lake, [CHECKPOINTS], asked) as rows:
        assert rows.fetchall() == [(n, None, None, None, False) for n in ("base", "dpo", "sft")]
    after = bench.study(checkpoints=stages(bench, **KEYS), ladders=LADDERS, **settings)
    graph, former = build_graph(after, bench.lake), build_graph(before, bench.lake)
    for name in ("generations", "scored_texts", "token_distributions", "probe_guesses"):
        for partition in ("base", "sft", "dpo"):
            version = graph.data_version_after(name, partition)
            assert version == former.data_version_after(name, partition), (name, partition)
    stale = graph.stale(graph.select(("token_distributions", "alignments")))
    assert stale == {
        ("checkpoints", "base"): "ladder, rung changed",
        ("checkpoints", "sft"): "ladder, rung, stage changed",
        ("checkpoints", "dpo"): "ladder, rung, stage, controlled changed",
    }
    made = bench.run(after, only=("token_distributions", "alignments"))
    assert [*made] == [("checkpoints", name) for name in ("base", "sft", "dpo")]
    with ask(bench.lake, [CHECKPOINTS], asked) as rows:
        assert rows.fetchall() == [
            ("base", "olmo", 0, None, False),
            ("sft", "olmo", 1, "SFT", False),
            ("dpo", "olmo", 2, "DPO", True),
        ]
    # Now they have labels in their footers, and are taken for the same again.
    again = bench.study(checkpoints=stages(bench), **settings)
    graph = build_graph(again, bench.lake)
    stale = graph.stale(graph.select(("token_distributions", "alignments")))
    assert {name for name, _ in stale} == {"checkpoints"}


def test_what_else_changes_of_a_checkpoint_counts_as_it_did(bench: Bench) -> None:
    bench.run(bench.study(corpora=CORPORA), only=("token_distributions",))
    changed = bench.study(corpora=CORPORA, checkpoints=llama(bench, series="run", step=3))
    assert why(bench, changed, "token_distributions") == "reads checkpoints, scored_texts"


def test_files_from_before_there_were_ladders_have_none(bench: Bench) -> None:
    bench.run(bench.study(), only=("checkpoints",))
    path = bench.lake.path(CHECKPOINTS, "llama")
    rows = pq.read_table(path, partitioning=None)
    older = rows.drop_columns(["ladder", "rung", "stage", "controlled"])
    pq.write_table(older.replace_schema_metadata(), path)
    with ask(bench.lake, [CHECKPOINTS], f"select {COLUMNS}, role from checkpoints") as found:
        assert found.fetchall() == [("llama", None, None, None, None, "base")]


def test_what_is_registered_has_the_stage_that_it_was_given(bench: Bench) -> None:
    study = bench.study()
    values = {"name": "run-1", "source": str(bench.llama), "base": "llama", "stage": "DPO"}
    register(bench.lake, study, values | {"series": "run", "step": 1, "controlled": True})
    bench.run(as_it_stands(study, bench.lake), only=("checkpoints",))
    with ask(bench.lake, [CHECKPOINTS], f"select {COLUMNS} from checkpoints order by 1") as found:
        assert found.fetchall() == [
            ("llama", None, None, None, False),
            ("run-1", None, None, "DPO", True),
        ]
