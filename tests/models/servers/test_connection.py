import time

import pytest

from models import ModelError
from models.servers.server import Server
from tests.models.servers.questions import (
    KEY,
    all_of,
    always,
    many,
    once,
    only,
    question,
    server_at,
)
from tests.servers import MODEL, chat_answer, drip, refuse, say


def test_a_trailing_slash_is_nothing(fake):
    fake.url += "/"
    only(fake)
    assert fake.paths == ["/v1/completions"]


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


def test_a_slow_body_is_given_up(fake):
    fake.script = once(drip)
    start = time.monotonic()
    given = all_of(server_at(fake, timeout=0.3), many(2))
    assert len(given) == 2
    assert 0.3 <= time.monotonic() - start < 3
    fake.script = always(drip)
    with pytest.raises(ModelError, match=r"because no whole answer came within 0\.1 s"):
        all_of(server_at(fake, timeout=0.1, attempts=2), [question("other")])


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


def test_a_refused_key_is_named_by_its_variable(fake, monkeypatch):
    fake.script = always(refuse(401, "wrong"))
    with pytest.raises(ModelError, match=r"asks for a key: .* name that in api_key_env"):
        all_of(server_at(fake), [question()])
    monkeypatch.setenv("SERVER_KEY", KEY)
    with pytest.raises(ModelError, match="refuses the key in SERVER_KEY: 401 wrong"):
        all_of(server_at(fake, api_key_env="SERVER_KEY"), [question()])


def test_a_proxy_that_cannot_be_used_is_said(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "strange://proxy")
    with pytest.raises(ModelError, match="through the proxy that the environment names"):
        all_of(Server("https://host.invalid/v1", MODEL), [question()])
