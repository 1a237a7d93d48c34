import math

import pytest

from models import Cautious, Decoding, ModelError
from models.servers.answers import Answer
from tests.models.servers.questions import all_of, always, many, only, question, server_at
from tests.servers import MODEL, answer, refuse, say

# What is asked


def test_a_prompt_is_asked_as_it_is(fake):
    asked = question("Once\udcff", decoding=Decoding(0.9, 0.7), seed=11, key=("p", 3))
    (given,) = all_of(
        server_at(fake), [asked], stop=["\n"], extra={"top_k": -1}, top_logprobs=3
    ).values()
    assert fake.paths == ["/v1/completions"]
    assert fake.bodies == [
        {
            "model": MODEL,
            "prompt": "Once\udcff",
            "max_tokens": 5,
            "temperature": 0.7,
            "top_p": 0.9,
            "seed": 11,
            "stop": ["\n"],
            "logprobs": 3,
            "top_k": -1,
        }
    ]
    assert "Authorization" not in fake.headers[0]
    assert given == Answer(asked, "Once\ufffd!", "stop", n_tokens=3, model=MODEL)


def test_messages_are_asked_of_the_chat(fake):
    all_of(server_at(fake), [question("Hi", chat=True, decoding=Decoding.greedy())])
    assert fake.paths == ["/v1/chat/completions"]
    assert fake.bodies == [
        {
            "model": MODEL,
            "messages": [
                {"role": "system", "content": "be brief"},
                {"role": "user", "content": "Hi"},
            ],
            "max_tokens": 5,
            "temperature": 0.0,
            "top_p": 1.0,
            "seed": 7,
            "logprobs": True,
            "top_logprobs": 20,
        }
    ]


@pytest.mark.parametrize("chat", [False, True])
def test_no_logprobs_are_asked_for_where_none_are_wanted(chat, fake):
    given = all_of(server_at(fake), [question(chat=chat)], top_logprobs=None)["a"]
    assert not {"logprobs", "top_logprobs"} & fake.bodies[0].keys()
    assert given.logprobs is None


@pytest.mark.parametrize("extra", [{"n": 2}, {"stream": True}, {"temperature": 1}])
def test_extra_may_not_contradict(extra, fake):
    with pytest.raises(ModelError, match=f"extra may not hold {next(iter(extra))}"):
        all_of(server_at(fake), [question()], extra=extra)
    with pytest.raises(ModelError, match="extra cannot be written as JSON"):
        all_of(server_at(fake), [question()], extra={"a": math.nan})


# What is negotiated


def takes(**limits):
    """A script that refuses parameters: at all, or above a limit."""

    def script(prompt, attempt, body):
        for name, (limit, act) in limits.items():
            value = body.get(name)
            if value is not None and (limit is None or value > limit):
                return act

    return script


TOO_MANY = refuse(400, "Requested sample logprobs of 20, greater than max allowed: 5")
UNKNOWN_PAIR = say({"detail": "Unexpected keys in the request: {'logprobs', 'top_logprobs'}"}, 422)
NOT_ALLOWED = refuse(403, "You are not allowed to request logprobs from this model")
NEWER = refuse(
    400,
    "Unsupported parameter: 'max_tokens' is not supported with this model. "
    "Use 'max_completion_tokens' instead.",
    param="max_tokens",
)
EXTRA = say(
    {"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted", "input": 7}]},
    422,
)
COLD = refuse(400, "Unsupported value: only the default (1) is supported.", param="temperature")


@pytest.mark.parametrize(
    ("chat", "limits", "gone", "left", "refusals"),
    [
        (False, {"logprobs": (5, TOO_MANY)}, (), {"logprobs": 5}, 1),
        (True, {"top_logprobs": (5, TOO_MANY)}, (), {"logprobs": True, "top_logprobs": 5}, 1),
        (True, {"top_logprobs": (None, UNKNOWN_PAIR)}, ("logprobs", "top_logprobs"), {}, 2),
        (True, {"logprobs": (None, NOT_ALLOWED)}, ("logprobs", "top_logprobs"), {}, 2),
        (True, {"max_tokens": (None, NEWER)}, ("max_tokens",), {"max_completion_tokens": 5}, 1),
        (True, {"seed": (None, EXTRA)}, ("seed",), {"temperature": 1.0}, 1),
        (True, {"temperature": (None, COLD)}, ("temperature",), {"top_p": 0.9}, 1),
        (
            True,
            {"logprobs": (None, NOT_ALLOWED), "seed": (None, EXTRA), "max_tokens": (None, NEWER)},
            ("logprobs", "top_logprobs", "seed", "max_tokens"),
            {"max_completion_tokens": 5, "top_p": 0.9},
            4,
        ),
    ],
)
def test_what_a_server_does_not_take_is_left_out_of_all_requests(
    chat, limits, gone, left, refusals, fake
):
    fake.script = takes(**limits)
    given = all_of(server_at(fake, concurrency=1, attempts=1), many(6, chat=chat))
    assert len(given) == 6
    assert len(fake.asked) == 6 + refusals
    for body in fake.bodies[refusals:]:
        assert not set(gone) & body.keys()
        assert left.items() <= body.items()


def test_what_is_negotiated_at_once_is_negotiated_once(fake):
    fake.script = takes(top_logprobs=(5, TOO_MANY), seed=(None, EXTRA))
    assert len(all_of(server_at(fake, concurrency=4, attempts=1), many(20, chat=True))) == 20
    assert len(fake.asked) <= 20 + 2 * 4
    assert len(fake.answered) == 20


@pytest.mark.parametrize("decoding", [Decoding(0.9, 0.7), Decoding.greedy()])
def test_a_decoding_that_cannot_be_had_is_not_replaced(decoding, fake):
    fake.script = takes(temperature=(None, COLD))
    with pytest.raises(ModelError, match=f"takes no temperature of .* {decoding.name} needs: 400"):
        all_of(server_at(fake), [question(decoding=decoding)])
    assert len(fake.asked) == 1


def test_limits_are_asked_of_servers_that_have_them(fake):
    asked = [question("a", decoding=Decoding(top_k=2, min_p=0.1)), question("b")]
    all_of(server_at(fake, concurrency=1), asked)
    limits = [
        {k: body[k] for k in ("top_k", "top_p", "min_p") if k in body} for body in fake.bodies
    ]
    assert limits == [{"top_k": 2, "top_p": 1.0, "min_p": 0.1}, {"top_p": 0.9}]

    with pytest.raises(ModelError, match="extra may not hold min_p, which the decoding top_k=2,mi"):
        all_of(server_at(fake), asked, extra={"min_p": 0})
    with pytest.raises(ModelError, match=r"a server cannot sample with cautious, .* with weights"):
        all_of(server_at(fake), [question("a", decoding=Decoding(cautious=Cautious()))])

    unknown = refuse(400, "Unrecognized request argument supplied: top_k")
    fake.script = takes(top_k=(None, unknown))
    with pytest.raises(ModelError, match=r"takes no top_k of 2, which .* top_k=2,min_p=0.1 needs"):
        all_of(server_at(fake), asked[:1])
    fake.script = takes(min_p=(None, refuse(422, "min_p is unknown")))
    with pytest.raises(ModelError, match=r"takes no min_p of 0\.1, which the decoding"):
        all_of(server_at(fake), asked[:1])


def test_what_was_accepted_is_not_what_is_wrong(fake):
    """A prompt that is too long must not change how the others are asked."""
    fake.script = lambda prompt, attempt, body: (
        refuse(400, "the seed, max_tokens and logprobs exceed an unknown limit")
        if prompt == "q5"
        else None
    )
    with pytest.raises(ModelError, match="refuses what it is asked: 400 the seed"):
        all_of(server_at(fake, concurrency=1), many(9))
    assert fake.asked == [f"q{i}" for i in range(6)]


# What is heeded


@pytest.mark.parametrize(
    ("decoding", "ignored"),
    [
        (Decoding(top_k=2), None),
        (Decoding(top_k=3, min_p=0.13), None),
        (Decoding(min_p=0.15), "min_p"),  # a token of exp(-2) = 0.135 of the likeliest was drawn
        (Decoding(min_p=0.15, temperature=1.2), None),  # unless that was before the temperature
        (Decoding(min_p=0.15, temperature=0.5), "min_p"),
        (Decoding(top_k=2, top_p=0.9, min_p=0.9), "min_p"),
    ],
)
def test_a_server_that_does_not_heed_a_limit_is_found_out(decoding, ignored, fake):
    # The second token is the second likeliest, exp(-2) times as likely as the likeliest.
    tops = [{"a": -0.5, "b": -1.0}, {"c": -0.1, "d": -2.1, "e": -3.0}]
    said = {"token_logprobs": [-0.5, -2.1], "top_logprobs": tops}
    fake.script = always(say(answer(logprobs=said)))
    if ignored is None:
        assert only(fake, decoding=decoding).logprobs == (-0.5, -2.1)
    else:
        with pytest.raises(ModelError, match=f"does not heed {ignored}: it drew a token that the"):
            only(fake, decoding=decoding)
    if decoding == Decoding(top_k=2):
        fake.script = always(say(answer(logprobs=said | {"token_logprobs": [-0.5, -3.0]})))
        with pytest.raises(ModelError, match="does not heed top_k"):
            only(fake, decoding=decoding)
