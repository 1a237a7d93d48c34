"""How likely checkpoints find chosen and rejected answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from assets.predictions import preference_scores
from tests.studies import Bench, imported, limit_assets, write_jsonl
from warehouse.tables import COMPARISONS, PREFERENCE_SCORES, SUMMARY

if TYPE_CHECKING:
    from assets.study.study import Study
    from models import LanguageModel, Source

pytestmark = pytest.mark.whole

ASKED = {"role": "user", "content": "Hi"}
EARLIER = [ASKED, {"role": "assistant", "content": "Ho"}, {"role": "user", "content": "π?"}]
PAIRS = [
    {"pair_id": "short", "prompt": [ASKED], "chosen": "Yes.", "rejected": "Not at all."},
    {"pair_id": "long", "prompt": EARLIER, "chosen": "3.14", "rejected": "Four."},
    {"pair_id": "text", "chosen": "The sky is blue", "rejected": "The sky is red"},
]
SENT = {
    ("base", "short"): "<bos>Hi\n",
    ("base", "long"): "<bos>Hi\n\nHo\n\nπ?\n",
    ("base", "text"): "<bos>The sky is",
    ("tuned", "short"): "<bos><user>Hi<assistant>",
    ("tuned", "long"): "<bos><user>Hi<assistant>Ho<user>π?<assistant>",
    ("tuned", "text"): "<bos>The sky is",
}
"""What each checkpoint is given: plain text, and chats of as many turns as there are."""
NAMES = ("chosen_logprob", "rejected_logprob", "preference_margin", "preference_accuracy")


def study_of(bench: Bench, gemma: Source, **changes: Any) -> Study:
    write_jsonl(bench.folder / "pairs.jsonl", PAIRS)
    write_jsonl(bench.folder / "made.jsonl", imported("p", "a"))
    checkpoints = [
        {"name": "base", "source": str(bench.llama), "stage": "base"},
        {"name": "tuned", "source": str(gemma), "stage": "DPO"},
        {"name": "elsewhere", "source": "file:made.jsonl"},
    ]
    return bench.study(
        checkpoints=checkpoints,
        ladders=[{"name": "steps", "checkpoints": ["base", "tuned"]}],
        preferences=[{"name": "pairs", "source": "file:pairs.jsonl"}],
        **changes,
    )


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory, llama_source: Source, gemma: Source) -> Bench:
    """A lake of that study; not to be written to."""
    bench = Bench(tmp_path_factory.mktemp("pairs"), llama_source)
    with pytest.MonkeyPatch.context() as patch:
        names = ("figures/preferences", *(f"measures/{name}" for name in NAMES))
        limit_assets(patch, names, bench.folder / "sql")
        bench.run(study_of(bench, gemma), only=("figures/preferences",))
    return bench


def by_hand(model: LanguageModel, sent: str, answer: str) -> tuple[float, int, int]:
    """The sum of an answer's log-probabilities, in float64; its tokens, and those before it."""
    tokenizer = model.tokenizer
    before = tokenizer(sent, add_special_tokens=False)["input_ids"]
    ids = tokenizer(answer, add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        logits = model.model(torch.tensor([[*before, *ids]])).logits[0].double()
    logprobs = logits.log_softmax(-1)
    total = sum(logprobs[len(before) - 1 + i, token].item() for i, token in enumerate(ids))
    return total, len(ids), len(before)


@pytest.mark.core
def test_answers_are_as_likely_as_transformers_says(
    scored: Bench, tiny_llama: LanguageModel, tiny_gemma: LanguageModel
) -> None:
    answers = {pair["pair_id"]: (pair["chosen"], pair["rejected"]) for pair in PAIRS}
    answers["text"] = (" blue", " red")
    for checkpoint, model in (("base", tiny_llama), ("tuned", tiny_gemma)):
        rows = scored.lake.read(PREFERENCE_SCORES, checkpoint).to_pylist()
        assert sorted(row["pair_id"] for row in rows) == ["long", "short", "text"]
        for row in rows:
            sent = SENT[checkpoint, row["pair_id"]]
            for side, answer in zip(("chosen", "rejected"), answers[row["pair_id"]], strict=True):
                total, n_tokens, n_before = by_hand(model, sent, answer)
                assert row[f"{side}_logprob"] == pytest.approx(total, rel=1e-5)
                assert row[f"{side}_tokens"] == n_tokens
                assert row["prompt_tokens"] == n_before


def test_measures_are_in_sum_and_per_token(scored: Bench) -> None:
    rows = scored.lake.read(PREFERENCE_SCORES, "tuned").to_pylist()
    values = {
        (row["measure"], row["condition"], row["unit"]): row["value"]
        for row in scored.lake.read(SUMMARY, "tuned").to_pylist()
        if row["collection"] == "pairs"
    }
    assert {key[0] for key in values} == set(NAMES)
    for condition, unit in (("-", "-"), ("per token", "token")):
        chosen, rejected = (
            [
                row[f"{side}_logprob"] / (row[f"{side}_tokens"] if unit == "token" else 1)
                for row in rows
            ]
            for side in ("chosen", "rejected")
        )
        margins = [a - b for a, b in zip(chosen, rejected, strict=True)]
        expected = {
            "chosen_logprob": sum(chosen) / 3,
            "rejected_logprob": sum(rejected) / 3,
            "preference_margin": sum(margins) / 3,
            "preference_accuracy": sum(margin > 0 for margin in margins) / 3,
        }
        for name, value in expected.items():
            assert values[name, condition, unit] == pytest.approx(value)


def test_a_checkpoint_is_compared_with_its_base_over_the_same_pairs(scored: Bench) -> None:
    rows = scored.lake.read(COMPARISONS, "tuned").to_pylist()
    compared = {(r["measure"], r["condition"]): r for r in rows if r["collection"] == "*"}
    # Both read bytes, so that a token of one is a token of the other.
    assert compared.keys() == {(name, c) for name in NAMES for c in ("-", "per token")}
    ours, theirs = (
        {
            row["pair_id"]: row["chosen_logprob"]
            for row in scored.lake.read(PREFERENCE_SCORES, name).to_pylist()
        }
        for name in ("tuned", "base")
    )
    row = compared["chosen_logprob", "-"]
    assert row["n_items"] == 3
    assert row["difference"] == pytest.approx(sum(ours[i] - theirs[i] for i in ours) / 3)


def test_of_generations_made_elsewhere_there_is_no_score(scored: Bench) -> None:
    assert not scored.lake.files(PREFERENCE_SCORES, "elsewhere")
    assert scored.lake.files(PREFERENCE_SCORES, "base")


def test_a_stopped_run_goes_on_after_the_groups_that_it_scored(
    bench: Bench, gemma: Source, monkeypatch: pytest.MonkeyPatch, scored: Bench
) -> None:
    study = study_of(bench, gemma)
    score = preference_scores.score
    left = [5]  # groups, each of one answer, before it is stopped

    def stopping(*arguments: Any, **options: Any) -> Any:
        for group in score(*arguments, **options, group_tokens=1):
            if left and left[0] == 0:
                left.clear()
                raise RuntimeError("stopped")
            left[:] = [number - 1 for number in left]
            yield group

    monkeypatch.setattr(preference_scores, "score", stopping)
    with pytest.raises(RuntimeError, match="stopped"):
        bench.run(study, only=("preference_scores",))
    made = bench.run(study, only=("preference_scores",))
    assert made["preference_scores", "base"].notes["pairs kept from before"] == 2
    for checkpoint in ("base", "tuned"):
        ours, whole = (b.lake.read(PREFERENCE_SCORES, checkpoint) for b in (bench, scored))
        assert ours["pair_id"].equals(whole["pair_id"])
        for column in ("chosen_logprob", "rejected_logprob"):
            assert ours[column].to_pylist() == pytest.approx(whole[column].to_pylist(), rel=1e-5)
    # Another way of being asked is other work.
    changed = study.model_copy(
        update={
            "checkpoints": tuple(
                c.model_copy(update={"prompt_format": "{prompt}"}) for c in study.checkpoints
            )
        }
    )
    made = bench.run(changed, only=("preference_scores",))
    assert made["preference_scores", "base"].notes["pairs kept from before"] == 0
