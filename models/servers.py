"""Generations from a server that speaks OpenAI's protocol, such as vLLM's or llama.cpp's.

The protocol is that of https://platform.openai.com/docs/api-reference/chat and `/completions`.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import math
import os
import queue
import re
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx2
from pydantic import SecretStr
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type
from tenacity.wait import wait_random_exponential

from models.answers import Answer, GarbageError, Question, read_answer
from models.errors import ModelError, sentence

if TYPE_CHECKING:
    from collections.abc import Awaitable, Generator, Iterable, Iterator, Mapping, Sequence

    from models.decoding import Decoding

_FIRST_WAIT, _LONGEST_WAIT = 2.0, 60.0
"""Seconds that the first wait before another attempt may last, and that any may."""
_LONGEST_ASKED = 300.0
"""Seconds of waiting that a server may ask for."""
_CONNECTS_WITHIN = 30.0
"""Seconds."""
_FEWER_LOGPROBS = (20, 5)
"""What is asked for where a server gives no more: OpenAI's limits of its two endpoints."""
_IS_UNKNOWN = re.compile(r"(?i)not supp|unsupp|unknown|unrecogni|unexpected|extra|permitted")

KEY_VARIABLE = re.compile("[A-Z_][A-Z0-9_]*")
"""Names of environment variables; keys are not written like them."""
_OPENAI, _OPENAI_KEY = "api.openai.com", "OPENAI_API_KEY"
_WORTH_ANOTHER = frozenset({408, 409, 429})
_NEGOTIABLE = frozenset({400, 403, 422})
_FILTERED = frozenset({"content_filter", "content_policy_violation"})
_OURS = frozenset(
    {"model", "prompt", "messages", "stream", "n", "max_tokens", "max_completion_tokens"}
    | {"temperature", "top_p", "seed", "stop", "logprobs", "top_logprobs"}
)
_SAMPLING = ("temperature", "top_p", "top_k", "min_p", "seed")
_LIMITS = ("top_k", "min_p")
_HEEDED_WITHIN = 0.05
"""Nats by which a token may be under the limit that it was drawn by, as servers round."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Server:
    """A server, and how hard it is asked.

    Attributes:
        url: Its base, up to `/v1`.
        model: The name by which it knows the model.
        concurrency: Requests at once.
        timeout: Seconds for one whole answer, however slowly its bytes come.
        attempts: How often one request may fail.
        api_key_env: The name of the environment variable that holds the key. Where it is None no
            key is sent, but to api.openai.com, whose key is in `OPENAI_API_KEY`.

    Raises:
        ModelError: It cannot or should not be asked.
    """

    url: str
    model: str
    concurrency: int = 8
    timeout: float = 600.0
    attempts: int = 6
    api_key_env: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", self.url.rstrip("/"))
        check_url(self.url)
        if not self.model:
            raise ModelError(f"{self.url} is to be asked for a model, and none is named")
        for name in ("concurrency", "attempts"):
            if getattr(self, name) < 1:
                raise ModelError(f"{name} is {getattr(self, name)}, and must be at least 1")
        if not 0 < self.timeout < math.inf:
            raise ModelError(f"timeout is {self.timeout}, and must be a number of seconds above 0")
        # Whoever gives the key for its name is not shown it.
        if self.api_key_env is not None and not KEY_VARIABLE.fullmatch(self.api_key_env):
            raise ModelError(
                "api_key_env must be the name of an environment variable, in capitals, "
                f"such as {_OPENAI_KEY}"
            )
        if self.key_variable and not (self.url.startswith("https:") or self.is_loopback):
            raise ModelError(
                f"a key is sent over https or to this machine alone, and {self.url} is neither: "
                "give its https address, or reach it through a tunnel"
            )

    @property
    def key_variable(self) -> str | None:
        """The environment variable that holds the key; None where none is sent."""
        if self.api_key_env is None and urlsplit(self.url).hostname == _OPENAI:
            return _OPENAI_KEY
        return self.api_key_env

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine."""
        host = urlsplit(self.url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"


def ask(
    server: Server,
    questions: Sequence[Question],
    *,
    max_new_tokens: int,
    stop: Sequence[str] = (),
    extra: Mapping[str, Any] | None = None,
    top_logprobs: int | None = 20,
) -> Generator[list[Answer], None, None]:
    """Asks a server for generations, several at a time.

    Requests that fail for a while are sent again, and what the server refuses of their parameters
    is left out where that changes no distribution. An answer counts as outstanding until the
    caller comes back for more, so that whoever writes down each list before asking for the next
    never has to pay for more than `concurrency` answers twice. Close the generator (with
    `contextlib.closing`) to end the requests that are under way.

    Args:
        server: The server.
        questions: What to ask; they are begun in this order.
        max_new_tokens: Tokens at which a generation is cut.
        stop: Texts that end a generation.
        extra: Further parameters of each request, such as `chat_template_kwargs`.
        top_logprobs: For how many of the most likely tokens to ask at each position, beside the
            generated one; fewer where the server gives fewer. None to ask for no logprobs at all.

    Yields:
        The answers that came in since the last ones, at least one, in no particular order.

    Raises:
        ModelError: The server refuses, or gave no answer to a request after as many attempts as
            it has. All that it had answered was yielded before; where it still answered others,
            all of these were asked first.
    """
    extra = check_extra(extra, {question.decoding for question in questions})
    terms = _Terms(max_new_tokens, tuple(stop), extra)
    return _answers(_Call(server, list(questions), terms, top_logprobs, read_key(server)))


def _answers(call: _Call) -> Generator[list[Answer], None, None]:
    """Runs a call in a thread of its own, and yields what it puts into its queue."""
    if not call.questions:
        return
    loop = asyncio.new_event_loop()
    task = loop.create_task(call.run())

    def run() -> None:
        end = _End()
        try:
            loop.run_until_complete(task)
        except asyncio.CancelledError:
            pass
        except BaseException as error:  # it is the caller's to see, in the caller's thread
            end = _End(error)
        finally:
            try:
                loop.run_until_complete(loop.shutdown_asyncgens())
                loop.close()
            finally:  # the caller waits for it
                call.arrived.put(end)

    thread = threading.Thread(target=run, name="models.servers", daemon=True)
    thread.start()
    try:
        while True:
            items = [call.arrived.get()]
            while not call.arrived.empty():
                items.append(call.arrived.get())
            if answers := [item for item in items if isinstance(item, Answer)]:
                yield answers
                with suppress(RuntimeError):  # the loop is closed: nobody waits for a slot
                    loop.call_soon_threadsafe(call.free, len(answers))
            if isinstance(end := items[-1], _End):
                if end.error is not None:
                    raise end.error
                return
    finally:
        with suppress(RuntimeError):  # the loop is closed: all is over
            loop.call_soon_threadsafe(task.cancel)
        if thread is not threading.current_thread():  # where the collector happens to run
            thread.join()


@dataclass(frozen=True)
class _End:
    """That a call is over, and what ended it."""

    error: BaseException | None = None


@dataclass(frozen=True)
class _Terms:
    """What all requests of a call have in common."""

    max_new_tokens: int
    stop: tuple[str, ...]
    extra: Mapping[str, Any]


class _AgainError(Exception):
    """A failure after which the same request may succeed.

    Attributes:
        busy: Whether the server has too much to do, for all requests alike.
        asked: Seconds that the server asks to wait.
    """

    def __init__(self, reason: str, *, busy: bool = False, asked: float = 0.0) -> None:
        super().__init__(reason)
        self.busy = busy
        self.asked = asked


class _RefusedError(Exception):
    """A response after which no request will succeed."""

    def __init__(self, fault: _Fault, path: str) -> None:
        super().__init__(fault.status)
        self.fault = fault
        self.path = path


@dataclass(frozen=True)
class _Fault:
    """What a server says is wrong.

    Attributes:
        status: Of HTTP.
        text: In a line; the key is not in it.
        param: The parameter that it names, if any.
        code: Its own name of what is wrong, if any.
    """

    status: int
    text: str
    param: str = ""
    code: str = ""

    def names(self, *parameters: str) -> bool:
        """Whether it complains of one of the parameters."""
        if self.param:
            return self.param.rpartition(".")[2] in parameters
        # A model may be called `seed-oss`: that names no parameter.
        return any(re.search(rf"(?<![\w/-]){name}(?![\w/-])", self.text) for name in parameters)

    def __str__(self) -> str:
        return f"{self.status} {_shortened(self.text)}".strip()


@dataclass
class _Dialect:
    """What one endpoint has been found to take of the protocol's parameters.

    Attributes:
        top_logprobs: For how many it is asked; None for no logprobs at all.
        limit: What it calls the limit of tokens.
        refused: The sampling parameters that it refuses, with what it said.
        version: How often something was found out.
        is_settled: Whether an answer came to the parameters as they are. From then on they are not
            what is wrong with a request.
    """

    top_logprobs: int | None
    limit: str = "max_tokens"
    refused: dict[str, str] = field(default_factory=dict)
    version: int = 0
    is_settled: bool = False

    def body(self, server: Server, question: Question, terms: _Terms) -> dict[str, Any]:
        """A request's parameters.

        Raises:
            ModelError: The question's decoding needs one that the server refuses.
        """
        decoding = question.decoding
        greedy = decoding.is_greedy
        sampling = {
            "temperature": 0.0 if greedy else decoding.temperature,
            "top_p": 1.0 if greedy else decoding.top_p,
            "seed": question.seed,
        }
        # Not of OpenAI's protocol: they are said to the servers that are asked for them alone.
        sampling |= {n: value for n in _LIMITS if (value := getattr(decoding, n))}
        for name, said in self.refused.items():
            value = sampling.pop(name, 1.0)
            # What is said of all is 1 unless said otherwise. Any other value would be a label that
            # lies.
            if name != "seed" and value != 1.0:
                raise ModelError(
                    f"{server.url} takes no {name} of {value:g}, which the decoding "
                    f"{decoding.name} needs: {said}"
                )
        body: dict[str, Any] = {"model": server.model, self.limit: terms.max_new_tokens, **sampling}
        if terms.stop:
            body["stop"] = list(terms.stop)
        if question.messages is None:
            body["prompt"] = question.prompt
            if self.top_logprobs is not None:
                body["logprobs"] = self.top_logprobs
        else:
            body["messages"] = [{"role": r, "content": text} for r, text in question.messages]
            if self.top_logprobs is not None:
                body |= {"logprobs": True, "top_logprobs": self.top_logprobs}
        return {**body, **terms.extra}

    def adapt(self, fault: _Fault, server: Server) -> bool:
        """Gives in where the server complains of a parameter; returns whether anything changed."""
        if self.is_settled:
            return False
        changes = []
        if self.top_logprobs is not None and fault.names("logprobs", "top_logprobs"):
            asked = self.top_logprobs
            fewer = next((n for n in _FEWER_LOGPROBS if n < asked), None)
            changes.append(f"logprobs of {fewer} tokens" if fewer else "no logprobs")
            self.top_logprobs = fewer
        if self.limit == "max_tokens" and (
            "max_completion_tokens" in fault.text
            or (fault.names("max_tokens") and _IS_UNKNOWN.search(fault.text))
        ):
            changes.append("max_completion_tokens for max_tokens")
            self.limit = "max_completion_tokens"
        for name in _SAMPLING:
            if name not in self.refused and fault.names(name):
                changes.append(f"no {name}")
                self.refused[name] = str(fault)
        for change in changes:
            _log.warning("%s is asked for %s from now on", server.url, change)
        self.version += bool(changes)
        return bool(changes)


class _Call:
    """What the requests of one call share. All but the queue belongs to the event loop's thread.

    Attributes:
        questions: What to ask.
        arrived: Answers, and the end of the call.
    """

    def __init__(
        self,
        server: Server,
        questions: list[Question],
        terms: _Terms,
        top_logprobs: int | None,
        key: SecretStr | None,
    ) -> None:
        self.questions = questions
        self.arrived: queue.SimpleQueue[Answer | _End] = queue.SimpleQueue()
        self._server = server
        self._terms = terms
        self._key = key
        self._dialects = {chat: _Dialect(top_logprobs) for chat in (False, True)}
        self._slots = asyncio.Semaphore(server.concurrency)
        self._resumes = 0.0  # by time.monotonic(), when requests may be sent again
        self._n_answered = 0
        self._unanswered: list[str] = []  # why, for each question that is given up

    def free(self, n: int) -> None:
        """Lets as many more requests be sent: the caller has dealt with as many answers."""
        for _ in range(n):
            self._slots.release()

    async def run(self) -> None:
        """Asks all questions.

        Raises:
            ModelError: One of them cannot be answered.
        """
        async with self._client() as client:
            pending = iter(self.questions)
            # Those that wait for another attempt hold no slot, and are as many as those that do.
            n = min(2 * self._server.concurrency, len(self.questions))
            workers = [asyncio.create_task(self._work(client, pending)) for _ in range(n)]
            try:
                await asyncio.gather(*workers)
                self._check_answered()
            except _RefusedError as refusal:
                await _end(workers)
                raise ModelError(await self._say(client, refusal)) from None
            finally:
                await _end(workers)

    def _check_answered(self) -> None:
        if not self._unanswered:
            return
        raise ModelError(
            f"{self._server.url} gave no answer to {len(self._unanswered)} of "
            f"{len(self.questions)} requests, to one {self._unanswered[-1]}; all others are "
            "answered, so try again for these alone"
        )

    def _client(self) -> httpx2.AsyncClient:
        headers = {"Content-Type": "application/json"}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key.get_secret_value()}"
        try:
            return httpx2.AsyncClient(
                headers=headers,
                # The whole exchange has a limit of its own; one here is from byte to byte.
                timeout=httpx2.Timeout(None, connect=min(_CONNECTS_WITHIN, self._server.timeout)),
                limits=httpx2.Limits(max_connections=None),
                # No proxy is to see what goes to this machine.
                trust_env=not self._server.is_loopback,
                follow_redirects=False,
            )
        except (ValueError, ImportError, httpx2.InvalidURL):
            raise ModelError(
                f"{self._server.url} cannot be asked through the proxy that the environment names: "
                "check HTTPS_PROXY and the like, or name the host in NO_PROXY"
            ) from None

    async def _work(self, client: httpx2.AsyncClient, pending: Iterator[Question]) -> None:
        for question in pending:
            if (answer := await self._answer(client, question)) is not None:
                self.arrived.put(answer)

    async def _answer(self, client: httpx2.AsyncClient, question: Question) -> Answer | None:
        """An answer, after as many attempts as it takes; None where only others are answered.

        Raises:
            ModelError: There was none, and nor was any other since the first failure.
        """
        failures, at_first, at_last = 0, -1, self._n_answered
        is_over = False

        async def attempt() -> Answer:
            nonlocal failures, at_first, at_last, is_over
            try:
                return await self._attempt(client, question)
            except _AgainError as error:
                # A server that answers others meanwhile is not failing: it has a limit.
                failures += not (error.busy and self._n_answered > at_last)
                at_last = self._n_answered
                at_first = at_last if at_first < 0 else at_first
                is_over = failures >= self._server.attempts and at_last == at_first
                if not is_over:  # else nothing more is to be sent
                    self._slots.release()
                raise

        attempts = AsyncRetrying(
            retry=retry_if_exception_type(_AgainError),
            wait=self._wait,
            stop=lambda state: failures >= self._server.attempts,
            sleep=asyncio.sleep,
            reraise=True,
        )
        try:
            return await attempts(attempt)
        except _AgainError as error:
            reason = f"after {failures} attempts, at last because {error}"
            if not is_over:
                self._unanswered.append(reason)
                return None
            raise ModelError(
                f"{self._server.url} gave no answer {reason}; try again once it works"
            ) from None

    def _wait(self, state: RetryCallState) -> float:
        """Seconds until the next attempt; where the server is busy, all requests wait."""
        wait = wait_random_exponential(_FIRST_WAIT, _LONGEST_WAIT)(state)
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, _AgainError):
            wait = max(wait, error.asked)
            if error.busy:
                self._resumes = max(self._resumes, time.monotonic() + wait)
        return wait

    async def _attempt(self, client: httpx2.AsyncClient, question: Question) -> Answer:
        """An answer, which keeps its slot until the caller has dealt with it."""
        await self._slots.acquire()
        while (left := self._resumes - time.monotonic()) > 0:
            await asyncio.sleep(left)
        answer = await self._exchange(client, question)
        self._n_answered += 1
        return answer

    async def _exchange(self, client: httpx2.AsyncClient, question: Question) -> Answer:
        """An answer in one attempt; asks again at once where parameters are being negotiated."""
        dialect = self._dialects[question.messages is not None]
        path = "/completions" if question.messages is None else "/chat/completions"
        while True:
            version, n_top = dialect.version, dialect.top_logprobs
            # In ASCII, as a prompt may hold what cannot be written as UTF-8.
            body = json.dumps(dialect.body(self._server, question, self._terms)).encode()
            response = await self._send(client.post(self._server.url + path, content=body))
            status = response.status_code
            if status == 200:
                try:
                    answer = read_answer(response.content, question, n_top)
                except GarbageError as error:
                    raise _AgainError(f"it said {_shortened(self._scrub(str(error)))}") from None
                dialect.is_settled |= dialect.version == version
                self._check_heeded(answer)
                return answer
            fault = self._fault(response)
            if status in _WORTH_ANOTHER or status >= 500:
                asked = _seconds_asked(response.headers.get("Retry-After", ""))
                busy = status == 429 or asked > 0
                raise _AgainError(f"it said {fault}", busy=busy, asked=asked)
            if status == 400 and fault.code in _FILTERED:
                return Answer(question, "", "content_filter")
            # What others found out meanwhile is tried before anything else is given up.
            negotiable = status in _NEGOTIABLE
            if not negotiable or not (
                dialect.version > version or dialect.adapt(fault, self._server)
            ):
                raise _RefusedError(fault, path)

    def _check_heeded(self, answer: Answer) -> None:
        """Looks whether tokens are among those that may be drawn, as far as the server tells.

        Whether it tells log-probabilities before or after the temperature is not known; a token
        that is under the limit by both was drawn without it.

        Raises:
            ModelError: One is not.
        """
        decoding = answer.question.decoding
        tops = answer.top_logprobs or ()
        for logprob, top in zip(answer.logprobs or (), tops, strict=False):
            limits = {}
            if 0 < decoding.top_k <= len(top):
                limits["top_k"] = top[decoding.top_k - 1]
            if decoding.min_p and top:
                limits["min_p"] = top[0] + math.log(decoding.min_p) * max(1, decoding.temperature)
            for name, limit in limits.items():
                if logprob < limit - _HEEDED_WITHIN:
                    raise ModelError(
                        f"{self._server.url} does not heed {name}: it drew a token that the "
                        f"decoding {decoding.name} leaves out; take another server, or "
                        "top_p and temperature alone"
                    )

    async def _send(self, request: Awaitable[httpx2.Response]) -> httpx2.Response:
        """A whole response.

        Raises:
            _AgainError: There is none in time.
        """
        try:
            async with asyncio.timeout(self._server.timeout):
                return await request
        except TimeoutError:
            reason = f"no whole answer came within {self._server.timeout:g} s"
        except httpx2.ConnectError as error:
            reason = f"it cannot be reached ({self._scrub(sentence(error))})"
        except httpx2.RequestError as error:
            reason = f"the connection failed ({self._scrub(sentence(error))})"
        raise _AgainError(reason)

    def _fault(self, response: httpx2.Response) -> _Fault:
        text, param, code = _complaint(response)
        return _Fault(response.status_code, self._scrub(text), param, code)

    def _scrub(self, text: str) -> str:
        """A text of the server in one line, without the key."""
        if self._key is not None:
            key = self._key.get_secret_value()
            for written in (key, json.dumps(key)[1:-1], key.replace("/", r"\/")):
                text = text.replace(written, "***")
        return " ".join("".join(c if c.isprintable() else " " for c in text).split())

    async def _say(self, client: httpx2.AsyncClient, refusal: _RefusedError) -> str:
        """What to do about a refusal."""
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
            models = await self._models(client)
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
            listed = _shortened(self._scrub(", ".join(models))) or "none"
            return f"{server.url} has no model {server.model}; those that it lists: {listed}"
        return f"{server.url} refuses what it is asked: {fault}"

    async def _models(self, client: httpx2.AsyncClient) -> list[str] | None:
        """The models that the server lists; None where it does not."""
        try:
            async with asyncio.timeout(min(_CONNECTS_WITHIN, self._server.timeout)):
                response = await client.get(f"{self._server.url}/models")
            return [str(model["id"]) for model in response.json()["data"]]
        except (TimeoutError, httpx2.RequestError, ValueError, LookupError, TypeError):
            return None


def _shortened(line: str) -> str:
    return line if len(line) <= 300 else f"{line[:300]}…"


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def check_url(url: str) -> None:
    """Looks whether a URL is the base of a server's, and holds no secret.

    Raises:
        ModelError: It is not, or does; it is not shown where it may.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port, (parts.hostname or "").encode("idna")
    except ValueError:  # such as of a name that is too long
        raise ModelError("the server's URL cannot be read: give it as https://host/v1") from None
    if "@" in url or parts.query or parts.fragment or "?" in url:
        raise ModelError(
            "the server's URL must hold no user name, password, query or fragment: name the "
            "environment variable that holds the key in api_key_env"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or not _is_plain(url):
        raise ModelError(f"the server's URL is {url!r}: give it as https://host/v1")
    if parts.path.endswith("/completions"):
        raise ModelError(f"the server's URL is {url}: give it up to /v1 only")


def _is_plain(url: str) -> bool:
    return url.isprintable() and " " not in url


def check_extra(
    extra: Mapping[str, Any] | None, decodings: Iterable[Decoding] = ()
) -> dict[str, Any]:
    """Gives further parameters of a request, if they may be sent.

    Args:
        extra: The parameters.
        decodings: How generations are to be sampled.

    Raises:
        ModelError: One of them is a parameter of the study's, or no JSON value.
    """
    extra = dict(extra or {})
    for decoding in decodings:
        if decoding.treatment:
            raise ModelError(
                f"a server cannot sample with {decoding.name}, which looks at all logits of each "
                "step: take another decoding, or a source with weights"
            )
        if twice := [name for name in _LIMITS if name in extra and getattr(decoding, name)]:
            raise ModelError(
                f"extra may not hold {', '.join(twice)}, which the decoding {decoding.name} says: "
                "leave it out of extra"
            )
    if ours := sorted(_OURS & extra.keys()):
        raise ModelError(
            f"extra may not hold {', '.join(ours)}: what a request says of these follows from "
            "the study"
        )
    try:
        json.dumps(extra, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ModelError(f"extra cannot be written as JSON: {sentence(error)}") from None
    return extra


def read_key(server: Server) -> SecretStr | None:
    """The key of a server, if it takes one; read anew each time, as the variable may change.

    Raises:
        ModelError: It is not there.
    """
    if (variable := server.key_variable) is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ModelError(
            f"{server.url} is to be asked with the key in the environment variable {variable}, "
            "which is not set: export it"
        )
    if not re.fullmatch("[!-~]+", key):
        raise ModelError(
            f"the environment variable {variable} holds no key: it has spaces, or letters beyond "
            "ASCII, in it"
        )
    return SecretStr(key)


def _seconds_asked(header: str) -> float:
    """The seconds that a Retry-After header asks for, as a number or a date; 0 without any."""
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(header).timestamp() - time.time()
        except (ValueError, OverflowError):
            return 0.0
    return min(max(seconds, 0.0), _LONGEST_ASKED) if math.isfinite(seconds) else 0.0


def _complaint(response: httpx2.Response) -> tuple[str, str, str]:
    """What an error response says: its text, the parameter and the code that it names."""
    phrase = response.reason_phrase
    if 300 <= response.status_code < 400:
        return f"{phrase} {response.headers.get('Location', '')}", "", ""
    try:
        answer = json.loads(response.content)
    except (ValueError, RecursionError):
        text = response.text.strip()
        return (phrase if not text or text.startswith("<") else text), "", ""
    answer = answer if isinstance(answer, dict) else {"message": answer}
    error = answer.get("error")
    if isinstance(error, dict):
        answer = error
    elif isinstance(error, str):
        answer = {**answer, "message": error}
    message = answer.get("message") or answer.get("detail") or phrase
    if isinstance(message, list):  # FastAPI's: where, and what is wrong there
        message = "; ".join(
            f"{'.'.join(map(str, part.get('loc', [])))}: {part.get('msg', '')}"
            if isinstance(part, dict) and isinstance(part.get("loc", []), list)
            else str(part)
            for part in message
        )
    param, code = answer.get("param"), answer.get("code")
    return (
        message if isinstance(message, str) else json.dumps(message),
        param if isinstance(param, str) else "",
        code if isinstance(code, str) else "",
    )
