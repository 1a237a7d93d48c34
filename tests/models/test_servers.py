import io
import itertools
import json
import logging
import math
import threading
import time
from collections import Counter
from contextlib import closing
from email.utils import formatdate
from functools import partial

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import Cautious, Decoding, ModelError, servers
from models.answers import Answer, Question
from models.servers import Server, ask
from tests.servers import (
    MODEL,
    answer,
    chat_answer,
    cut_at_once,
    cut_body,
    cut_chunks,
    cut_headers,
    drip,
    refuse,
    say,
    serving,
)

KEY = "sk-proj-a/b+c_0123456789"


@pytest.fixture(autouse=True)
def tiny_waits(monkeypatch):
    monkeypatch.setattr(servers, "_FIRST_WAIT", 0.005)
    monkeypatch.setattr(servers, "_LONGEST_WAIT", 0.02)
    # No TLS is spoken here, and reading the authorities takes longer than all else.
    monkeypatch.setattr(servers.httpx2, "AsyncClient", partial(httpx2.AsyncClient, verify=False))
    # A proxy that nobody is behind: what goes to this machine must not go there.
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy", "http_proxy", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def fake():
    with serving() as fake:
        yield fake


def question(prompt="a", *, chat=False, decoding=None, seed=7, key=None):
    messages = (("system", "be brief"), ("user", prompt)) if chat else None
    return Question(prompt, messages, decoding or Decoding(0.9), seed, key)


def many(n, **options):
    return [question(f"q{i}", key=i, **options) for i in range(n)]


def server_at(fake, **options):
    return Server(fake.url, MODEL, **options)


def all_of(server, questions, **options):
    """All answers, by their questions' prompts; none is given twice."""
    with closing(ask(server, questions, max_new_tokens=5, **options)) as lists:
        answers = [a for some in lists for a in some]
    assert len({a.question for a in answers}) == len(answers)
    return {a.question.prompt: a for a in answers}


def only(fake, **options):
    """The answer to one question."""
    (given,) = all_of(server_at(fake), [question(**options)]).values()
    return given


def once(act):
    """A script: each prompt's first attempt goes wrong."""
    return lambda prompt, attempt, body: act if attempt == 0 else None


def always(act):
    return lambda prompt, attempt, body: act


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


def test_nothing_is_asked_where_there_is_no_question(fake):
    assert all_of(server_at(fake), []) == {}
    assert not fake.asked


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


# What is read


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


@pytest.mark.parametrize(
    "act",
    [
        say(chat_answer(None, finish_reason="content_filter")),
        refuse(400, "The response was filtered", code="content_filter"),
    ],
)
def test_what_a_filter_withholds_is_said_and_ends_nothing(act, fake):
    fake.script = lambda prompt, attempt, body: act if prompt == "q1" else None
    given = all_of(server_at(fake), many(4, chat=True))
    assert [given[f"q{i}"].finish_reason for i in range(4)] == [
        "stop",
        "content_filter",
        "stop",
        "stop",
    ]
    assert given["q1"].text == ""
    assert len(fake.asked) == 4


# What goes wrong for a while


PASSING = {
    "408": refuse(408),
    "409": refuse(409),
    "429": refuse(429),
    "429 with seconds": refuse(429, Retry_After="0.02"),
    "429 with a date": refuse(429, Retry_After=formatdate(usegmt=True)),
    "429 with nonsense": refuse(429, Retry_After="soon"),
    "500": refuse(500),
    "502 in HTML": say(b"<html><body>Bad gateway</body></html>", 502),
    "503": refuse(503, Retry_After="0"),
    "cut at once": cut_at_once,
    "cut in the headers": cut_headers,
    "cut in the body": cut_body,
    "cut between chunks": cut_chunks,
    "no JSON": say(b"<html>"),
    "half of it": say(json.dumps(answer()).encode()[:40]),
    "not UTF-8": say(b"\xff\xfe{"),
    "deep": say(b"[" * 100_000),
    "bad gzip": say(b"no gzip", Content_Encoding="gzip"),
    "NaN": say(answer(logprobs={"token_logprobs": [math.nan]})),
    "no probability": say(answer(logprobs={"token_logprobs": [-math.inf]})),
    "no choices": say(answer(choices=[])),
    "null": say(None),
    "a list": say([answer()]),
    "an error": say({"error": {"message": "overloaded", "code": 502}}),
    "null text": say(answer(None)),
    "a number for a text": say(answer(3)),
    "no finish_reason": say(answer(finish_reason=None)),
    "aborted": say(answer(finish_reason="abort")),
    "a list for a finish_reason": say(answer(finish_reason=["stop"])),
    "choices as an object": say(answer(choices={"text": "a"})),
    "a text for logprobs": say(answer(logprobs="many")),
    "texts in logprobs": say(answer(logprobs={"token_logprobs": ["-1"]})),
    "truths in logprobs": say(answer(logprobs={"token_logprobs": [True]})),
    "lists in top logprobs": say(answer(logprobs={"token_logprobs": [-1], "top_logprobs": [[1]]})),
    "huge logprobs": say(answer(logprobs={"token_logprobs": [10**400]})),
}


@pytest.mark.parametrize("act", PASSING.values(), ids=PASSING)
def test_what_goes_wrong_once_is_asked_again(act, fake):
    fake.script = once(act)
    given = all_of(server_at(fake, concurrency=2), many(3))
    assert {prompt: a.text for prompt, a in given.items()} == {f"q{i}": f"q{i}!" for i in range(3)}
    assert Counter(fake.asked) == {f"q{i}": 2 for i in range(3)}
    assert sorted(fake.answered) == ["q0", "q1", "q2"]


@pytest.mark.parametrize("act", PASSING.values(), ids=PASSING)
def test_what_goes_wrong_again_and_again_is_said(act, fake):
    fake.script = always(act)
    with pytest.raises(
        ModelError, match="gave no answer after 2 attempts, at last because"
    ) as said:
        all_of(server_at(fake, attempts=2), [question()])
    assert fake.asked == ["a", "a"]
    assert "\n" not in str(said.value)
    assert len(str(said.value)) < 600


def test_a_slow_body_is_given_up(fake):
    fake.script = once(drip)
    start = time.monotonic()
    given = all_of(server_at(fake, timeout=0.3), many(2))
    assert len(given) == 2
    assert 0.3 <= time.monotonic() - start < 3
    fake.script = always(drip)
    with pytest.raises(ModelError, match=r"because no whole answer came within 0\.1 s"):
        all_of(server_at(fake, timeout=0.1, attempts=2), [question("other")])


def test_a_server_that_is_not_there_is_said():
    with serving() as gone:
        pass
    server = server_at(gone, attempts=3)
    with pytest.raises(ModelError, match=r"after 3 attempts, at last because it cannot be reached"):
        all_of(server, many(9))


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_request_that_always_fails_holds_no_other_up(concurrency, fake, monkeypatch):
    # Else both may wait at once for long, and where nothing is answered the server counts as gone.
    monkeypatch.setattr(servers, "wait_random_exponential", lambda first, longest: lambda state: 0)
    bad = {"q2": cut_body, "q9": refuse(500)}
    fake.script = lambda prompt, attempt, body: bad.get(prompt)
    answers = []
    lists = ask(server_at(fake, attempts=3, concurrency=concurrency), many(40), max_new_tokens=5)
    with pytest.raises(ModelError, match="no answer to 2 of 40 requests, to one after 3 attempts"):
        answers.extend(itertools.chain.from_iterable(lists))
    good = {f"q{i}" for i in range(40)} - set(bad)
    assert sorted(a.question.prompt for a in answers) == sorted(good) == sorted(fake.answered)
    assert Counter(fake.asked) == {**dict.fromkeys(good, 1), **dict.fromkeys(bad, 3)}


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_server_that_dies_is_given_up(concurrency, fake):
    fake.script = lambda prompt, attempt, body: refuse(500) if len(fake.asked) > 10 else None
    answers = []
    lists = ask(server_at(fake, attempts=3, concurrency=concurrency), many(999), max_new_tokens=5)
    with pytest.raises(ModelError, match="gave no answer after 3 attempts, at last because"):
        answers.extend(itertools.chain.from_iterable(lists))
    assert sorted(a.question.prompt for a in answers) == sorted(fake.answered)
    assert 10 - concurrency < len(answers) <= 10
    assert len(fake.asked) < 10 + 3 * 3 * concurrency


@pytest.mark.whole
def test_a_request_that_waits_lets_others_go(fake, monkeypatch):
    monkeypatch.setattr(servers, "_LONGEST_WAIT", 1.5)
    monkeypatch.setattr(
        servers, "wait_random_exponential", lambda first, longest: lambda state: longest
    )
    fake.script = lambda prompt, attempt, body: (
        refuse(500) if prompt == "q0" and not attempt else None
    )
    start, when = time.monotonic(), {}
    for some in ask(server_at(fake, concurrency=1), many(8), max_new_tokens=5):
        when |= {a.question.prompt: time.monotonic() - start for a in some}
    assert max(t for prompt, t in when.items() if prompt != "q0") < 1.5 <= when["q0"]


def test_a_busy_server_is_let_alone_by_all(fake):
    fake.script = lambda prompt, attempt, body: (
        refuse(429, Retry_After="0.5") if prompt == "q3" and not attempt else None
    )
    assert len(all_of(server_at(fake, concurrency=2), many(12))) == 12
    gaps = [b - a for a, b in itertools.pairwise(fake.times)]
    assert 0.4 < max(gaps) < 3
    assert gaps.index(max(gaps)) < 6  # of 13 requests; another may be under way at the fourth


@pytest.mark.whole
def test_a_limit_is_no_failure_while_others_are_answered(fake, monkeypatch):
    """A server that takes two at once, of six that ask."""
    monkeypatch.setattr(servers, "wait_random_exponential", lambda *_: lambda state: 0.05)
    slots = threading.Semaphore(2)
    mine = threading.local()

    def script(prompt, attempt, body):
        mine.has = slots.acquire(blocking=False)
        if not mine.has:
            return refuse(429)

        def act(handler):
            time.sleep(0.01)
            fake.answered.append(prompt)
            slots.release()
            say(answer(f"{prompt}!"))(handler)

        return act

    fake.script = script
    given = all_of(server_at(fake, concurrency=6, attempts=4), many(24))
    assert len(given) == 24
    assert sorted(fake.answered) == sorted(given)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", 0),
        ("3", 3),
        ("0.5", 0.5),
        ("-3", 0),
        ("1e9", servers._LONGEST_ASKED),
        ("nan", 0),
        ("inf", 0),
        ("soon", 0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2099 07:28:00 GMT", servers._LONGEST_ASKED),
    ],
)
def test_how_long_a_server_asks_to_wait(header, seconds):
    assert servers._seconds_asked(header) == seconds


def test_a_date_is_waited_for():
    assert 18 <= servers._seconds_asked(formatdate(time.time() + 20, usegmt=True)) <= 20


# How much at once, and how it ends


@pytest.mark.parametrize("concurrency", [1, 3])
def test_never_more_at_once_than_allowed(concurrency, fake):
    def script(prompt, attempt, body):
        time.sleep(0.01)
        return refuse(500) if attempt == 0 and prompt.endswith("1") else None

    fake.script = script
    assert len(all_of(server_at(fake, concurrency=concurrency), many(21))) == 21
    assert fake.most == concurrency


@pytest.mark.whole
def test_no_more_is_begun_than_the_caller_has_dealt_with(fake):
    """What would have to be paid for twice if the caller died here."""
    with closing(ask(server_at(fake, concurrency=3), many(20), max_new_tokens=5)) as lists:
        dealt_with = 0
        for some in lists:
            time.sleep(0.05)
            assert len(fake.asked) <= dealt_with + 3
            dealt_with += len(some)
    assert dealt_with == 20


def test_answers_come_one_by_one_and_in_any_order(fake):
    late = threading.Event()

    def script(prompt, attempt, body):
        if prompt == "q0":
            late.wait(10)

    fake.script = script
    order = []
    for some in ask(server_at(fake, concurrency=2), many(5), max_new_tokens=5):
        order += [a.question.key for a in some]
        if len(order) == 4:
            late.set()
    assert order[-1] == 0
    assert sorted(order) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("raised", [None, RuntimeError, KeyboardInterrupt])
def test_closing_ends_the_requests(raised, fake):
    gone = threading.Semaphore(0)

    def act(handler):
        try:
            drip(handler)
        except OSError:
            gone.release()
            raise

    fake.script = lambda prompt, attempt, body: None if prompt == "q0" else act
    before = set(threading.enumerate())
    start = time.monotonic()
    try:
        with closing(ask(server_at(fake, concurrency=3), many(50), max_new_tokens=5)) as lists:
            next(lists)
            while len(fake.asked) < 3:
                time.sleep(0.01)
            if raised is not None:
                raise raised
    except (RuntimeError, KeyboardInterrupt):
        pass
    assert not [t for t in threading.enumerate() if t.name == "models.servers" and t not in before]
    assert gone.acquire(timeout=5)
    assert gone.acquire(timeout=5)
    assert time.monotonic() - start < 10
    n = len(fake.asked)
    time.sleep(0.1)
    assert len(fake.asked) == n <= 4


def test_an_interrupt_while_waiting_ends_the_requests(fake, monkeypatch):
    class Interrupted(servers.queue.SimpleQueue):
        def get(self):
            while not fake.asked:
                time.sleep(0.01)
            raise KeyboardInterrupt

    monkeypatch.setattr(servers.queue, "SimpleQueue", Interrupted)
    fake.script = always(drip)
    with pytest.raises(KeyboardInterrupt):
        list(ask(server_at(fake), many(3), max_new_tokens=5))
    assert not [t for t in threading.enumerate() if t.name == "models.servers"]


def test_a_call_that_is_never_begun_asks_nothing(fake):
    ask(server_at(fake), many(3), max_new_tokens=5).close()
    assert not fake.asked


ACTS = ["429", "500", "cut at once", "cut in the body", "no JSON", "null text", "NaN", "408"]


@pytest.mark.whole
@settings(max_examples=25, deadline=None)
@given(
    faults=st.lists(st.lists(st.sampled_from(ACTS), max_size=3), min_size=1, max_size=8),
    concurrency=st.integers(1, 4),
    chat=st.booleans(),
)
def test_whatever_goes_wrong_before_them_all_answers_come_once(faults, concurrency, chat):
    with serving() as fake:
        fake.script = lambda prompt, attempt, body: (
            PASSING[faults[int(prompt[1:])][attempt]]
            if attempt < len(faults[int(prompt[1:])])
            else None
        )
        questions = many(len(faults), chat=chat)
        given = all_of(server_at(fake, concurrency=concurrency, attempts=4), questions)
        assert {prompt: a.text for prompt, a in given.items()} == {
            q.prompt: f"{q.prompt}!" for q in questions
        }
        assert sorted(fake.answered) == sorted(given)
        assert Counter(fake.asked) == {f"q{i}": len(f) + 1 for i, f in enumerate(faults)}
        assert fake.most <= concurrency


# What is refused


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 410, 422])
def test_what_is_refused_is_not_asked_again(status, fake):
    fake.script = always(refuse(status, "not like\n\x1b[31mthis"))
    with pytest.raises(ModelError) as said:
        all_of(server_at(fake, concurrency=1), many(5))
    assert fake.asked == ["q0"]
    assert f"{status} not like [31mthis" in str(said.value)


def test_a_redirect_is_not_followed(fake):
    fake.script = always(say(b"", 307, Location="https://other.invalid/v1"))
    with pytest.raises(ModelError, match=r"redirects.*https://other\.invalid/v1"):
        all_of(server_at(fake), [question()])
    assert len(fake.asked) == 1


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (None, "has no model org/name, or no /completions: check that the address"),
        ({"data": [{"id": "a"}, {"id": "b"}]}, "has no model org/name; those that it lists: a, b"),
        ({"data": []}, "has no model org/name; those that it lists: none"),
        ({"data": [{"id": MODEL}]}, "has the model org/name, but no /completions for it"),
        ({"data": None}, "has no model org/name, or no /completions"),
        ([], "has no model org/name, or no /completions"),
    ],
)
def test_what_is_not_there_is_said(models, message, fake):
    fake.models = models
    fake.script = always(refuse(404, "no such thing"))
    with pytest.raises(ModelError, match=message):
        all_of(server_at(fake), many(3))


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


def test_a_name_that_holds_a_parameter_s_is_not_it(fake):
    fake.script = always(refuse(400, "the model seed-oss/seed/top_p_1 is broken"))
    with pytest.raises(ModelError, match="is broken"):
        all_of(server_at(fake), [question()])
    assert len(fake.asked) == 1


# The key


LEAKY = {
    "401": refuse(401, f"Incorrect API key provided: {KEY}, or Bearer {KEY}"),
    "403": say(f"no {KEY}".encode(), 403),
    "400": refuse(400, ["a", {"x": KEY}]),
    "404": refuse(404, f"{KEY} " * 100),
    "500": refuse(500, "x" * 290 + KEY),
    "escaped": say(json.dumps({"error": 3, "a": KEY}).replace("/", r"\/").encode(), 400),
    "escaped, no JSON": say(b"{" + KEY.replace("/", r"\/").encode(), 400),
    "redirect": say(b"", 302, Location=f"https://other.invalid/?key={KEY}"),
    "garbage": say({"error": {"message": KEY}}),
    "finish_reason": say(answer(finish_reason=KEY)),
}


@pytest.fixture
def logged():
    """What is logged at any level, as it is written."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    # At DEBUG it shows the headers of responses, and with them what a server gives away there.
    levels = {logging.getLogger(): logging.DEBUG, logging.getLogger("httpcore2"): logging.INFO}
    before = {logger: logger.level for logger in levels}
    for logger, level in levels.items():
        logger.setLevel(level)
    logging.getLogger().addHandler(handler)
    yield written
    logging.getLogger().removeHandler(handler)
    for logger, level in before.items():
        logger.setLevel(level)


@pytest.mark.parametrize("act", LEAKY.values(), ids=LEAKY)
def test_the_key_is_in_no_error_and_no_log(act, fake, monkeypatch, logged):
    monkeypatch.setenv("SERVER_KEY", f" {KEY}\n")
    fake.models = {"data": [{"id": KEY}]}
    fake.script = always(act)
    server = server_at(fake, api_key_env="SERVER_KEY", attempts=2)
    with pytest.raises(ModelError) as said:
        all_of(server, [question()])
    assert {h["Authorization"] for h in fake.headers} == {f"Bearer {KEY}"}
    error = said.value
    assert "HTTP Request: " in logged.getvalue()
    shown = [str(error), repr(error), repr(server), logged.getvalue()]
    while error := error.__cause__ or (None if error.__suppress_context__ else error.__context__):
        shown += [str(error), repr(error)]
    secret = KEY.removeprefix("sk-proj-")
    assert not [text for text in shown if secret in text or secret.replace("/", r"\/") in text]
    assert not [text for text in shown if secret[:8] in text]  # nor the part before a cut


def test_a_refused_key_is_named_by_its_variable(fake, monkeypatch):
    fake.script = always(refuse(401, "wrong"))
    with pytest.raises(ModelError, match=r"asks for a key: .* name that in api_key_env"):
        all_of(server_at(fake), [question()])
    monkeypatch.setenv("SERVER_KEY", KEY)
    with pytest.raises(ModelError, match="refuses the key in SERVER_KEY: 401 wrong"):
        all_of(server_at(fake, api_key_env="SERVER_KEY"), [question()])


def test_the_key_is_read_when_it_is_used(fake, monkeypatch):
    server = server_at(fake, api_key_env="SERVER_KEY")
    with pytest.raises(ModelError, match="environment variable SERVER_KEY, which is not set"):
        ask(server, [question()], max_new_tokens=5)
    for bad in ("a\nb", "a b", "schlüssel"):
        monkeypatch.setenv("SERVER_KEY", bad)
        with pytest.raises(ModelError, match="SERVER_KEY holds no key") as said:
            ask(server, [question()], max_new_tokens=5)
        assert bad not in str(said.value)
    for key in ("one", "two"):
        monkeypatch.setenv("SERVER_KEY", key)
        all_of(server, [question()])
        assert fake.headers[-1]["Authorization"] == f"Bearer {key}"


def test_openai_has_a_key_of_its_own(monkeypatch):
    server = Server("https://api.openai.com/v1", MODEL)
    assert server.key_variable == "OPENAI_API_KEY"
    with pytest.raises(ModelError, match="environment variable OPENAI_API_KEY, which is not set"):
        ask(server, [question()], max_new_tokens=5)
    assert Server("https://api.openai.com/v1", MODEL, api_key_env="MINE").key_variable == "MINE"
    assert Server("https://api.openai.com.evil.org/v1", MODEL).key_variable is None
    with pytest.raises(ModelError, match="a key is sent over https or to this machine alone"):
        Server("http://api.openai.com/v1", MODEL)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://127.0.0.1:8000/v1", True),
        ("http://127.1.2.3/v1", True),
        ("http://[::1]:8000/v1", True),
        ("http://localhost:8000/v1", True),
        ("https://host.org/v1", True),
        ("http://host.org/v1", False),
        ("http://10.0.0.1/v1", False),
        ("http://localhost.evil.org/v1", False),
        ("http://127.0.0.1.evil.org/v1", False),
    ],
)
def test_where_a_key_is_sent(url, allowed):
    Server(url, MODEL)
    if allowed:
        Server(url, MODEL, api_key_env="SERVER_KEY")
    else:
        with pytest.raises(ModelError, match="a key is sent over https or to this machine alone"):
            Server(url, MODEL, api_key_env="SERVER_KEY")


# What a server may be


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://me:hunter2@host.org/v1", "must hold no user name, password"),
        ("https://hunter2@host.org/v1", "must hold no user name, password"),
        ("https://host.org/v1?key=hunter2", "must hold no user name, password"),
        ("https://host.org/v1#hunter2", "must hold no user name, password"),
        ("https://host.org:hunter2/v1", "cannot be read"),
        ("https://[hunter2/v1", "cannot be read"),
        ("host.org/v1", "give it as https://host/v1"),
        ("ftp://host.org/v1", "give it as https://host/v1"),
        ("https:///v1", "give it as https://host/v1"),
        ("https://host.org/v1\n", "give it as https://host/v1"),
        ("https://host.org/v1/chat/completions/", "give it up to /v1 only"),
    ],
)
def test_a_url_that_is_none_is_refused(url, message):
    with pytest.raises(ModelError, match=message) as said:
        Server(url, MODEL)
    assert "hunter2" not in str(said.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"concurrency": 0}, "concurrency is 0"),
        ({"attempts": 0}, "attempts is 0"),
        ({"timeout": 0}, "timeout is 0"),
        ({"timeout": math.inf}, "timeout is inf"),
        ({"timeout": math.nan}, "timeout is nan"),
        ({"model": ""}, "none is named"),
        ({"api_key_env": KEY}, "must be the name of an environment variable"),
        ({"api_key_env": "hf_abcdefg"}, "must be the name of an environment variable"),
    ],
)
def test_what_a_server_may_not_be(options, message):
    with pytest.raises(ModelError, match=message) as said:
        Server("https://host.org/v1", **{"model": MODEL, **options})
    assert str(options.get("api_key_env")) not in str(said.value)


def test_a_proxy_that_cannot_be_used_is_said(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "strange://proxy")
    with pytest.raises(ModelError, match="through the proxy that the environment names"):
        all_of(Server("https://host.invalid/v1", MODEL), [question()])


def test_a_trailing_slash_is_nothing(fake):
    fake.url += "/"
    only(fake)
    assert fake.paths == ["/v1/completions"]
