from __future__ import annotations

from typing import Any

import pytest

from assets.measures.declared import SQL_FOLDER
from models import ModelPool
from models import sampling as model_sampling
from tests.studies import Bench, imported, write_jsonl
from warehouse.tables import CHECKPOINTS, GENERATIONS

pytestmark = pytest.mark.whole

SWEEP = {"top_p": [0.5, 0.9, 1.0], "prompts": 2}


def rows(bench: Bench, checkpoint: str = "llama") -> list[dict[str, Any]]:
    return bench.lake.read(GENERATIONS, checkpoint).to_pylist()


def by_key(bench: Bench) -> dict[tuple, tuple]:
    return {
        (row["decoding"], row["prompt_id"], row["sample"]): (row["text"], tuple(row["token_ids"]))
        for row in rows(bench)
    }


def test_every_prompt_is_sampled_with_every_decoding(bench: Bench) -> None:
    decodings = [{"top_p": 0.9}, "greedy", {"cautious": True, "trials": 3}, "rules"]
    checkpoint = {"name": "llama", "source": str(bench.llama), "decodings": decodings}
    study = bench.study(checkpoints=[checkpoint], diversity_sweep=SWEEP)
    made = bench.run(study, only=("generations",))["generations", "llama"]
    counts: dict[tuple, int] = {}
    for row in rows(bench):
        key = row["decoding"], row["prompt_id"]
        counts[key] = counts.get(key, 0) + 1
    assert counts == {
        **{("top_p=0.9", prompt): 4 for prompt in ("short", "long", "odd")},
        **{("cautious,trials=3", prompt): 4 for prompt in ("short", "long", "odd")},
        **{("rules", prompt): 4 for prompt in ("short", "long", "odd")},
        **{("greedy", prompt): 1 for prompt in ("short", "long", "odd")},
        **{(f"top_p={p}", prompt): 4 for p in (0.5, 1.0) for prompt in ("short", "long")},
    }
    passes = {"cautious,trials=3": 0, "rules": 0}
    tokens = dict(passes)
    for row in rows(bench):
        if row["decoding"] in passes:
            passes[row["decoding"]] += row["forward_passes"]
            tokens[row["decoding"]] += row["n_tokens"]
    assert passes["rules"] == tokens["rules"]
    per_token = made.notes["cautious,trials=3: forward passes per token"]
    assert per_token == round(passes["cautious,trials=3"] / tokens["cautious,trials=3"], 2) > 1.5
    assert "' should'" in made.notes["rules: words that are not one token"]
    signature = bench.lake.provenance(GENERATIONS, "llama").signature
    assert "|treatments:cautious,trials=3+rules|" in signature


def test_a_row_holds_its_tokens_end_included(bench: Bench, tiny_llama: Any) -> None:
    bench.run(bench.study(), only=("generations",))
    for row in rows(bench):
        ids = row["token_ids"]
        assert row["n_tokens"] == len(ids) <= 12
        assert (row["finish_reason"] == "stop") == (ids[-1] in tiny_llama.stop_token_ids)
        assert row["finish_reason"] == "stop" or len(ids) == 12
        assert row["text"] == tiny_llama.decode(ids)
        assert row["seed"] == 0
        assert row["prompt_set"] == "prompts"


def test_the_checkpoint_says_what_it_is(bench: Bench, tiny_llama: Any) -> None:
    bench.run(bench.study(), only=("generations",))
    (row,) = bench.lake.read(CHECKPOINTS, "llama").to_pylist()
    assert row["role"] == "base"
    assert row["n_parameters"] == tiny_llama.n_parameters
    assert row["vocab_size"] == tiny_llama.vocab_size
    assert row["dtype"] == "float32"
    assert row["engine"].startswith("hf-")
    signature = bench.lake.provenance(GENERATIONS, "llama").signature
    assert signature.startswith("p:0.9|T:1|S:4|max:12|seed:0|tok:")
    assert signature.endswith("|v:0.1.0")


@pytest.mark.core
def test_a_stopped_run_goes_on_as_if_never_stopped(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = bench.study(diversity_sweep=SWEEP)
    bench.run(study, only=("generations",))
    whole = by_key(bench)
    bench.lake.path(GENERATIONS, "llama").unlink()

    run_batch = model_sampling._run_batch
    sampled: list[int] = []

    def counting(model: Any, batch: Any, *rest: Any) -> Any:
        if len(sampled) == 2:
            raise KeyboardInterrupt
        sampled.append(len(batch))
        return run_batch(model, batch, *rest)

    monkeypatch.setattr(model_sampling, "_run_batch", counting)
    monkeypatch.setattr("models.LanguageModel.rows_that_fit", lambda self, length: 7)
    with pytest.raises(KeyboardInterrupt):
        bench.run(study, only=("generations",))
    assert bench.lake.files(GENERATIONS, "llama") == []
    monkeypatch.setattr(model_sampling, "_run_batch", run_batch)
    made = bench.run(study, only=("generations",))["generations", "llama"]
    assert made.notes["generations kept from before"] == sum(sampled) == 14
    assert by_key(bench) == whole
    assert not (bench.lake.staging / "generations" / "llama").exists()


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({"samples_per_prompt": 6}, 12),
        ({"samples_per_prompt": 2}, 6),
        ({"diversity_sweep": SWEEP}, 12),
        ({"max_new_tokens": 11}, 0),
        ({"seed": 1}, 0),
    ],
)
def test_what_would_come_out_the_same_is_not_sampled_again(
    bench: Bench, change: dict[str, Any], kept: int
) -> None:
    bench.run(bench.study(), only=("generations",))
    before = by_key(bench)
    made = bench.run(bench.study(**change), only=("generations",))["generations", "llama"]
    assert made.notes["generations kept from before"] == kept
    after = by_key(bench)
    same = [key for key in before if after.get(key) == before[key]]
    assert len(same) >= kept
    if kept == 0:
        assert len(same) < len(before)


@pytest.mark.core
@pytest.mark.usefixtures("few_assets")
def test_nothing_is_made_twice(bench: Bench) -> None:
    study = bench.study()
    assert len(bench.run(study, figures=True)) == 12
    assert bench.run(study, figures=True) == {}


@pytest.mark.parametrize(
    "few_assets",
    [
        [
            *(path.stem for path in SQL_FOLDER.glob("*.sql")),
            *("alignments", "measures/ngram_sharing", "figures/ngram_sharing"),
        ]
    ],
    ids=["every table"],
    indirect=True,
)
@pytest.mark.usefixtures("few_assets")
def test_a_change_makes_anew_only_what_depends_on_it(bench: Bench) -> None:
    path = write_jsonl(bench.folder / "made.jsonl", imported("p", "a b c", "a b d"))
    llama = {"name": "llama", "source": str(bench.llama), "decodings": [{"top_p": 0.9}]}
    bench.run(bench.study(checkpoints=[llama]), figures=True)
    both = [llama, {"name": "elsewhere", "source": f"file:{path}", "base": "llama"}]
    everything = set(bench.run(bench.study(checkpoints=both), figures=True))
    gathered = {"summary", "comparisons"}
    made = {n for n in everything if n[0] not in gathered and not n[0].startswith("measures/")}
    assert (
        gathered == {name for name, partition in everything if partition == "elsewhere"} & gathered
    )
    assert ("measures/ngram_sharing", "llama") not in everything
    assert ("generations", "llama") not in made
    assert ("ngram_sharing", "llama") not in made
    # What came is predicted too; nothing else of the model is.
    assert {name for name, partition in made if partition == "llama"} == {
        "scored_texts",
        "token_distributions",
        "text_statistics",
        "perplexity",
        "top_k_mass",
        "support_size",
        "position_statistics",
        "calibration",
    }
    assert {name for name, partition in made if partition == "elsewhere"} == {
        "checkpoints",
        "generations",
        "ngram_diversity",
        "ngram_sharing",
        "ngram_spread",
        "alignments",
        "alignment_overlap",
        "frequent_spans",
        "anchor_spans",
        "anchor_paths",
        "blueprint_flows",
        "anchor_coverage",
        "stock_phrases",
    }
    assert ("figures/ngram_sharing", None) in made
    assert ("prompts", None) in made
    write_jsonl(path, imported("p", "a b c", "a b e"))
    made = set(bench.run(bench.study(checkpoints=both)))
    assert ("generations", "elsewhere") in made
    assert ("generations", "llama") not in made


def test_generations_made_elsewhere_have_words_and_no_tokens(bench: Bench) -> None:
    path = write_jsonl(bench.folder / "made.jsonl", imported("p", "", "a b"))
    source = {"name": "elsewhere", "source": f"file:{path}"}
    bench.run(bench.study(checkpoints=[source]), only=("generations",))
    found = rows(bench, "elsewhere")
    assert [(row["sample"], row["text"], row["token_ids"]) for row in found] == [
        (0, "", None),
        (1, "a b", None),
    ]
    assert {row["decoding"] for row in found} == {"-"}
    named = source | {"decodings": [{"top_p": 0.95, "temperature": 0.8}]}
    bench.run(bench.study(checkpoints=[named]), only=("generations",))
    assert {row["decoding"] for row in rows(bench, "elsewhere")} == {"top_p=0.95,temperature=0.8"}


def test_a_model_is_loaded_once_for_all_steps(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[Any] = []
    load = model_loading_load()
    monkeypatch.setattr(
        "models.pool.load", lambda *args, **kw: loads.append(args) or load(*args, **kw)
    )
    bench.run(bench.study(), models=ModelPool(), only=("token_distributions",))
    assert len(loads) == 1


def model_loading_load() -> Any:
    from models.loading import load

    return load


@pytest.fixture(autouse=True)
def _one_batch_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.LanguageModel.rows_that_fit", lambda self, length: 64)
