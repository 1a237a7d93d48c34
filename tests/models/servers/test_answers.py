import math

import pytest

from tests.models.servers.questions import all_of, always, only, question, server_at
from tests.servers import answer, chat_answer, say

TOKENS = [("he", -0.5, [-0.5, -1.0, -9999.0]), ("llo", -2.0, [-1.5, -2.0, -3.0])]


def chat_logprobs():
    def token(text, logprob):
        return {"token": text, "logprob": logprob, "bytes": list(text.encode())}

    content = [
        # The generated one is said first, whatever its rank.
        token(text, p) | {"top_logprobs": [token(str(q), q) for q in (top[1], top[0], top[2])]}
        for text, p, top in TOKENS
    ]
    return {"content": content, "refusal": None}


def completion_logprobs():
    return {
        "tokens": [text for text, _, _ in TOKENS],
        "token_logprobs": [p for _, p, _ in TOKENS],
        "top_logprobs": [{str(q): q for q in top} for _, _, top in TOKENS],
        "text_offset": [0, 2],
    }


@pytest.mark.parametrize(
    ("chat", "said"),
    [
        (True, chat_answer(logprobs=chat_logprobs())),
        (False, answer(logprobs=completion_logprobs())),
        (False, answer(logprobs=chat_logprobs())),
    ],
)
def test_logprobs(chat, said, fake):
    fake.script = always(say(said))
    given = only(fake, chat=chat)
    assert given.text == "hello"
    assert given.logprobs == (-0.5, -2.0)
    assert given.top_logprobs == ((-0.5, -1.0, -9999.0), (-1.5, -2.0, -3.0))
    fewer = all_of(server_at(fake), [question(chat=chat)], top_logprobs=2)["a"]
    assert fewer.top_logprobs == ((-0.5, -1.0), (-1.5, -2.0))
    own = all_of(server_at(fake), [question(chat=chat)], top_logprobs=0)["a"]
    assert (own.logprobs, own.top_logprobs) == ((-0.5, -2.0), None)


@pytest.mark.parametrize(
    ("logprobs", "own", "top"),
    [
        (None, None, None),
        ({}, None, None),
        ({"content": None}, None, None),
        ({"content": []}, (), None),
        ({"token_logprobs": [-1], "top_logprobs": None}, (-1.0,), None),
        ({"token_logprobs": [-1, -2], "top_logprobs": [None, {"a": -2}]}, (-1, -2), ((), (-2,))),
        # Probability 0 is a probability; what is not told is none.
        (
            {"token_logprobs": [-1], "top_logprobs": [{"a": -1, "b": -math.inf}]},
            (-1,),
            ((-1, -math.inf),),
        ),
        ({"token_logprobs": [-1, -9999.0], "top_logprobs": [{"a": -1}, {"a": -1}]}, None, None),
    ],
)
def test_logprobs_that_are_not_all_there(logprobs, own, top, fake):
    fake.script = always(say(answer(logprobs=logprobs)))
    given = only(fake)
    assert (given.logprobs, given.top_logprobs) == (own, top)


@pytest.mark.parametrize(
    ("message", "text", "reasoning"),
    [
        ({}, "hello", None),
        ({"reasoning_content": "hm"}, "hello", "hm"),
        ({"reasoning": "hm"}, "hello", "hm"),
        ({"reasoning": "hm", "reasoning_content": None, "content": None}, "", "hm"),
        ({"content": None, "refusal": "I will not"}, "I will not", None),
        ({"content": ""}, "", None),
        ({"content": "a\ud83d"}, "a\ufffd", None),
    ],
)
def test_text_and_reasoning(message, text, reasoning, fake):
    said = chat_answer()
    said["choices"][0]["message"] |= message
    fake.script = always(say(said))
    given = only(fake, chat=True)
    assert (given.text, given.reasoning) == (text, reasoning)


@pytest.mark.parametrize(
    ("said", "finish_reason"),
    [("stop", "stop"), ("length", "length"), ("model_length", "length"), ("tool_calls", "stop")],
)
def test_finish_reason(said, finish_reason, fake):
    fake.script = always(say(answer(finish_reason=said)))
    assert only(fake).finish_reason == finish_reason


@pytest.mark.parametrize("usage", [None, {}, {"completion_tokens": "3"}, []])
def test_a_server_that_does_not_count_or_say_who_it_is(usage, fake):
    fake.script = always(say(answer(usage=usage, model=None)))
    given = only(fake)
    assert (given.n_tokens, given.model) == (None, None)
