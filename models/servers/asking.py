"""Generations from a server: many questions at once, each asked until it is answered."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type
from tenacity.wait import wait_random_exponential

from models.errors import ModelError
from models.servers.answers import Answer
from models.servers.connection import connected
from models.servers.dialect import Terms, check_extra
from models.servers.faults import RefusalError, TransientError
from models.servers.server import read_key

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from pydantic import SecretStr

    from models.servers.answers import Question
    from models.servers.connection import Connection
    from models.servers.server import Server

_FIRST_WAIT, _LONGEST_WAIT = 2.0, 60.0
"""Seconds that the first wait before another attempt may last, and that any may."""


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
    terms = Terms(max_new_tokens, tuple(stop), extra, top_logprobs)
    return _answers(_Call(server, list(questions), terms, read_key(server)))


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


class _Call:
    """What the requests of one call share. All but the queue belongs to the event loop's thread.

    Attributes:
        questions: What to ask.
        arrived: Answers, and the end of the call.
    """

    def __init__(
        self, server: Server, questions: list[Question], terms: Terms, key: SecretStr | None
    ) -> None:
        self.questions = questions
        self.arrived: queue.SimpleQueue[Answer | _End] = queue.SimpleQueue()
        self._server = server
        self._terms = terms
        self._key = key
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
        async with connected(self._server, self._terms, self._key) as connection:
            pending = iter(self.questions)
            # Those that wait for another attempt hold no slot, and are as many as those that do.
            n = min(2 * self._server.concurrency, len(self.questions))
            workers = [asyncio.create_task(self._work(connection, pending)) for _ in range(n)]
            try:
                await asyncio.gather(*workers)
                self._check_answered()
            except RefusalError as refusal:
                await _end(workers)
                raise ModelError(await connection.explain(refusal)) from None
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

    async def _work(self, connection: Connection, pending: Iterator[Question]) -> None:
        for question in pending:
            if (answer := await self._answer(connection, question)) is not None:
                self.arrived.put(answer)

    async def _answer(self, connection: Connection, question: Question) -> Answer | None:
        """An answer, after as many attempts as it takes; None where only others are answered.

        Raises:
            ModelError: There was none, and nor was any other since the first failure.
        """
        failures, at_first, at_last = 0, -1, self._n_answered
        is_over = False

        async def attempt() -> Answer:
            nonlocal failures, at_first, at_last, is_over
            try:
                return await self._attempt(connection, question)
            except TransientError as error:
                # A server that answers others meanwhile is not failing: it has a limit.
                failures += not (error.busy and self._n_answered > at_last)
                at_last = self._n_answered
                at_first = at_last if at_first < 0 else at_first
                is_over = failures >= self._server.attempts and at_last == at_first
                if not is_over:  # else nothing more is to be sent
                    self._slots.release()
                raise

        attempts = AsyncRetrying(
            retry=retry_if_exception_type(TransientError),
            wait=self._wait,
            stop=lambda state: failures >= self._server.attempts,
            sleep=asyncio.sleep,
            reraise=True,
        )
        try:
            return await attempts(attempt)
        except TransientError as error:
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
        if isinstance(error, TransientError):
            wait = max(wait, error.wait)
            if error.busy:
                self._resumes = max(self._resumes, time.monotonic() + wait)
        return wait

    async def _attempt(self, connection: Connection, question: Question) -> Answer:
        """An answer, which keeps its slot until the caller has dealt with it."""
        await self._slots.acquire()
        while (left := self._resumes - time.monotonic()) > 0:
            await asyncio.sleep(left)
        answer = await connection.answer(question)
        self._n_answered += 1
        return answer


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
