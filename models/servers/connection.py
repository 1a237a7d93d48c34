"""One question to a server: what is sent, what comes back, and what a refusal means.

When a question is sent again after a failure, and how many are under way, is not decided here.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx2

from models.errors import ModelError, sentence, shortened
from models.servers.answers import Answer, GarbageError, read_answer
from models.servers.dialect import Dialect, check_heeded
from models.servers.faults import RefusalError, TransientError, one_line, read_fault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from pydantic import SecretStr

    from models.servers.answers import Question
    from models.servers.dialect import Terms
    from models.servers.server import Server

_CONNECTS_WITHIN = 30.0
"""Seconds."""


@asynccontextmanager
async def connected(
    server: Server, terms: Terms, key: SecretStr | None
) -> AsyncIterator[Connection]:
    """A connection to a server; what is under way ends with it.

    Args:
        server: The server.
        terms: What all requests have in common.
        key: The server's key, if it takes one.

    Raises:
        ModelError: It cannot be asked through the environment's proxy.
    """
    async with _client(server, key) as client:
        yield Connection(server, terms, key, client)


class Connection:
    """A server that takes questions, and what was found out of how it takes them.

    Args:
        server: The server.
        terms: What all requests have in common.
        key: The server's key, if it takes one.
        client: Sends requests, the key with each.
    """

    def __init__(
        self, server: Server, terms: Terms, key: SecretStr | None, client: httpx2.AsyncClient
    ) -> None:
        self._server = server
        self._key = key
        self._client = client
        self._dialects = {chat: Dialect(server, terms) for chat in (False, True)}

    async def answer(self, question: Question) -> Answer:
        """An answer in one attempt; asks again at once where parameters are being negotiated.

        Raises:
            TransientError: There is none, and there may be one later.
            RefusalError: There is none, and nor will there be one to another question.
            ModelError: The question's decoding cannot be had.
        """
        dialect = self._dialects[question.messages is not None]
        path = "/completions" if question.messages is None else "/chat/completions"
        while True:
            version, n_top = dialect.version, dialect.top_logprobs
            # In ASCII, as a prompt may hold what cannot be written as UTF-8.
            body = json.dumps(dialect.body(question)).encode()
            response = await self._send(self._client.post(self._server.url + path, content=body))
            if response.status_code == 200:
                try:
                    answer = read_answer(response.content, question, n_top)
                except GarbageError as error:
                    garbage = shortened(one_line(str(error), self._key))
                    raise TransientError(f"it said {garbage}") from None
                dialect.is_settled |= dialect.version == version
                check_heeded(answer, self._server)
                return answer
            fault = read_fault(response, self._key)
            if fault.is_transient:
                busy = fault.status == 429 or fault.wait > 0
                raise TransientError(f"it said {fault}", busy=busy, wait=fault.wait)
            if fault.is_filter:
                return Answer(question, "", "content_filter")
            # What others found out meanwhile is tried before anything else is given up.
            is_new = dialect.version > version
            if not fault.is_negotiable or not (is_new or dialect.adapt(fault)):
                raise RefusalError(fault, path)

    async def explain(self, refusal: RefusalError) -> str:
        """What to do about a refusal, in a sentence."""
        server, fault = self._server, refusal.fault
        if fault.status == 401 and server.key_variable:
            return f"{server.url} refuses the key in {server.key_variable}: {fault}"
        if fault.status == 401:
            return (
                f"{server.url} asks for a key: put it in an environment variable, and name that "
                f"in api_key_env ({fault})"
            )
        if fault.status == 403:
            key = f"with the key in {server.key_variable}" if server.key_variable else "without key"
            return f"{server.url} does not give {server.model} {key}: {fault}"
        if 300 <= fault.status < 400:
            return f"{server.url} redirects, which is not followed; give the new address: {fault}"
        if fault.status in (404, 405):
            models = await self._models()
            if models is None:
                return (
                    f"{server.url} has no model {server.model}, or no {refusal.path}: check that "
                    f"the address is right up to /v1 ({fault})"
                )
            if server.model in models:
                return (
                    f"{server.url} has the model {server.model}, but no {refusal.path} for it: "
                    f"{fault}"
                )
            listed = shortened(one_line(", ".join(models), self._key)) or "none"
            return f"{server.url} has no model {server.model}; those that it lists: {listed}"
        return f"{server.url} refuses what it is asked: {fault}"

    async def _models(self) -> list[str] | None:
        """The models that the server lists; None where it does not."""
        try:
            async with asyncio.timeout(min(_CONNECTS_WITHIN, self._server.timeout)):
                response = await self._client.get(f"{self._server.url}/models")
            return [str(model["id"]) for model in response.json()["data"]]
        except (TimeoutError, httpx2.RequestError, ValueError, LookupError, TypeError):
            return None

    async def _send(self, request: Awaitable[httpx2.Response]) -> httpx2.Response:
        """A whole response.

        Raises:
            TransientError: There is none in time.
        """
        try:
            async with asyncio.timeout(self._server.timeout):
                return await request
        except TimeoutError:
            reason = f"no whole answer came within {self._server.timeout:g} s"
        except httpx2.ConnectError as error:
            reason = f"it cannot be reached ({one_line(sentence(error), self._key)})"
        except httpx2.RequestError as error:
            reason = f"the connection failed ({one_line(sentence(error), self._key)})"
        raise TransientError(reason)


def _client(server: Server, key: SecretStr | None) -> httpx2.AsyncClient:
    headers = {"Content-Type": "application/json"}
    if key is not None:
        headers["Authorization"] = f"Bearer {key.get_secret_value()}"
    try:
        return httpx2.AsyncClient(
            headers=headers,
            # The whole exchange has a limit of its own; one here is from byte to byte.
            timeout=httpx2.Timeout(None, connect=min(_CONNECTS_WITHIN, server.timeout)),
            limits=httpx2.Limits(max_connections=None),
            # No proxy is to see what goes to this machine.
            trust_env=not server.is_loopback,
            follow_redirects=False,
        )
    except (ValueError, ImportError, httpx2.InvalidURL):
        raise ModelError(
            f"{server.url} cannot be asked through the proxy that the environment names: "
            "check HTTPS_PROXY and the like, or name the host in NO_PROXY"
        ) from None
