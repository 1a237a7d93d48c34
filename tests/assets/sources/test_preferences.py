"""Pairs of answers: the forms that they come in, and what is wrong with some."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from assets.preflight import check_inputs
from assets.sources.pairs import Answers, read_answers
from assets.sources.preferences import read_pairs
from assets.study.datasets import DatasetSource
from assets.study.errors import InputError
from assets.study.parts import Preferences

if TYPE_CHECKING:
    from pathlib import Path

    from tests.studies import Bench


def said(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


ASKED = said("user", "Which colour?")
GOOD, BAD = said("assistant", "Blue."), said("assistant", "Go away.")
EARLIER = [said("user", "Hi"), said("assistant", "Hello!")]
ONE_TURN = Answers((("user", "Which colour?"),), "Blue.", "Go away.")
TWO_TURNS = Answers(
    (("user", "Hi"), ("assistant", "Hello!"), ("user", "Which colour?")), "Blue.", "Go away."
)
TRANSCRIPT = "\n\nHuman: Hi\n\nAssistant: Hello!\n\nHuman: Which colour?\n\nAssistant:"

FORMS: dict[str, tuple[dict[str, Any], Answers]] = {
    "UltraFeedback": (
        {"prompt": "Which colour?", "chosen": [ASKED, GOOD], "rejected": [ASKED, BAD]},
        ONE_TURN,
    ),
    "UltraFeedback, several turns": (
        {"prompt": "Hi", "chosen": [*EARLIER, ASKED, GOOD], "rejected": [*EARLIER, ASKED, BAD]},
        TWO_TURNS,
    ),
    "HH-RLHF": (
        {"chosen": f"{TRANSCRIPT} Blue.", "rejected": f"{TRANSCRIPT} Go away."},
        TWO_TURNS,
    ),
    "HH-RLHF with a prompt": (
        {"prompt": TRANSCRIPT, "chosen": " Blue.", "rejected": " Go away."},
        TWO_TURNS,
    ),
    "TRL, texts": (
        {"prompt": "Which colour?", "chosen": "Blue.", "rejected": "Go away."},
        ONE_TURN,
    ),
    "TRL, messages": (
        {"prompt": [*EARLIER, ASKED], "chosen": [GOOD], "rejected": [BAD]},
        TWO_TURNS,
    ),
    "TRL, messages without a prompt": (
        {"chosen": [*EARLIER, ASKED, GOOD], "rejected": [*EARLIER, ASKED, BAD]},
        TWO_TURNS,
    ),
    "TRL, a system's message": (
        {"prompt": [said("system", "Be kind."), ASKED], "chosen": [GOOD], "rejected": [BAD]},
        Answers((("system", "Be kind."), ("user", "Which colour?")), "Blue.", "Go away."),
    ),
    "TRL, texts without a prompt": (
        {"chosen": "The sky is blue.", "rejected": "The sky is black."},
        Answers((("text", "The sky is"),), " blue.", " black."),
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_pair_is_read_in_every_form(form: str) -> None:
    row, answers = FORMS[form]
    assert read_answers(row) == answers


PAIR = {"prompt": "p", "chosen": "a", "rejected": "b"}
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "alike": (PAIR | {"rejected": "a "}, "its two answers are alike"),
    "empty": (PAIR | {"chosen": " \n"}, "the chosen answer is empty"),
    "no text in a transcript": (
        {"chosen": TRANSCRIPT, "rejected": f"{TRANSCRIPT} No."},
        "the chosen answer is empty",
    ),
    "an empty prompt": (PAIR | {"prompt": ""}, "message 1 of the prompt is empty"),
    "two of the user": (
        PAIR | {"prompt": [ASKED, ASKED]},
        "message 2 is of 'user' where one of 'assistant' must be: after the system's, if there is "
        "one, user and assistant alternate",
    ),
    "the system in the middle": (
        PAIR | {"prompt": [ASKED, GOOD, said("system", "s"), ASKED]},
        "message 3 is of 'system' where one of 'user' must be: after the system's, if there is "
        "one, user and assistant alternate",
    ),
    "a prompt that nobody asks": (
        PAIR | {"prompt": EARLIER},
        "the prompt must end with a message of 'user'",
    ),
    "a user's answer": (
        {"chosen": [ASKED], "rejected": [ASKED]},
        "'chosen' ends with a message of 'user', and must end with the assistant's answer",
    ),
    "two prompts": (
        {"chosen": [ASKED, GOOD], "rejected": [*EARLIER, ASKED, BAD]},
        "'chosen' and 'rejected' differ before their last message",
    ),
    "another prompt": (
        {"prompt": [ASKED], "chosen": [*EARLIER, ASKED, GOOD], "rejected": [*EARLIER, ASKED, BAD]},
        "the messages before the answers are not those of 'prompt'",
    ),
    "nothing in common": (
        {"chosen": "a b", "rejected": "c d"},
        "has no 'prompt', and its answers do not begin with a common one",
    ),
    "half a character": (
        PAIR | {"chosen": "\ud800"},
        "holds half a surrogate pair, which is no text",
    ),
}
OF_NO_FORM: dict[str, tuple[dict[str, Any], str]] = {
    "no answer": (
        {"prompt": "p", "chosen": "a"},
        "has no 'rejected'; it has 'prompt', 'chosen', and a pair has prompt, chosen and rejected",
    ),
    "a number": (PAIR | {"chosen": 3}, "'chosen' is 3, and must be a text or a list of messages"),
    "no content": (
        PAIR | {"prompt": [{"role": "user"}]},
        "'prompt': message 1 is {'role': 'user'}, and must have a role and a content, both texts",
    ),
    "a text and messages": (
        PAIR | {"rejected": [BAD]},
        "'chosen' and 'rejected' must be both texts, or both lists of messages",
    ),
    "an unknown field": (
        PAIR | {"choosen": "a"},
        "has the unknown field 'choosen'; a pair has pair_id, prompt, chosen, rejected",
    ),
    "a strange name": (PAIR | {"pair_id": 3}, "'pair_id' must be a text that is not empty"),
}


def pairs_in(path: Path, rows: list[dict[str, Any]], **changes: Any) -> Preferences:
    """A set of pairs in a file."""
    path.write_text("\n".join(map(json.dumps, rows)))
    return Preferences(name="pairs", source=DatasetSource("file", str(path)), **changes)


@pytest.mark.parametrize("case", [*WRONG, *OF_NO_FORM])
def test_a_pair_in_a_file_that_cannot_be_used_is_said_with_its_line(
    case: str, tmp_path: Path
) -> None:
    row, sentence = (WRONG | OF_NO_FORM)[case]
    path = tmp_path / "pairs.jsonl"
    with pytest.raises(InputError) as refused:
        list(read_pairs(pairs_in(path, [PAIR, row])))
    rest = "; mend the pair, or leave it out" if case in WRONG else ""
    assert str(refused.value) == f"{path}, line 2: {sentence}{rest}"


def test_an_id_that_stands_twice_is_refused(tmp_path: Path) -> None:
    named = PAIR | {"pair_id": "x"}
    with pytest.raises(InputError, match=r"line 2: the pair_id 'x' stands twice; rename one"):
        list(read_pairs(pairs_in(tmp_path / "p.jsonl", [named, named])))


def test_pairs_are_known_by_their_line_and_limited_in_number_and_length(tmp_path: Path) -> None:
    long = PAIR | {"chosen": "a b c d"}
    rows = [PAIR | {"pair_id": "first"}, long, PAIR, PAIR]
    passed_over: Counter[str] = Counter()
    limited = pairs_in(tmp_path / "p.jsonl", rows, pairs=2, max_words=4)
    assert [pair.pair_id for pair in read_pairs(limited, passed_over)] == ["first", "3"]
    assert passed_over == {"has more words than `max_words:`": 1}
    with pytest.raises(InputError, match=r"no pair that can be used \(1: has more words"):
        list(read_pairs(pairs_in(tmp_path / "p.jsonl", [long], max_words=4)))


def test_on_the_hub_where_nobody_can_mend_a_pair_it_is_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [PAIR, WRONG["alike"][0], WRONG["empty"][0], PAIR | {"score": 3}]
    monkeypatch.setattr(
        DatasetSource, "rows", lambda *_, **__: ((str(i), row) for i, row in enumerate(rows))
    )
    preferences = Preferences(name="hub", source=DatasetSource("hf", "org/name"), pairs=9)
    passed_over: Counter[str] = Counter()
    assert [pair.pair_id for pair in read_pairs(preferences, passed_over)] == ["0", "3"]
    assert passed_over == {"its two answers are alike": 1, "the chosen answer is empty": 1}
    rows[:] = [{"question": "p"}]
    with pytest.raises(InputError, match=r"hf:org/name, row 0: has no 'chosen'; it has 'question'"):
        list(read_pairs(preferences))


def test_a_prompt_longer_than_a_model_reads_is_found_before_a_run(bench: Bench) -> None:
    path = bench.folder / "pairs.jsonl"
    pairs_in(path, [PAIR, PAIR | {"prompt": "x" * 255}])  # <bos> and a newline are 2 more
    study = bench.study(preferences=[{"name": "pairs", "source": f"file:{path}"}])
    with pytest.raises(InputError) as refused:
        check_inputs(study)
    assert str(refused.value) == (
        f"{path}, line 2: the prompt has 257 tokens, more than the 256 that llama reads; shorten "
        "it, leave the pair out, or set `max_words:`"
    )
    pairs_in(path, [PAIR, PAIR | {"prompt": "x" * 254}])
    check_inputs(study)
