"""Calls of a fake server do not wait for long, and go nowhere else."""

from functools import partial

import httpx2
import pytest

from tests.servers import serving


@pytest.fixture(autouse=True)
def tiny_waits(monkeypatch):
    monkeypatch.setattr("models.servers.asking._FIRST_WAIT", 0.005)
    monkeypatch.setattr("models.servers.asking._LONGEST_WAIT", 0.02)
    # No TLS is spoken here, and reading the authorities takes longer than all else.
    monkeypatch.setattr("httpx2.AsyncClient", partial(httpx2.AsyncClient, verify=False))
    # A proxy that nobody is behind: what goes to this machine must not go there.
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy", "http_proxy", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def fake():
    with serving() as fake:
        yield fake
