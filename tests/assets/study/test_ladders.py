"""Ladders of post-training: the order of checkpoints, their bases, and what cannot be a ladder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from assets.study.checkpoints import Registered
from assets.study.errors import InputError
from assets.study.study import load_study
from models import Decoding, PromptFormat

if TYPE_CHECKING:
    from pathlib import Path

    from assets.study.study import Study

LADDERS = [
    {"name": "olmo", "checkpoints": ["base", "sft", "dpo"]},
    {"name": "tulu", "checkpoints": ["base", "rlvr"]},
]
LISTED = ("other", "dpo", "sft", "rlvr", "base")


def study_of(tmp_path: Path, ladders: Any, **keys: dict[str, Any]) -> Study:
    """A study of checkpoints that are listed in another order than their ladders'.

    Args:
        tmp_path: Where it is written.
        ladders: Its ladders.
        keys: What it says of checkpoints, by name, beside where they are.
    """
    checkpoints = [{"name": n, "source": "pypi:x"} | keys.get(n, {}) for n in LISTED]
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump({"name": "s", "checkpoints": checkpoints, "ladders": ladders}))
    return load_study(path)


def names(checkpoints: Any) -> list[str]:
    return [checkpoint.name for checkpoint in checkpoints]


def test_checkpoints_are_in_the_order_of_their_ladders(tmp_path: Path) -> None:
    study = study_of(tmp_path, LADDERS)
    assert names(study.checkpoints) == ["base", "sft", "dpo", "rlvr", "other"]
    assert names(study.listed) == [*LISTED]
    assert names(study.limited_to({"dpo", "other", "sft"}).checkpoints) == ["sft", "dpo", "other"]
    assert names(study.limited_to({"dpo", "other", "sft"}).listed) == ["other", "dpo", "sft"]
    without = study_of(tmp_path, [])
    assert names(without.checkpoints) == names(without.listed) == [*LISTED]


def test_the_stages_of_a_ladder_are_compared_with_its_first(tmp_path: Path) -> None:
    study = study_of(tmp_path, LADDERS, dpo={"base": "sft"}, rlvr={"role": "base"})
    assert {c.name: (c.role, c.base) for c in study.checkpoints} == {
        "base": ("base", None),
        "sft": ("aligned", "base"),
        "dpo": ("aligned", "sft"),  # as it says itself
        "rlvr": ("base", "base"),
        "other": ("base", None),
    }
    assert study.decodings(study.checkpoint("sft")) == (Decoding(top_p=0.9),)
    assert names(study.partners(study.checkpoint("sft"))) == ["base"]
    # As they are listed, so that the base predicts what it did before there was a ladder.
    plain = study_of(tmp_path, LADDERS)
    assert names(plain.partners(plain.checkpoint("base"))) == ["dpo", "sft", "rlvr"]


def test_a_stage_may_have_what_an_aligned_checkpoint_may(tmp_path: Path) -> None:
    study = study_of(tmp_path, LADDERS, sft={"system": "Be brief."})
    expected = PromptFormat.chat(system="Be brief.")
    assert study.checkpoint("sft").format_of_prompts == expected


def test_the_stage_before_is_the_one_before_on_the_ladder(tmp_path: Path) -> None:
    study = study_of(tmp_path, LADDERS)

    def before(name: str) -> str | None:
        previous = study.previous_stage(study.checkpoint(name))
        return previous and previous.name

    assert {name: before(name) for name in LISTED} == {
        "other": None,
        "dpo": "sft",
        "sft": "base",
        "rlvr": "base",
        "base": None,
    }
    limited = study.limited_to({"dpo"})
    assert names([limited.previous_stage(limited.checkpoint("dpo"))]) == ["sft"]


def test_the_place_on_a_ladder_counts_from_its_first(tmp_path: Path) -> None:
    study = study_of(tmp_path, LADDERS)
    rungs = {c.name: study.rung(c) for c in study.checkpoints}
    assert {name: rung and (rung[0].name, rung[1]) for name, rung in rungs.items()} == {
        "base": ("olmo", 0),
        "sft": ("olmo", 1),
        "dpo": ("olmo", 2),
        "rlvr": ("tulu", 1),
        "other": None,
    }


def test_what_is_registered_later_comes_after_the_ladders(tmp_path: Path) -> None:
    study = study_of(tmp_path, LADDERS)
    known = {"study": "s", "entry": "1", "weights": "w", "origin": "dir:/x", "source": "dir:/x"}
    later = Registered.model_validate({"name": "run-1", "series": "run", "step": 1, **known})
    whole = study.with_registered([later])
    assert names(whole.checkpoints) == ["base", "sft", "dpo", "rlvr", "other", "run-1"]
    assert names(whole.listed) == [*LISTED, "run-1"]
    assert whole.previous_stage(whole.checkpoint("run-1")) is None


def test_a_stage_is_compared_whatever_its_step(tmp_path: Path) -> None:
    steps = {
        "sft": {"series": "run", "step": 1},
        "other": {"series": "run", "step": 2},
        "dpo": {"series": "run", "step": 3},
    }
    assert study_of(tmp_path, LADDERS, **steps).compared() == ("base", "sft", "dpo", "rlvr")


@pytest.mark.parametrize(
    ("ladders", "words"),
    [
        (
            [{"name": "a", "checkpoints": ["base", "sft", "sft"]}],
            ["ladders[0].checkpoints", "'sft' twice", "once"],
        ),
        (
            [{"name": "a", "checkpoints": ["base", "stf"]}],
            ["ladders: 'stf'", "'a'", "(other, dpo, sft, rlvr, base)"],
        ),
        (
            [{"name": "a", "checkpoints": ["bse", "sft"]}],
            ["ladders: 'bse'", "none of the study's checkpoints"],
        ),
        (
            [{"name": "a", "checkpoints": [n, "sft"]} for n in ("base", "other")],
            ["ladders has two of the name 'a'", "rename"],
        ),
        (
            [{"name": "a", "checkpoints": ["base"]}],
            ["ladders[0].checkpoints", "at least 2", "has 1"],
        ),
        ([{"name": "a", "checkpoints": []}], ["ladders[0].checkpoints", "at least 2", "has 0"]),
        (
            [
                {"name": "a", "checkpoints": ["base", "sft"]},
                {"name": "b", "checkpoints": ["other", "sft"]},
            ],
            ["ladders: 'sft' stands on 'a' and on 'b'", "only the first"],
        ),
        (
            [
                {"name": "a", "checkpoints": ["base", "sft"]},
                {"name": "b", "checkpoints": ["sft", "dpo"]},
            ],
            ["ladders: 'sft' stands on 'a' and on 'b'", "only the first"],
        ),
        ([{"name": "a"}], ["ladders[0].checkpoints: is missing"]),
        ([{"name": "", "checkpoints": ["base", "sft"]}], ["ladders[0].name", "at least 1"]),
        (
            [{"name": "a", "checkpoints": ["base", "sft"], "stages": 2}],
            ["ladders[0].stages: is no key", "name, checkpoints"],
        ),
        ([{"name": "a", "checkpoints": ["base", 3]}], ["ladders[0].checkpoints[1]", "3", "quotes"]),
        ({"a": ["base", "sft"]}, ["ladders", "list"]),
    ],
)
def test_what_is_no_ladder_is_said(tmp_path: Path, ladders: Any, words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        study_of(tmp_path, ladders)
    message = str(caught.value)
    assert len(message.splitlines()) == 1, message
    for word in words:
        assert word in message, message
    assert "pydantic" not in message


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (
            {"sft": {"stage": "SFT"}, "dpo": {"stage": "SFT"}},
            ["ladders: 'sft' and 'dpo' on the ladder 'olmo'", "'SFT'", "`stage:`"],
        ),
        ({"dpo": {"stage": "sft"}}, ["'sft' and 'dpo'", "both called 'sft'"]),
        ({"dpo": {"stage": ""}}, ["checkpoints[1].stage", "at least 1"]),
        ({"dpo": {"stage": 3}}, ["checkpoints[1].stage", "3", "quotes"]),
        ({"other": {"controlled": True}}, ["checkpoints[0]", "controlled: says", "`base:`"]),
        ({"dpo": {"controlled": "yes"}}, ["checkpoints[1].controlled", "'yes'"]),
        ({"dpo": {"name": ["dpo"]}}, ["checkpoints[1].name"]),
        ({"dpo": {"source": "zip:x"}}, ["checkpoints[1].source", "zip:x"]),
    ],
)
def test_what_a_stage_cannot_be_is_said(tmp_path: Path, keys: Any, words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        study_of(tmp_path, LADDERS, **keys)
    message = str(caught.value)
    assert len(message.splitlines()) == 1, message
    for word in words:
        assert word in message, message


def test_a_checkpoint_may_be_said_to_be_made_from_its_base(tmp_path: Path) -> None:
    study = study_of(tmp_path, LADDERS, sft={"controlled": True, "stage": "SFT"})
    assert [(c.stage, c.controlled) for c in study.checkpoints[:3]] == [
        (None, False),
        ("SFT", True),
        (None, False),
    ]


def test_two_ladders_may_have_stages_of_one_name(tmp_path: Path) -> None:
    stages = {"dpo": {"stage": "RL"}, "rlvr": {"stage": "RL"}}
    assert study_of(tmp_path, LADDERS, **stages).checkpoint("rlvr").stage == "RL"
