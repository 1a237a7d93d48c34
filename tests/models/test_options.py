"""Options are as likely as the model alone says of each, whatever is read together."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
import torch

from models import ModelError
from models.options import Options, score_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from models import LanguageModel


def plain(model: LanguageModel, options: Options) -> list[float]:
    """One pass for each option, with nothing shared, in float64 from the logits on."""
    found = []
    for option in options.options:
        ids = torch.tensor([[*options.context_ids, *option]], device=model.device)
        with torch.inference_mode():
            logprobs = model.model(ids).logits[0].double().log_softmax(-1)
        first = len(options.context_ids) - 1
        found.append(sum(float(logprobs[first + i, token]) for i, token in enumerate(option)))
    return found


def asked_of(model: LanguageModel, questions: Iterable[str], options: list[str]) -> list[Options]:
    """Every order of the options of each question."""
    asked = []
    for question in questions:
        for number, order in enumerate(itertools.permutations(options)):
            context = f"{question}\n{'; '.join(order)}\nAnswer:"
            asked.append(
                Options(
                    f"{question[:9]} {number}",
                    question,
                    (model.start_token_id, *model.encode(context)),
                    tuple(tuple(model.encode(f" {option}")) for option in order),
                )
            )
    return asked


QUESTIONS = ["Hi?", "What is a colour of the sky " * 2, "π ≈ 3 — why?"]
"""Of which the longest is, with its options, over Gemma's sliding window."""


@pytest.mark.core
@pytest.mark.parametrize("name", ["tiny_llama", "tiny_gemma"])
@pytest.mark.parametrize("options", [["A", "B", "C"], ["red", "green, or", "greenish"]])
def test_options_are_as_likely_as_with_nothing_shared(
    name: str,
    options: list[str],
    device: str,
    put_on: Callable[[LanguageModel, str], LanguageModel],
    request: pytest.FixtureRequest,
) -> None:
    model = put_on(request.getfixturevalue(name), device)
    asked = asked_of(model, QUESTIONS, options)
    counted: list[int] = []
    batches = list(score_options(model, asked, on_options=counted.append))
    found = {options.name: scores for batch in batches for options, scores in batch}
    assert len(found) == len(asked) == 18
    assert sum(counted) == 54
    for one in asked:
        assert found[one.name] == pytest.approx(plain(model, one), abs=1e-4)
    if name == "tiny_gemma":
        assert max(len(one.context_ids) for one in asked) > model.config.sliding_window


def test_contexts_that_begin_differently_and_one_option_that_begins_another(
    tiny_llama: LanguageModel,
) -> None:
    asked = [
        Options("a", "q", (5,), ((7, 8), (7, 8, 9))),
        Options("b", "q", (6,), ((7, 8), (7, 9))),
        Options("c", "r", (0, 5, 6, 7), ((7,), (9, 8, 7, 6))),
    ]
    found = {o.name: s for batch in score_options(tiny_llama, asked) for o, s in batch}
    for one in asked:
        assert found[one.name] == pytest.approx(plain(tiny_llama, one), abs=1e-4)


def test_beginnings_are_read_once(
    tiny_llama: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a question in six orders of three options each its own tokens are read once."""
    asked = asked_of(tiny_llama, ["What is the colour of the sky, and why?"], ["A", "B", "C"])
    read: list[int] = []
    forward = type(tiny_llama).forward

    def counting(model: LanguageModel, ids: Any, **options: Any) -> Any:
        read.append(ids.numel())
        return forward(model, ids, **options)

    monkeypatch.setattr(type(tiny_llama), "forward", counting)
    list(score_options(tiny_llama, asked))
    (context, *_) = asked[0].context_ids, asked[1].context_ids
    n_shared = len("What is the colour of the sky, and why?\n") + 1
    # After the question come the options, the cue and a space; the letters themselves are not read.
    assert read == [n_shared, 6 * (len(context) - n_shared + 1)]


def test_what_was_scored_before_is_passed_over(tiny_llama: LanguageModel) -> None:
    asked = asked_of(tiny_llama, QUESTIONS, ["A", "B"])
    names = {options.name for options in asked}
    assert not list(score_options(tiny_llama, asked, finished=names))


def test_an_option_beyond_the_context_is_refused(tiny_llama: LanguageModel) -> None:
    length = tiny_llama.context_length
    fits = Options("fits", "q", (5,) * length, ((7,), (8,)))
    ((_, scores),) = next(iter(score_options(tiny_llama, [fits])))
    assert len(scores) == 2
    with pytest.raises(ModelError, match=r"^long has 257 tokens, more than the 256 that"):
        list(score_options(tiny_llama, [Options("long", "q", (5,) * length, ((7,), (8, 9)))]))
