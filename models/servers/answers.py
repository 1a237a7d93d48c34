"""What is asked of a server that speaks OpenAI's protocol, and how what it answers is read."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable

    from models.decoding import Decoding

_FINISH = {
    **dict.fromkeys(["stop", "eos_token", "stop_sequence", "tool_calls", "function_call"], "stop"),
    **dict.fromkeys(["length", "model_length", "max_tokens"], "length"),
    "content_filter": "content_filter",
}
"""What servers say of a generation's end, and what it is called here. No tools are ever offered."""
_NOT_TOLD = -9999.0
"""OpenAI's log-probability of a token that is none of the likeliest."""
_ROUNDING = 0.01
"""By how much a log-probability may be over 0."""

_T = TypeVar("_T")


@dataclass(frozen=True)
class Question:
    """One generation to ask for.

    Attributes:
        prompt: Sent to `/completions` as it is, where there are no messages.
        messages: (role, content) pairs, sent to `/chat/completions`.
        decoding: How its tokens are chosen.
        seed: Of this generation.
        key: The caller's, handed back.
    """

    prompt: str
    messages: tuple[tuple[str, str], ...] | None
    decoding: Decoding
    seed: int
    key: Hashable = None


@dataclass(frozen=True)
class Answer:
    """One generation, as the server gave it.

    Attributes:
        question: What it answers.
        text: The generation; empty where all of it was reasoning. A half surrogate pair, which
            cannot be written as UTF-8, is U+FFFD.
        finish_reason: `stop` where the model ended it, `length` where the limit did. Where it is
            `content_filter` the server withheld it, wholly or from some point on: that is no
            generation of the model, and the caller decides what becomes of it.
        n_tokens: How many tokens the server says it has, its reasoning included.
        reasoning: What came before the text, where the server keeps it apart.
        logprobs: Of each generated token, nats; None where the server gives none.
        top_logprobs: Of the most likely tokens at each, nats, in descending order; None where the
            server gives none.
        model: What the server says the model is.
    """

    question: Question
    text: str
    finish_reason: str
    n_tokens: int | None = None
    reasoning: str | None = None
    logprobs: tuple[float, ...] | None = None
    top_logprobs: tuple[tuple[float, ...], ...] | None = None
    model: str | None = None


class GarbageError(ValueError):
    """What is no answer, though it came as one."""


def read_answer(content: bytes, question: Question, n_top: int | None) -> Answer:
    """Reads the body of a response.

    Args:
        content: The body.
        question: What it answers.
        n_top: For how many of the most likely tokens it was asked.

    Raises:
        GarbageError: It is no answer.
    """
    try:
        body = json.loads(content, parse_constant=_constant)
    except GarbageError:
        raise
    except (ValueError, RecursionError):
        raise GarbageError("200, with what is not JSON") from None
    body = _typed(body, dict, "the body")
    if isinstance(error := body.get("error"), dict):  # so do some routers
        raise GarbageError(f"200, with an error: {error.get('message')}")
    choices = _typed(body.get("choices"), list, "choices")
    choice = _typed(choices[0] if choices else None, dict, "choices[0]")
    said = choice.get("finish_reason")
    finish_reason = _FINISH.get(said) if isinstance(said, str) else None
    if finish_reason is None:
        raise GarbageError(f"200, with the finish_reason {said!r}")

    reasoning = None
    if question.messages is None:
        text = choice.get("text")
    else:
        message = _typed(choice.get("message"), dict, "message")
        text = message.get("content")
        if text is None:
            text = message.get("refusal")  # the model's own words, under another name
        reasoning = message.get("reasoning_content") or message.get("reasoning") or None
        if reasoning is not None:
            reasoning = _writable(_typed(reasoning, str, "reasoning"))
    if text is None and (reasoning is not None or finish_reason == "content_filter"):
        text = ""
    text = _writable(_typed(text, str, "the text"))

    logprobs, top_logprobs = _read_logprobs(choice.get("logprobs"), n_top)
    usage = body.get("usage")
    n_tokens = usage.get("completion_tokens") if isinstance(usage, dict) else None
    model = body.get("model")
    return Answer(
        question,
        text,
        finish_reason,
        n_tokens if type(n_tokens) is int and n_tokens >= 0 else None,
        reasoning,
        logprobs,
        top_logprobs,
        _writable(model) if isinstance(model, str) else None,
    )


def _read_logprobs(
    said: Any, n_top: int | None
) -> tuple[tuple[float, ...] | None, tuple[tuple[float, ...], ...] | None]:
    """The log probabilities of each token, and of the most likely at each.

    Args:
        said: What a choice says, in the manner of `/chat/completions` or of `/completions`; some
            servers use the former for both.
        n_top: How many of the most likely were asked for. A server may add the generated token.
    """
    if said is None or n_top is None:
        return None, None
    said = _typed(said, dict, "logprobs")
    if said.get("content") is not None:
        tokens = [_typed(t, dict, "a logprob") for t in _typed(said["content"], list, "logprobs")]
        chosen = [token.get("logprob") for token in tokens]
        likely = [
            [_typed(t, dict, "a top logprob").get("logprob") for t in _list(token, "top_logprobs")]
            for token in tokens
        ]
        gives_top = any("top_logprobs" in token for token in tokens)
    elif said.get("token_logprobs") is not None:
        chosen = _list(said, "token_logprobs")
        tops = [_typed(top or {}, dict, "top logprobs") for top in _list(said, "top_logprobs")]
        likely = [list(top.values()) for top in tops]
        gives_top = len(likely) == len(chosen)
    else:
        return None, None
    logprobs = tuple(map(_number, chosen))
    ranked = [sorted(map(_number, top), reverse=True) for top in likely]
    if not all(map(math.isfinite, logprobs)):
        raise GarbageError("200, with a token of no probability")
    if any(p > _ROUNDING for p in (*logprobs, *chain.from_iterable(ranked))):
        raise GarbageError("200, with a probability over 1")
    if min(logprobs, default=0.0) <= _NOT_TOLD:
        return None, None
    return logprobs, tuple(tuple(top[:n_top]) for top in ranked) if gives_top and n_top else None


def _list(holder: dict[str, Any], name: str) -> list[Any]:
    return _typed(holder.get(name) or [], list, name)


def _typed(value: Any, kind: type[_T], name: str) -> _T:
    if not isinstance(value, kind):
        raise GarbageError(f"200, but {name} is {type(value).__name__}, not {kind.__name__}")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise GarbageError(f"200, but a logprob is {type(value).__name__}")
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _constant(name: str) -> float:
    """Reads what JSON has no word for; minus infinity is the logarithm of 0."""
    if name == "NaN":
        raise GarbageError("200, with NaN")
    return float(name)


def _writable(text: str) -> str:
    """The text with U+FFFD for each half surrogate pair."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
