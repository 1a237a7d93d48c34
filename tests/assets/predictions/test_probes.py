"""What probes read of generations, from hidden states to the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from assets.predictions import probe_guesses
from assets.predictions.probe_accuracy import accuracy
from assets.predictions.probed_texts import ProbedTexts, Split
from assets.registry import build_graph
from assets.study.errors import InputError
from models import LanguageModel, Text, probes
from tests.studies import Bench, imported, write_jsonl
from warehouse.tables import GENERATIONS, PROBE_ACCURACY, PROBE_GUESSES

if TYPE_CHECKING:
    from assets.study.study import Study
    from models import Source

pytestmark = pytest.mark.whole

PROMPTS = [{"prompt_id": f"p{i}", "category": "c", "text": f"Number {i}?"} for i in range(6)]


@pytest.fixture(autouse=True)
def _quick_to_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    """How well probes learn is a question to `models.probes`."""
    monkeypatch.setattr(probes, "_EPOCHS", 8)
    monkeypatch.setattr(probes, "_LEARNING_RATES", {"vocabulary": 1e-2, "output_layer": 3e-3})


def pair(bench: Bench, gemma: Source, **changes: Any) -> Study:
    write_jsonl(bench.folder / "six.jsonl", PROMPTS)
    values: dict[str, Any] = {
        "prompts": "six.jsonl",
        "samples_per_prompt": 3,
        "max_new_tokens": 10,
        "probes": {"horizons": [1, 2]},
        "checkpoints": [
            {"name": "base", "source": str(bench.llama), "decodings": [{"top_p": 0.7}, "greedy"]},
            {"name": "tuned", "source": str(gemma), "base": "base"},
        ],
    }
    return bench.study(**(values | changes))


def texts(*lengths: int, prompts: int = 5) -> ProbedTexts:
    """Texts of random tokens, some to a prompt."""
    random = np.random.default_rng(0)
    found = ProbedTexts("g", "top_p=0.9", "set")
    for i, length in enumerate(lengths):
        found.texts.append(
            Text(f"p{i % prompts}/{i}", [0], random.integers(4, 90, length).tolist())
        )
        found.items.append(f"p{i % prompts}")
    return found


@pytest.mark.parametrize("horizon", [0, 1, 3, 7])
def test_a_place_is_followed_by_its_target_and_each_is_tested_once(horizon: int) -> None:
    probed = texts(*[5, 9, 1, 12, 3, 8, 8, 2, 30, 4])
    split = Split(probed, seed=0)
    flat = [
        (t, i, token)
        for t, text in enumerate(probed.texts)
        for i, token in enumerate(text.token_ids)
    ]
    expected = {
        (t, i, probed.texts[t].token_ids[i + horizon])
        for t, i, _ in flat
        if i + horizon < len(probed.texts[t].token_ids)
    }
    tested = []
    for fold in range(split.n_folds):
        training, tuning, testing = split.parts(horizon, fold)
        prompts = [{probed.items[flat[i][0]] for i in part} for part in (training, tuning, testing)]
        assert not prompts[0] & prompts[1]
        assert not (prompts[0] | prompts[1]) & prompts[2]
        every = np.concatenate([training, tuning, testing])
        assert sorted(every.tolist()) == sorted(set(every.tolist()))
        assert len(every) == len(expected)
        tested += [(*flat[i][:2], int(split.tokens[i + horizon])) for i in testing]
    assert len(tested) == len(expected)
    assert set(tested) == expected


def test_a_text_that_is_tested_is_learned_from_under_no_other_prompt() -> None:
    probed = texts(6, 6, 6, 6, 6)
    again = probed.texts[0]
    probed.texts.append(Text("p3/again", [0], list(again.token_ids)))
    probed.items.append("p3")
    split = Split(probed, seed=0)
    for fold in range(split.n_folds):
        training, tuning, testing = split.parts(0, fold)
        held = {tuple(probed.texts[t].token_ids) for t in split.text[testing]}
        tuned = {tuple(probed.texts[t].token_ids) for t in split.text[tuning]}
        learned = {tuple(probed.texts[t].token_ids) for t in split.text[training]}
        assert not held & tuned
        assert not (held | tuned) & learned


@pytest.mark.parametrize(("n_train", "n_texts"), [(1, 5), (18, 5), (60, 10), (10_000, 30)])
def test_no_more_texts_are_read_than_are_learned_from(n_train: int, n_texts: int) -> None:
    """A first of every prompt before a second of any: three of five folds are learned from."""
    probed = texts(*[10] * 30)
    chosen = probed.limited(n_train, seed=0)
    assert len(chosen.texts) == n_texts
    counts = [chosen.items.count(f"p{i}") for i in range(5)]
    assert max(counts) - min(counts) <= 1
    assert probed.limited(n_train, seed=0) == chosen


def told(horizon: int) -> Any:
    """In place of hidden states, ones that plainly hold the token so many steps ahead."""
    codes = torch.randn(300, 32, generator=torch.Generator().manual_seed(0))

    def states(model: Any, some: Any, layer: int, **options: Any) -> Any:
        for text in some:
            ahead = torch.tensor([*text.token_ids, *[0] * horizon])[horizon:]
            yield [(text, codes[ahead])]

    return states


@pytest.mark.parametrize("ahead", [1, 2, 3])
@pytest.mark.parametrize("probe", ["vocabulary", "output_layer"])
def test_only_the_horizon_that_states_tell_of_is_read(
    bench: Bench, tiny_llama: LanguageModel, monkeypatch: pytest.MonkeyPatch, ahead: int, probe: str
) -> None:
    monkeypatch.setattr(probe_guesses, "hidden_states", told(ahead))
    study = bench.study(probes={"probe": probe})
    context = build_graph(study, bench.lake).context("probe_guesses", "llama")
    random = np.random.default_rng(1)
    probed = ProbedTexts("llama", "top_p=0.9", "prompts")
    for i in range(120):
        probed.texts.append(Text(f"p{i % 10}/{i}", [0], random.integers(4, 20, 30).tolist()))
        probed.items.append(f"p{i % 10}")
    rows = probe_guesses._probed(context, tiny_llama, probed, probe, layer=2).to_pylist()
    for horizon in (1, 2, 3):
        found = accuracy(row for row in rows if row["horizon"] == horizon)
        assert found["n_test"] == 120 * (30 - horizon)
        if horizon == ahead:
            assert found["accuracy"] > 0.97
        else:
            assert found["accuracy"] < 0.12  # one of sixteen by chance
        assert found["low"] <= found["accuracy"] <= found["high"]
        assert found["frequent"] < 0.12
        assert found["bigram"] < 0.12


def test_a_text_that_repeats_is_told_by_pairs_of_tokens(
    bench: Bench, tiny_llama: LanguageModel
) -> None:
    """Both from hidden states and without them; nothing is off by one."""
    study = bench.study(probes={})
    context = build_graph(study, bench.lake).context("probe_guesses", "llama")
    probed = ProbedTexts("llama", "top_p=0.9", "prompts")
    for i in range(120):
        text = ("abcdefghij" * 5)[i % 10 :][: 20 + i // 10]  # no two are the same
        probed.texts.append(Text(f"p{i % 8}/{i}", [0], tiny_llama.encode(text)))
        probed.items.append(f"p{i % 8}")
    rows = probe_guesses._probed(context, tiny_llama, probed, "vocabulary", layer=1).to_pylist()
    for horizon in (1, 2, 3):
        found = accuracy(row for row in rows if row["horizon"] == horizon)
        assert found["bigram"] == 1.0
        assert found["accuracy"] > 0.75  # random weights blur it; one of ten by chance


def test_the_tables_hold_own_and_crossed_texts(bench: Bench, gemma: Source) -> None:
    made = bench.run(pair(bench, gemma), only=("probe_accuracy",))
    for checkpoint, layer in (("base", 1), ("tuned", 2)):
        rows = bench.lake.read(PROBE_GUESSES, checkpoint).to_pylist()
        assert {row["layer"] for row in rows} == {layer}
        assert {(row["generator"], row["decoding"], row["corpus"]) for row in rows} == {
            ("base", "top_p=0.7", "six"),
            ("tuned", "top_p=0.9", "six"),
        }
        written = {
            f"{row['prompt_id']}/{row['sample']}": row
            for row in bench.lake.read(GENERATIONS, checkpoint).to_pylist()
            if row["decoding"] != "greedy"
        }
        own = [row for row in rows if row["generator"] == checkpoint]
        for row in own:
            generation = written[row["text_id"]]
            n_tokens = generation["n_tokens"] - (generation["finish_reason"] == "stop")
            assert row["n_tokens"] == n_tokens - row["horizon"]
            assert row["item"] == generation["prompt_id"]
            assert 0 <= row["n_right"] <= row["n_tokens"]
        assert {row["horizon"] for row in own} == {1, 2}
        for row in bench.lake.read(PROBE_ACCURACY, checkpoint).to_pylist():
            same = [r for r in rows if all(r[k] == row[k] for k in ("generator", "horizon"))]
            assert row["n_test"] == sum(r["n_tokens"] for r in same)
            assert row["accuracy"] == sum(r["n_right"] for r in same) / row["n_test"]
            assert row["bigram"] == sum(r["n_bigram"] for r in same) / row["n_test"]
            assert row["n_prompts"] == 6
        notes = made["probe_guesses", checkpoint].notes
        curve = notes["loss by epoch"][f"{checkpoint} six"]["1 ahead, fold 1"]
        assert len(curve["training"]) == len(curve["validation"]) >= 4
    assert not (bench.lake.staging / "probe_guesses").exists() or not list(
        (bench.lake.staging / "probe_guesses").iterdir()
    )


def test_a_run_that_was_stopped_keeps_what_is_finished_and_no_hidden_states(
    bench: Bench, gemma: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = pair(bench, gemma)
    bench.run(study, only=("probe_accuracy",))
    whole = bench.lake.read(PROBE_GUESSES, "base")
    bench.lake.path(PROBE_GUESSES, "base").unlink()
    train, trained = probe_guesses.train, []

    def stopped(*args: Any, **options: Any) -> Any:
        if len(trained) == 12:  # of 2 x 5 each
            raise KeyboardInterrupt
        trained.append(1)
        return train(*args, **options)

    with monkeypatch.context() as patched:
        patched.setattr(probe_guesses, "train", stopped)
        with pytest.raises(KeyboardInterrupt):
            bench.run(study, only=("probe_accuracy",))
    left = [p.suffix for p in (bench.lake.staging / "probe_guesses" / "base").iterdir()]
    assert left == [".parquet"]
    made = bench.run(study, only=("probe_accuracy",))["probe_guesses", "base"]
    assert made.notes["parts kept from before"] == 1
    assert bench.lake.read(PROBE_GUESSES, "base") == whole


def test_another_partner_leaves_what_is_there(bench: Bench, gemma: Source) -> None:
    study = pair(bench, gemma)
    bench.run(study, only=("probe_accuracy",))
    before = bench.lake.read(PROBE_GUESSES, "base").to_pylist()
    third = {"name": "third", "source": str(gemma), "base": "base", "decodings": [{"top_p": 0.5}]}
    more = [c.model_dump() | {"source": str(c.source)} for c in study.checkpoints]
    values = [{k: v for k, v in one.items() if k in ("name", "source", "base")} for one in more]
    values[0]["decodings"] = [{"top_p": 0.7}, "greedy"]
    made = bench.run(pair(bench, gemma, checkpoints=[*values, third]), only=("probe_accuracy",))
    assert made["probe_guesses", "base"].notes["parts kept from before"] == 2
    after = bench.lake.read(PROBE_GUESSES, "base").to_pylist()
    assert [row for row in after if row["generator"] != "third"] == before


@pytest.mark.parametrize(("limit", "kind"), [(260, "vocabulary"), (259, "output_layer")])
def test_a_large_vocabulary_is_read_through_the_output_layer(
    bench: Bench, gemma: Source, monkeypatch: pytest.MonkeyPatch, limit: int, kind: str
) -> None:
    monkeypatch.setattr(probe_guesses, "LARGE_VOCABULARY", limit)
    made = bench.run(pair(bench, gemma, probes={"horizons": [1]}), only=("probe_accuracy",))
    for checkpoint in ("base", "tuned"):
        assert set(bench.lake.read(PROBE_GUESSES, checkpoint)["probe"].to_pylist()) == {kind}
        assert f"probe:{kind}|" in made["probe_guesses", checkpoint].provenance.signature


def test_texts_made_elsewhere_are_read_by_their_partner_alone(bench: Bench) -> None:
    rows = [row for i in range(4) for row in imported(f"q{i}", f"some words of {i}", f"{i} others")]
    write_jsonl(bench.folder / "made.jsonl", rows)
    checkpoints = [
        {"name": "base", "source": str(bench.llama)},
        {"name": "elsewhere", "source": "file:made.jsonl", "base": "base"},
    ]
    study = bench.study(checkpoints=checkpoints, probes={"prompt_sets": ["elsewhere"]})
    bench.run(study, only=("probe_accuracy",))
    assert not bench.lake.files(PROBE_GUESSES, "elsewhere")
    found = bench.lake.read(PROBE_ACCURACY, "base").to_pylist()
    assert {(row["generator"], row["corpus"]) for row in found} == {("elsewhere", "elsewhere")}
    assert {row["n_prompts"] for row in found} == {4}


def test_too_few_prompts_are_refused(bench: Bench) -> None:
    write_jsonl(bench.folder / "two.jsonl", PROMPTS[:2])
    with pytest.raises(
        InputError, match=r"nothing to probe: llama has text for 2 prompts of two, and 3"
    ):
        bench.run(bench.study(prompts="two.jsonl", probes={}))


def test_texts_that_are_all_alike_are_refused(bench: Bench) -> None:
    rows = [row for i in range(4) for row in imported(f"q{i}", "the same", "the same")]
    write_jsonl(bench.folder / "made.jsonl", rows)
    checkpoints = [
        {"name": "base", "source": str(bench.llama)},
        {"name": "elsewhere", "source": "file:made.jsonl", "base": "base"},
    ]
    study = bench.study(checkpoints=checkpoints, probes={"prompt_sets": ["elsewhere"]})
    with pytest.raises(InputError, match=r"too short or too much alike"):
        bench.run(study, only=("probe_accuracy",))


@pytest.mark.parametrize(
    ("depth", "n_layers", "layer"),
    [
        (0.875, 32, 28),
        (0.875, 30, 26),
        (0.875, 18, 16),
        (0.875, 12, 11),
        (0.875, 2, 1),
        (1.0, 18, 18),
        (0.01, 18, 1),
        (0.99, 4, 3),
        (0.875, 1, 1),
    ],
)
def test_the_layer_is_a_share_of_the_depth(depth: float, n_layers: int, layer: int) -> None:
    assert probe_guesses.layer_at(depth, n_layers) == layer


def test_what_is_known_without_hidden_states_is_never_the_target() -> None:
    split = Split(texts(3, 2, 1, 4, 2), seed=0)
    places = np.arange(len(split.tokens))
    assert split.previous(places, 1).tolist() == split.tokens.tolist()
    first = [0, 3, 5, 6, 10]
    expected = [-1 if i in first else int(split.tokens[i - 1]) for i in places]
    assert split.previous(places, 0).tolist() == expected
