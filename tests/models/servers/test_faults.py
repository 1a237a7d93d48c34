import io
import json
import logging
import time
from email.utils import formatdate

import pytest

from models import ModelError
from models.servers import faults
from tests.models.servers.questions import KEY, all_of, always, question, server_at
from tests.servers import answer, refuse, say

# How long it asks to wait


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", 0),
        ("3", 3),
        ("0.5", 0.5),
        ("-3", 0),
        ("1e9", faults._LONGEST_ASKED),
        ("nan", 0),
        ("inf", 0),
        ("soon", 0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2099 07:28:00 GMT", faults._LONGEST_ASKED),
    ],
)
def test_how_long_a_server_asks_to_wait(header, seconds):
    assert faults._seconds_asked(header) == seconds


def test_a_date_is_waited_for():
    assert 18 <= faults._seconds_asked(formatdate(time.time() + 20, usegmt=True)) <= 20


# What it complains of


def test_a_name_that_holds_a_parameter_s_is_not_it(fake):
    fake.script = always(refuse(400, "the model seed-oss/seed/top_p_1 is broken"))
    with pytest.raises(ModelError, match="is broken"):
        all_of(server_at(fake), [question()])
    assert len(fake.asked) == 1


# What it gives away


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
