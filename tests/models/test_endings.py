"""Where answers begin and end, against a search from the front, character by character."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import Ending, Reasoning
from models.endings import Cut, cut_text, cut_tokens

TAGS = Reasoning("<t>", "</t>")


@pytest.mark.parametrize(
    ("text", "prompt", "ending", "reasoning", "answer", "stopped"),
    [
        ("an answer", "?", Ending(), "", "an answer", False),
        ("an answer\n# Query: b", "?", Ending(("# Query:",)), "", "an answer\n", True),
        ("a STOP b # c", "?", Ending(("#", "STOP")), "", "a ", True),
        ("STOP", "?", Ending(("STOP",)), "", "", True),
        ("", "?", Ending(("STOP",), TAGS), "", "", False),
        ("<t>why</t>because", "?", Ending((), TAGS), "<t>why</t>", "because", False),
        ("<t>why</t>\n\nbecause", "?", Ending((), TAGS), "<t>why</t>\n\n", "because", False),
        ("<t>why</t>\n ", "?", Ending((), TAGS), "<t>why</t>\n ", "", False),
        # The prompt's end opens the trace.
        ("why</t>because", "?<t>\n", Ending((), TAGS), "why</t>", "because", False),
        ("why beca", "?<t>\n", Ending((), TAGS), "why beca", "", False),
        ("\n<t>why beca", "?", Ending((), TAGS), "\n<t>why beca", "", False),
        # It did not reason.
        ("because", "?", Ending((), TAGS), "", "because", False),
        # What ends an answer does not end a trace.
        ("<t>a # b</t>c # d", "?", Ending(("#",), TAGS), "<t>a # b</t>", "c ", True),
    ],
)
def test_an_answer_is_found(
    text: str, prompt: str, ending: Ending, reasoning: str, answer: str, stopped: bool
) -> None:
    cut = cut_text(text, prompt, ending)
    assert (text[: cut.answer], text[cut.answer : cut.end]) == (reasoning, answer)
    assert cut.stopped == stopped


def slow_cut(text: str, prompt: str, ending: Ending) -> Cut:
    answer = 0
    if ending.reasoning:
        start, end = ending.reasoning.start, ending.reasoning.end
        if end in text:
            answer = text.index(end) + len(end)
            while answer < len(text) and text[answer].isspace():
                answer += 1
        elif text.lstrip().startswith(start) or prompt.rstrip().endswith(start):
            answer = len(text)
    for place in range(answer, len(text)):
        # Of texts that overlap the one that is complete first ends the answer.
        for end in range(answer, len(text) + 1):
            found = [stop for stop in ending.stop if stop in text[answer:end]]
            if found:
                return Cut(answer, min(text.index(stop, answer) for stop in found), stopped=True)
        assert place >= answer
        break
    return Cut(answer, len(text), stopped=False)


PIECES = st.lists(st.sampled_from(["<t>", "</t>", "a", " ", "#", "##b", "\n", "é"]), max_size=12)


@given(PIECES, st.sampled_from(["?", "?<t>"]), st.sampled_from([(), ("#",), ("b", "##b", " a")]))
def test_it_is_the_one_that_a_search_from_the_front_finds(
    pieces: list[str], prompt: str, stop: tuple[str, ...]
) -> None:
    text = "".join(pieces)
    for tags in (None, TAGS):
        ending = Ending(stop, tags)
        assert cut_text(text, prompt, ending) == slow_cut(text, prompt, ending)


@given(text=PIECES.map("".join), stop=st.sampled_from([(), ("#",), ("é",), ("</t>a",)]))
def test_tokens_are_cut_where_their_text_is(
    tokenizer: Any, text: str, stop: tuple[str, ...]
) -> None:
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    ending = Ending(stop, TAGS)
    by_text, by_tokens = cut_text(text, "?", ending), cut_tokens(ids, tokenizer, "?", ending)
    assert by_tokens.stopped == by_text.stopped
    assert tokenizer.decode(ids[: by_tokens.answer]) == text[: by_text.answer]
    assert (
        tokenizer.decode(ids[by_tokens.answer : by_tokens.end])
        == text[by_text.answer : by_text.end]
    )


def test_a_special_token_may_close_a_trace(tokenizer: Any) -> None:
    ids = tokenizer("why<assistant>because<eos>", add_special_tokens=False)["input_ids"]
    ending = Ending((), Reasoning("<user>", "<assistant>"))
    cut = cut_tokens(ids, tokenizer, "?<user>", ending)
    assert tokenizer.decode(ids[cut.answer : cut.end]) == "because<eos>"
