"""What checkpoints choose: directly and after their own reasoning, in every order."""

from __future__ import annotations

import itertools
import math
from statistics import mean
from typing import TYPE_CHECKING, Any

import pytest
import torch

from assets.predictions import choice_scores
from assets.preflight import check_inputs
from assets.sources.questions import Listed, Question
from assets.study.checkpoints import Checkpoint
from assets.study.choices import Choices
from tests.studies import Bench, limit_assets, write_jsonl
from warehouse.tables import CHOICE_REASONING, CHOICE_SCORES, GENERATIONS, SUMMARY

if TYPE_CHECKING:
    from assets.study.study import Study
    from models import LanguageModel, Source

pytestmark = pytest.mark.whole

QUESTIONS: list[dict[str, Any]] = [
    {"question_id": "sky", "question": "Sky?", "options": ["red", "blue", "green"], "answer": "B"},
    {"question_id": "sum", "question": "1 + 1?", "options": ["2", "3"], "answer": 0},
    {"question_id": "mood", "question": "You like parties.", "options": ["no", "yes"]},
]
MEASURES = (
    *("choice_accuracy", "choice_confidence", "choice_calibration_error", "order_sensitivity"),
    *("choice_confidence_right", "choice_confidence_wrong"),
    *("reasoning_accuracy", "reasoning_confidence"),
)


def study_of(bench: Bench, gemma: Source, **changes: Any) -> Study:
    write_jsonl(bench.folder / "questions.jsonl", QUESTIONS)
    asked = {"source": "file:questions.jsonl", "orders": 6, "reasoning_tokens": 5}
    return bench.study(
        checkpoints=[
            {"name": "base", "source": str(bench.llama), "stage": "base"},
            {"name": "tuned", "source": str(gemma), "stage": "DPO"},
        ],
        ladders=[{"name": "steps", "checkpoints": ["base", "tuned"]}],
        choices=[
            {"name": "letters", "conditions": ["direct", "reasoned"], **asked},
            {"name": "texts", "scored": "texts", "cue": "So:", **asked},
        ],
        **changes,
    )


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory, llama_source: Source, gemma: Source) -> Bench:
    """A lake of that study; not to be written to."""
    bench = Bench(tmp_path_factory.mktemp("choices"), llama_source)
    with pytest.MonkeyPatch.context() as patch:
        names = ("choices", *(f"measures/{name}" for name in MEASURES))
        limit_assets(patch, names, bench.folder / "sql")
        bench.run(study_of(bench, gemma), only=("summary",))
    return bench


def test_what_a_run_reasons_about_is_known_before(scored: Bench, gemma: Source) -> None:
    for need in check_inputs(study_of(scored, gemma)):
        made = scored.lake.read(CHOICE_REASONING, need.checkpoint)
        assert need.reasonings == made.num_rows == 6 + 2 + 2
        assert need.reasoning_tokens == 5 * 10 >= sum(made["n_tokens"].to_pylist())


def by_hand(model: LanguageModel, before: str, option: str) -> float:
    """The log-probability of an option after a text, in float64; a byte is a token."""
    context, own = (
        model.tokenizer(text, add_special_tokens=False)["input_ids"] for text in (before, option)
    )
    with torch.inference_mode():
        logits = model.model(torch.tensor([[*context, *own]])).logits[0].double()
    logprobs = logits.log_softmax(-1)
    return sum(float(logprobs[len(context) - 1 + i, token]) for i, token in enumerate(own))


def listed(question: str, marks: str, options: list[str]) -> str:
    lines = [f"{mark} {option}" for mark, option in zip(marks.split(), options, strict=False)]
    return "\n".join([question, *lines])


@pytest.mark.core
def test_options_are_as_likely_as_transformers_says_in_every_order(
    scored: Bench, tiny_llama: LanguageModel, tiny_gemma: LanguageModel
) -> None:
    questions = {str(q["question_id"]): q for q in QUESTIONS}
    for name, model, opened, closed in (
        ("base", tiny_llama, "<bos>", "\n"),
        ("tuned", tiny_gemma, "<bos><user>", "<assistant>"),
    ):
        rows = scored.lake.read(CHOICE_SCORES, name).to_pylist()
        traces = {
            (row["question_id"], row["ordering"]): row
            for row in scored.lake.read(CHOICE_REASONING, name).to_pylist()
        }
        orders: dict[tuple[str, str, str, int], list[tuple[int, int]]] = {}
        for row in rows:
            key = (row["choice_set"], row["condition"], row["question_id"], row["ordering"])
            orders.setdefault(key, []).append((row["place"], row["option"]))
        for places in orders.values():
            assert [place for place, _ in places] == list(range(len(places)))
        for choice_set, condition in (
            *(("letters", "direct"), ("letters", "reasoned"), ("texts", "direct")),
        ):
            tried = [
                tuple(option for _, option in places)
                for key, places in orders.items()
                if key[:3] == (choice_set, condition, "sky")
            ]
            assert sorted(tried) == list(itertools.permutations(range(3)))
        for row in rows:
            question = questions[row["question_id"]]
            key = (row["choice_set"], row["condition"], row["question_id"], row["ordering"])
            options = [question["options"][option] for _, option in orders[key]]
            letters = row["choice_set"] == "letters"
            prompt = listed(question["question"], "A. B. C." if letters else "- - -", options)
            before = f"{opened}{prompt}{closed}"
            if row["condition"] == "reasoned":
                trace = traces[row["question_id"], row["ordering"]]
                sent = f"{opened}{prompt}\nLet's think step by step.{closed}"
                assert trace["prompt_sent"] == sent.removeprefix("<bos>" if name == "base" else "")
                assert 1 <= trace["n_tokens"] <= 5
                before = f"{sent}{trace['text']}".rstrip() + "\n\n"
            before += "Answer:" if letters else "So:"
            option = f" {'ABC'[row['place']]}" if letters else f" {options[row['place']]}"
            assert row["logprob"] == pytest.approx(by_hand(model, before, option), abs=1e-4)
            assert row["n_tokens"] == len(option)
            right = {"sky": 1, "sum": 0, "mood": None}[row["question_id"]]
            assert row["is_right"] == (None if right is None else row["option"] == right)


@pytest.mark.parametrize(
    ("form", "row", "before"),
    [
        ("{prompt}\nA:", None, "{prompt}\nA: Answer:"),
        ("{prompt}\n<think>", None, "{prompt}\n<think></think>\n\nAnswer:"),
        ("{prompt}\n", {"reasoning": None, "text": "B. "}, "{prompt}\nB.\n\nAnswer:"),
        ("{prompt}\n", {"reasoning": None, "text": " "}, "{prompt}\n\n\nAnswer:"),
        (
            "{prompt}\n<think>",
            {"reasoning": "Hm", "text": "B."},
            "{prompt}\n<think>Hm</think>\n\nB.\n\nAnswer:",
        ),
        (
            "{prompt}\n",
            {"reasoning": "Hm, so it was cut", "text": ""},
            "{prompt}\n<think>Hm, so it was cut</think>\n\nAnswer:",
        ),
    ],
)
def test_a_reasoning_trace_is_closed_before_the_cue(
    form: str, row: dict[str, Any] | None, before: str, tiny_llama: LanguageModel
) -> None:
    choices = Choices.model_validate({"name": "q", "source": "file:q.jsonl"})
    listed = Listed(choices, "1", 0, Question("Why?", ("a", "b"), None), (1, 0))
    checkpoint = Checkpoint.model_validate(
        {"name": "c", "source": "pypi:none", "prompt_format": form, "reasoning": True}
    )
    prompt = "Why?\nA. b\nB. a"
    if row is not None:
        row = row | {"prompt_sent": form.replace("{prompt}", prompt)}
    asked = choice_scores.Asked(listed, "reasoned" if row else "direct", row)
    assert asked.before(tiny_llama, checkpoint) == before.replace("{prompt}", prompt)


def chosen(rows: list[dict[str, Any]]) -> dict[tuple[Any, ...], dict[str, Any]]:
    """The likeliest option of each order, with its share of the probability of all."""
    orders: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        key = (row["choice_set"], row["condition"], row["question_id"], row["ordering"])
        orders.setdefault(key, []).append(row)
    result = {}
    for key, options in orders.items():
        best = max(options, key=lambda row: row["logprob"])
        total = sum(math.exp(row["logprob"]) for row in options)
        result[key] = best | {"confidence": math.exp(best["logprob"]) / total}
    return result


def test_measures_are_those_of_the_choices(scored: Bench) -> None:
    for name in ("base", "tuned"):
        rows = chosen(scored.lake.read(CHOICE_SCORES, name).to_pylist())
        found = {
            (row["measure"], row["condition"]): row["value"]
            for row in scored.lake.read(SUMMARY, name).to_pylist()
            if row["collection"] == "letters"
        }
        for condition, called in (("direct", "-"), ("reasoned", "reasoned")):
            some = {key[2:]: row for key, row in rows.items() if key[:2] == ("letters", condition)}
            by_question = [
                [row for (own, _), row in some.items() if own == question]
                for question in ("sky", "sum", "mood")
            ]
            expected = {
                "choice_accuracy": mean(
                    mean(row["is_right"] for row in of) for of in by_question[:2]
                ),
                "choice_confidence": mean(
                    mean(row["confidence"] for row in of) for of in by_question
                ),
                "order_sensitivity": mean(
                    len({row["option"] for row in of}) > 1 for of in by_question
                ),
            }
            for which in (True, False):
                own = [row["confidence"] for row in some.values() if row["is_right"] is which]
                measure = f"choice_confidence_{'right' if which else 'wrong'}"
                assert ((measure, called) in found) == bool(own)
                expected |= {measure: mean(own)} if own else {}
            bins: dict[int, list[float]] = {}
            judged = [row for row in some.values() if row["is_right"] is not None]
            for row in judged:
                gap = row["is_right"] - row["confidence"]
                bins.setdefault(math.ceil(15 * row["confidence"]), []).append(gap)
            expected["choice_calibration_error"] = sum(
                abs(sum(gaps)) for gaps in bins.values()
            ) / len(judged)
            for measure, value in expected.items():
                assert found[measure, called] == pytest.approx(value), (name, measure, called)
        added = [
            row["confidence"] - rows["letters", "direct", *key[2:]]["confidence"]
            for key, row in rows.items()
            if key[1] == "reasoned"
        ]
        assert found["reasoning_confidence", "-"] == pytest.approx(mean(added))


def test_reasoning_is_no_generation_that_measures_are_about(scored: Bench) -> None:
    assert len(scored.lake.read(CHOICE_REASONING, "base")) == 6 + 2 + 2
    assert not scored.lake.files(GENERATIONS)


def test_a_stopped_run_goes_on_after_what_it_scored(
    bench: Bench, gemma: Source, monkeypatch: pytest.MonkeyPatch, scored: Bench
) -> None:
    study = study_of(bench, gemma)
    score = choice_scores.score_options
    stopped: list[bool] = []

    def stopping(*arguments: Any, **options: Any) -> Any:
        for number, batch in enumerate(score(*arguments, **options)):
            if number == 1 and not stopped:
                stopped.append(True)
                raise RuntimeError("stopped")
            yield batch

    monkeypatch.setattr(choice_scores, "score_options", stopping)
    with pytest.raises(RuntimeError, match="stopped"):
        bench.run(study, only=("choice_scores",))
    made = bench.run(study, only=("choice_scores",))
    assert ("choice_reasoning", "base") not in made
    assert 0 < made["choice_scores", "base"].notes["orders kept from before"] < 30
    for name in ("base", "tuned"):
        ours, whole = (b.lake.read(CHOICE_SCORES, name) for b in (bench, scored))
        assert ours.drop_columns("logprob").equals(whole.drop_columns("logprob"))
        assert ours["logprob"].to_pylist() == pytest.approx(whole["logprob"].to_pylist(), abs=1e-4)
