"""What engines make of what they are asked; those with tokens against the sampler itself."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from models import Decoding, Ending, ModelError, PromptFormat, Reasoning, Request, sample
from models.engines import Generation, Prompted, TransformersEngine

if TYPE_CHECKING:
    from models import LanguageModel

CHAT = PromptFormat.chat()
PLAIN = PromptFormat("plain")
WHOLE = Ending()


def generate(
    model: LanguageModel, asked: list[Prompted], ending: Ending = WHOLE, n: int = 40
) -> dict[Prompted, Generation]:
    engine = TransformersEngine(model)
    made = engine.sample(
        asked, max_new_tokens=n, seed=5, ending=ending, on_tokens=lambda drawn, settled: None
    )
    return {generation.asked: generation for some in made for generation in some}


ASKED = [
    Prompted(key, prompt, format_, number, Decoding(top_p=0.95))
    for key, prompt, format_ in (("a", "Hi?", CHAT), ("b", "Why?", PLAIN), ("c", "é", PLAIN))
    for number in range(8)
]


def test_generations_are_those_of_the_sampler(tiny_llama: LanguageModel) -> None:
    made = generate(tiny_llama, ASKED)
    requests = {
        a: Request(
            a.key, a.format.send(tiny_llama.tokenizer, a.prompt).token_ids, a.sample, a.decoding
        )
        for a in ASKED
    }
    drawn = {
        completion.request: completion
        for some in sample(tiny_llama, list(requests.values()), max_new_tokens=40, seed=5)
        for completion in some
    }
    assert set(made) == set(ASKED)
    for asked, generation in made.items():
        completion = drawn[requests[asked]]
        assert generation.token_ids == completion.token_ids
        assert generation.n_tokens == len(completion.token_ids)
        assert generation.finish_reason == completion.finish_reason
        assert generation.text == tiny_llama.decode(completion.token_ids)
        assert generation.reasoning is generation.reasoning_ids is None
    assert made[ASKED[0]].prompt == "<bos><user>Hi?<assistant>"
    assert made[ASKED[8]].prompt == "Why?\n"


def test_what_is_cut_off_is_a_part_of_what_was_drawn(tiny_llama: LanguageModel) -> None:
    whole = generate(tiny_llama, ASKED)
    letters = "".join(generation.text for generation in whole.values())
    common = max(set(letters), key=letters.count)
    other = max(set(letters) - {common}, key=letters.count)
    ending = Ending(stop=(common,), reasoning=Reasoning("<user>", other))
    cut = generate(tiny_llama, ASKED, ending)
    for asked, full in whole.items():
        part = cut[asked]
        trace, answer = part.reasoning_ids or (), part.token_ids
        assert full.token_ids[: len(trace) + len(answer)] == (*trace, *answer)
        assert part.text == tiny_llama.decode(answer)
        answered = full.text.partition(other)[2] if other in full.text else full.text
        assert (part.finish_reason == "stop_text") == (common in answered)
        assert common not in part.text
        assert bool(trace) == (other in full.text)
        if trace:
            assert part.reasoning == full.text.partition(other)[0].strip()
    assert {part.finish_reason for part in cut.values()} >= {"stop_text"}
    assert any(part.reasoning for part in cut.values())


def test_a_prompt_that_leaves_no_room_is_refused(tiny_llama: LanguageModel) -> None:
    long = dataclasses.replace(ASKED[8], prompt="x" * 240)
    with pytest.raises(ModelError, match="'b' has 242 tokens; 40 more is over the 256"):
        generate(tiny_llama, [long])


def test_what_is_said_before_a_chat_is_sent(tiny_llama: Any) -> None:
    format_ = PromptFormat.chat(system="Be brief.")
    (made,) = generate(tiny_llama, [dataclasses.replace(ASKED[0], format=format_)], n=2).values()
    assert made.prompt == "<bos><system>Be brief.<user>Hi?<assistant>"
