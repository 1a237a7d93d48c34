"""Where the answer begins and ends within what a model writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

STOP_TEXT = "stop_text"
"""Why a generation ended: with a text of `Ending.stop`."""


@dataclass(frozen=True)
class Reasoning:
    """What stands around a model's reasoning trace.

    Attributes:
        start: The text that opens it; where the prompt's format does, the model does not.
        end: The text that closes it; the answer follows.
    """

    start: str = "<think>"
    end: str = "</think>"


@dataclass(frozen=True)
class Ending:
    """What is kept apart from an answer, or left out of it.

    Attributes:
        stop: Texts that end an answer; neither they nor what follows them is part of it.
        reasoning: What its reasoning trace stands between; None where there is none.
    """

    stop: tuple[str, ...] = ()
    reasoning: Reasoning | None = None

    @property
    def cuts(self) -> bool:
        """Whether it changes anything."""
        return bool(self.stop) or self.reasoning is not None


@dataclass(frozen=True)
class Cut:
    """Where a text, or its tokens, are cut in three: trace, answer, rest.

    Attributes:
        answer: Where the answer begins.
        end: Where it ends.
        stopped: Whether a text of `Ending.stop` ended it.
    """

    answer: int
    end: int
    stopped: bool


def cut_text(text: str, prompt: str, ending: Ending) -> Cut:
    """Finds the answer in a text.

    Args:
        text: What was written.
        prompt: What was sent, whose end may open the reasoning trace.
        ending: What to look for.
    """
    return _cut(len(text), lambda start, end: text[start:end], prompt, ending)


def cut_tokens(token_ids: Sequence[int], tokenizer: Any, prompt: str, ending: Ending) -> Cut:
    """Finds the answer among tokens; a token that a stopping text begins in is not part of it.

    Args:
        token_ids: What was written.
        tokenizer: The transformers tokenizer whose they are.
        prompt: What was sent, whose end may open the reasoning trace.
        ending: What to look for.
    """

    def read(start: int, end: int) -> str:
        return str(tokenizer.decode(token_ids[start:end], skip_special_tokens=False))

    return _cut(len(token_ids), read, prompt, ending)


def _cut(length: int, read: Callable[[int, int], str], prompt: str, ending: Ending) -> Cut:
    """Cuts what `read` gives the text of, from one place to another."""
    answer = 0
    if tags := ending.reasoning:
        closed = _least(0, length, lambda end: tags.end in read(0, end))
        if closed is not None:
            begun = _least(closed, length, lambda end: bool(read(closed, end).strip()))
            answer = length if begun is None else max(closed, begun - 1)
        elif read(0, length).lstrip().startswith(tags.start) or prompt.rstrip().endswith(
            tags.start
        ):
            answer = length  # it was cut off while it reasoned
    first = _least(
        answer, length, lambda end: any(stop in read(answer, end) for stop in ending.stop)
    )
    if first is None:
        return Cut(answer, length, stopped=False)
    kept = read(answer, first)
    place = min(found for stop in ending.stop if (found := kept.find(stop)) >= 0)
    # As much as does not reach into it.
    beyond = _least(answer, first, lambda end: len(read(answer, end)) > place)
    return Cut(answer, first if beyond is None else beyond - 1, stopped=True)


def _least(start: int, end: int, holds: Callable[[int], bool]) -> int | None:
    """The least number from `start` to `end` that something holds for, as for all beyond it."""
    if not holds(end):
        return None
    while start < end:
        middle = (start + end) // 2
        if holds(middle):
            end = middle
        else:
            start = middle + 1
    return end
