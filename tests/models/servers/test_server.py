import math

import pytest

from models import ModelError
from models.servers.asking import ask
from models.servers.server import Server
from tests.models.servers.questions import KEY, all_of, question, server_at
from tests.servers import MODEL

# What it may be


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


# Its key


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
