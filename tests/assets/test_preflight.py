"""What is looked at before a run: everything that a study names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from assets.preflight import check_inputs, idle
from assets.study.errors import InputError
from tests.studies import write_jsonl

if TYPE_CHECKING:
    from tests.studies import Bench


def test_a_hub_that_is_not_reached_hides_nothing_else_that_is_wrong(bench: Bench) -> None:
    study = bench.study(
        checkpoints=[{"name": "far", "source": "hf:nobody/has-this"}],
        corpora=[{"name": "docs", "source": "file:gone.jsonl"}],
        shannon_game={"source": "file:none.jsonl", "words": 4},
    )
    with pytest.raises(InputError) as raised:
        check_inputs(study)
    far, docs, game = str(raised.value).splitlines()
    assert far.startswith("checkpoint far: ")
    assert "gone.jsonl" in docs
    assert "none.jsonl" in game


def test_what_no_run_can_give_is_said(bench: Bench) -> None:
    for name, prompt in (("base", "Say a."), ("dpo", "Say b."), ("rl", "Say a.")):
        row = {"prompt_id": "p", "prompt": prompt, "sample": 0, "text": "x"}
        write_jsonl(bench.folder / f"{name}.jsonl", [row])
    checkpoints = [
        {"name": "base", "source": "file:base.jsonl"},
        {"name": "dpo", "source": "file:dpo.jsonl", "base": "base"},
        {"name": "rl", "source": "file:rl.jsonl", "base": "base"},
    ]
    drift = [{"measure": "words", "over": 5}]
    assert idle(bench.study(checkpoints=checkpoints, drift=drift)) == [
        "dpo answers no prompt that its base base answers, so what they wrote is not compared; "
        "bring answers of both to the same prompts"
    ]
    assert idle(bench.study(checkpoints=checkpoints[:1], drift=drift)) == [
        "drift: no checkpoint has a `base` or a `step`, so its rules warn of nothing"
    ]


def test_a_question_that_cannot_be_used_hides_nothing_else_that_is_wrong(bench: Bench) -> None:
    write_jsonl(bench.folder / "q.jsonl", [{"question": "why?", "options": ["so"]}])
    (bench.folder / "scores.jsonl").write_text("{}\n", encoding="utf-8")
    study = bench.study(
        choices=[{"name": "q", "source": "file:q.jsonl", "conditions": ["reasoned"]}],
        scores={"file": "scores.jsonl"},
    )
    with pytest.raises(InputError) as raised:
        check_inputs(study)
    scores, question = str(raised.value).splitlines()
    assert "scores.jsonl, line 1" in scores
    assert "q.jsonl, line 1" in question
