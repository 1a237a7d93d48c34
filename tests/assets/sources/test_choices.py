"""Questions with options: their forms, their orders, and what is wrong with some."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from assets.preflight import check_inputs
from assets.sources.choices import read_questions
from assets.sources.questions import Question, orders_of, read_question
from assets.study.choices import Choices
from assets.study.datasets import DatasetSource
from assets.study.errors import InputError
from tests.studies import Bench, write_jsonl

if TYPE_CHECKING:
    from pathlib import Path

SKY = Question("Which colour has the sky?", ("red", "blue", "green"), 1)
MOOD = Question("I like parties.", ("no", "yes"), None)
FORMS: dict[str, tuple[dict[str, Any], Question]] = {
    "a place": ({"question": SKY.text, "options": ["red", "blue", "green"], "answer": 1}, SKY),
    "a letter": ({"question": SKY.text, "options": ["red", "blue", "green"], "answer": "B"}, SKY),
    "a text": ({"question": SKY.text, "options": ["red", "blue ", "green"], "answer": "blue"}, SKY),
    "none is right": ({"question": MOOD.text, "options": ["no", "yes"]}, MOOD),
    "MMLU": (
        {"question": SKY.text, "subject": "s", "choices": ["red", "blue", "green"], "answer": 1},
        SKY,
    ),
    "ARC": (
        {"id": "x", "question": SKY.text, "answerKey": "2"}
        | {"choices": {"text": ["red", "blue", "green"], "label": ["1", "2", "3"]}},
        SKY,
    ),
    "TruthfulQA, in alphabetical order": (
        {"question": SKY.text, "mc2_targets": {"choices": ["blue"], "labels": [1]}}
        | {"mc1_targets": {"choices": ["blue", "red", "green"], "labels": [1, 0, 0]}},
        Question(SKY.text, ("blue", "green", "red"), 0),
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_question_is_read_in_every_form(form: str) -> None:
    row, question = FORMS[form]
    assert read_question(row) == question


def test_every_order_is_tried_once_and_rotations_come_first() -> None:
    assert list(orders_of(4, 5)) == [
        *((0, 1, 2, 3), (1, 2, 3, 0), (2, 3, 0, 1), (3, 0, 1, 2)),
        (0, 1, 3, 2),
    ]
    for n in (2, 3, 4):
        assert sorted(orders_of(n, 1_000)) == list(itertools.permutations(range(n)))


def test_on_the_hub_where_nobody_can_mend_a_question_it_is_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [
        ("0", {"question": "a?", "choices": ["x", "x"], "answer": 0}),
        ("1", FORMS["ARC"][0]),
        ("2", FORMS["MMLU"][0]),
        ("3", FORMS["MMLU"][0]),
    ]
    monkeypatch.setattr(DatasetSource, "rows", lambda source, **options: iter(rows))
    choices = Choices(name="hub", source=DatasetSource("hf", "org/name"), questions=2)
    passed_over: Counter[str] = Counter()
    read = list(read_questions(choices, passed_over))
    assert [placed.question_id for placed in read] == ["x", "2"]
    assert passed_over == {"its options 0 and 1 are alike: 'x'": 1}


LONG = "why " * 100
TOO_LONG: dict[str, tuple[dict[str, Any], str]] = {
    "a question": (
        {},
        "it has 424 tokens with its options, more than the 256 that llama reads; shorten it, or "
        "leave it out",
    ),
    "its reasoning": (
        {"conditions": ["reasoned"], "reasoning_tokens": 300},
        "it has 358 tokens with its options and 300 of reasoning, more than the 256 that llama "
        "reads; shorten it, leave it out, or lower `reasoning_tokens:`",
    ),
}


@pytest.mark.parametrize("what", TOO_LONG)
def test_what_a_model_does_not_read_is_said_with_its_line(what: str, bench: Bench) -> None:
    changes, reason = TOO_LONG[what]
    question = LONG if what == "a question" else "why?"
    rows = [{"question": question, "options": ["so", "or so"], "answer": 0}]
    path: Path = write_jsonl(bench.folder / "q.jsonl", rows)
    study = bench.study(choices=[{"name": "q", "source": "file:q.jsonl", **changes}])
    with pytest.raises(InputError) as refused:
        check_inputs(study)
    assert str(refused.value) == f"{path}, line 1: {reason}"
