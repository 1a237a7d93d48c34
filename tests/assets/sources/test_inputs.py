"""Files of prompts, and of generations made elsewhere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from assets.sources.generation_files import read_generations
from assets.sources.prompt_sets import read_prompts
from assets.study.errors import InputError
from tests.studies import imported, write_jsonl

if TYPE_CHECKING:
    from pathlib import Path

PROMPT = {"prompt_id": "a", "category": "generic", "text": "Why?"}
LINE = {"prompt_id": "a", "prompt": "Why?", "sample": 0, "text": "Because."}


def test_prompts_belong_to_a_set_named_after_their_file(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "mine.jsonl", [PROMPT, PROMPT | {"prompt_id": "b", "extra": 1}])
    assert [(p["prompt_set"], p["prompt_id"]) for p in read_prompts(path)] == [
        ("mine", "a"),
        ("mine", "b"),
    ]


def test_a_file_is_read_again_once_it_changed(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "p.jsonl", [PROMPT])
    assert len(read_prompts(path)) == 1
    write_jsonl(path, [PROMPT, PROMPT | {"prompt_id": "b"}])
    assert len(read_prompts(path)) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["holds no prompt"]),
        ("\n\n", ["holds no prompt"]),
        ("{", ["line 1", "no valid JSON"]),
        ("\n[1]", ["line 2", "[1]", "object"]),
        (json.dumps(PROMPT | {"text": "  "}), ["line 1", "'a' is empty"]),
        (json.dumps(PROMPT | {"text": 3}), ["line 1", "'text' is 3", "must be a text"]),
        (json.dumps({"prompt_id": "a"}), ["line 1", "no 'category'"]),
        (f"{json.dumps(PROMPT)}\n{json.dumps(PROMPT)}", ["line 2", "'a' stands twice"]),
    ],
)
def test_wrong_prompts_are_refused_by_line(tmp_path: Path, text: str, words: list[str]) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_prompts(path)
    for word in ["p.jsonl", *words]:
        assert word in str(caught.value)


def test_an_empty_text_is_a_generation(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "g.jsonl", imported("a", "", "some\u2028text"))
    assert [g.text for g in read_generations(path)] == ["", "some\u2028text"]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([LINE, LINE], ["line 2", "sample 0 of the prompt 'a' stands twice"]),
        ([LINE, LINE | {"sample": 1, "prompt": "How?"}], ["line 2", "another prompt"]),
        ([LINE | {"sample": -1}], ["'sample' is -1"]),
        ([LINE | {"sample": "0"}], ["'sample' is \"0\"", "whole number"]),
        ([LINE | {"sample": True}], ["'sample' is true"]),
        ([LINE | {"text": None}], ["'text' is null"]),
        ([LINE | {"text": "\ud800"}], ["line 1", "surrogate"]),
        ([], ["holds no generation"]),
    ],
)
def test_wrong_generations_are_refused_by_line(
    tmp_path: Path, rows: list[dict[str, Any]], words: list[str]
) -> None:
    path = write_jsonl(tmp_path / "g.jsonl", rows)
    with pytest.raises(InputError) as caught:
        read_generations(path)
    for word in ["g.jsonl", *words]:
        assert word in str(caught.value)


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        read_prompts(tmp_path / "none.jsonl")
    (tmp_path / "latin.jsonl").write_bytes(b'{"text": "\xe9"}')
    with pytest.raises(InputError, match="UTF-8"):
        read_prompts(tmp_path / "latin.jsonl")
