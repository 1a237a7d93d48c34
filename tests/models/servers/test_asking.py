import itertools
import json
import math
import threading
import time
from collections import Counter
from contextlib import closing
from email.utils import formatdate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import ModelError
from models.servers import asking
from models.servers.asking import ask
from tests.models.servers.questions import all_of, always, many, once, question, server_at
from tests.servers import (
    answer,
    cut_at_once,
    cut_body,
    cut_chunks,
    cut_headers,
    drip,
    refuse,
    say,
    serving,
)


def test_nothing_is_asked_where_there_is_no_question(fake):
    assert all_of(server_at(fake), []) == {}
    assert not fake.asked


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


def test_a_server_that_is_not_there_is_said():
    with serving() as gone:
        pass
    server = server_at(gone, attempts=3)
    with pytest.raises(ModelError, match=r"after 3 attempts, at last because it cannot be reached"):
        all_of(server, many(9))


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_request_that_always_fails_holds_no_other_up(concurrency, fake, monkeypatch):
    # Else both may wait at once for long, and where nothing is answered the server counts as gone.
    monkeypatch.setattr(asking, "wait_random_exponential", lambda first, longest: lambda state: 0)
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
    monkeypatch.setattr(asking, "_LONGEST_WAIT", 1.5)
    monkeypatch.setattr(
        asking, "wait_random_exponential", lambda first, longest: lambda state: longest
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
    monkeypatch.setattr(asking, "wait_random_exponential", lambda *_: lambda state: 0.05)
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
    class Interrupted(asking.queue.SimpleQueue):
        def get(self):
            while not fake.asked:
                time.sleep(0.01)
            raise KeyboardInterrupt

    monkeypatch.setattr(asking.queue, "SimpleQueue", Interrupted)
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
