"""A request's parameters: what the study asks for, in so much of the protocol as an endpoint takes.

Servers differ in what they take. What one refuses is left out, or given another name, where that
changes no distribution; and its answers are held against what it was asked for.
"""

from __future__ import annotations

import json
import logging
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from models.errors import ModelError, sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from models.decoding import Decoding
    from models.servers.answers import Answer, Question
    from models.servers.faults import Fault
    from models.servers.server import Server

_FEWER_LOGPROBS = (20, 5)
"""What is asked for where a server gives no more: OpenAI's limits of its two endpoints."""
_IS_UNKNOWN = re.compile(r"(?i)not supp|unsupp|unknown|unrecogni|unexpected|extra|permitted")
_OURS = frozenset(
    {"model", "prompt", "messages", "stream", "n", "max_tokens", "max_completion_tokens"}
    | {"temperature", "top_p", "seed", "stop", "logprobs", "top_logprobs"}
)
_SAMPLING = ("temperature", "top_p", "top_k", "min_p", "seed")
_LIMITS = ("top_k", "min_p")
_HEEDED_WITHIN = 0.05
"""Nats by which a token may be under the limit that it was drawn by, as servers round."""
_log = logging.getLogger(__name__)


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


@dataclass(frozen=True)
class Terms:
    """What all requests of a call have in common.

    Attributes:
        max_new_tokens: Tokens at which a generation is cut.
        stop: Texts that end a generation.
        extra: Further parameters of each request.
        top_logprobs: For how many of the most likely tokens to ask at each position; None to ask
            for no logprobs at all.
    """

    max_new_tokens: int
    stop: tuple[str, ...]
    extra: Mapping[str, Any]
    top_logprobs: int | None


@dataclass
class Dialect:
    """What one endpoint has been found to take of the protocol's parameters.

    Attributes:
        server: Whose endpoint it is.
        terms: What is asked for.
        top_logprobs: For how many it is asked; None for no logprobs at all.
        limit: What it calls the limit of tokens.
        refused: The sampling parameters that it refuses, with what it said.
        version: How often something was found out.
        is_settled: Whether an answer came to the parameters as they are. From then on they are not
            what is wrong with a request.
    """

    server: Server
    terms: Terms
    top_logprobs: int | None = field(init=False)
    limit: str = "max_tokens"
    refused: dict[str, str] = field(default_factory=dict)
    version: int = 0
    is_settled: bool = False

    def __post_init__(self) -> None:
        self.top_logprobs = self.terms.top_logprobs

    def body(self, question: Question) -> dict[str, Any]:
        """A request's parameters.

        Raises:
            ModelError: The question's decoding needs one that the server refuses.
        """
        server, terms, decoding = self.server, self.terms, question.decoding
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

    def adapt(self, fault: Fault) -> bool:
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
            _log.warning("%s is asked for %s from now on", self.server.url, change)
        self.version += bool(changes)
        return bool(changes)


def check_heeded(answer: Answer, server: Server) -> None:
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
                    f"{server.url} does not heed {name}: it drew a token that the "
                    f"decoding {decoding.name} leaves out; take another server, or "
                    "top_p and temperature alone"
                )
