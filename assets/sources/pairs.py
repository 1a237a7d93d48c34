r"""The forms that pairs of answers come in, and what they are read as.

A row has `chosen` and `rejected`, and mostly `prompt`. Each is a text or a list of messages, which
are objects with `role` and `content`:

- UltraFeedback: `prompt` is a text, the answers are whole conversations of messages.
- HH-RLHF: the answers are whole conversations as text, `\n\nHuman: ...\n\nAssistant: ...`; what
  comes before the last answer may be `prompt`.
- TRL: prompt and answers as texts or as messages; without `prompt` it is what the answers have in
  common.

A prompt that is a text of its own is what a user says. Where two plain texts have only their
beginning in common, that is continued as it is, as the beginning of a document.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assets.study.errors import InputError, names_of, shown
from assets.study.files import is_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from models.prompting import Turns

AS_TEXT = "text"
"""The role of a text that is continued as it is."""
_SIDES = ("chosen", "rejected")
_SPEAKERS = {"Human": "user", "Assistant": "assistant"}
_TRANSCRIPT = "\n\nHuman:"
_SPOKEN = re.compile(r"\n\n(Human|Assistant):")


class UnusableError(InputError):
    """A pair that is in one of the forms, and of which nothing can be measured."""


@dataclass(frozen=True)
class Answers:
    """A prompt and two answers to it.

    Attributes:
        turns: The prompt.
        chosen: The answer that was preferred.
        rejected: The other one.
    """

    turns: Turns
    chosen: str
    rejected: str

    @property
    def n_words(self) -> int:
        """Words of the prompt and the longer answer."""
        answers = max(len(self.chosen.split()), len(self.rejected.split()))
        return sum(len(content.split()) for _, content in self.turns) + answers


def read_answers(row: Mapping[str, Any]) -> Answers:
    """Reads a row in any of the forms.

    Raises:
        UnusableError: Its answers are empty, alike, or to different prompts, or its messages do not
            alternate.
        InputError: It is in none of the forms.
    """
    for side in _SIDES:
        if side not in row:
            raise InputError(
                f"has no {side!r}; it has {names_of(map(repr, row))}, and a pair has prompt, "
                "chosen and rejected"
            )
    prompt = row.get("prompt")
    given = {side: _content(side, row[side]) for side in _SIDES}
    if prompt is not None:
        prompt = _content("prompt", prompt)
    chosen, rejected = (given[side] for side in _SIDES)
    if isinstance(chosen, str) != isinstance(rejected, str):
        raise InputError("'chosen' and 'rejected' must be both texts, or both lists of messages")
    if isinstance(prompt, str) and isinstance(chosen, str) and prompt.startswith(_TRANSCRIPT):
        chosen, rejected, prompt = prompt + chosen, prompt + str(rejected), None
    if isinstance(chosen, str) and isinstance(rejected, str):
        answers = _of_texts(prompt, chosen, rejected)
    else:
        answers = _of_messages(prompt, {"chosen": chosen, "rejected": rejected})
    return _checked(answers)


def _content(field: str, value: Any) -> str | Turns:
    """A text, or messages as (role, content) pairs."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or not value:
        raise InputError(f"{field!r} is {_short(value)}, and must be a text or a list of messages")
    turns = []
    for number, message in enumerate(value, start=1):
        known = message if isinstance(message, dict) else {}
        role, content = known.get("role"), known.get("content")
        if not isinstance(role, str) or not isinstance(content, str):
            raise InputError(
                f"{field!r}: message {number} is {_short(message)}, and must have a role and a "
                "content, both texts"
            )
        turns.append((role, content))
    return tuple(turns)


def _of_texts(prompt: str | Turns | None, chosen: str, rejected: str) -> Answers:
    if prompt is not None:
        return Answers((("user", prompt),) if isinstance(prompt, str) else prompt, chosen, rejected)
    if chosen.startswith(_TRANSCRIPT) and rejected.startswith(_TRANSCRIPT):
        return _of_messages(None, {"chosen": _spoken(chosen), "rejected": _spoken(rejected)})
    alike = itertools.takewhile(lambda two: two[0] == two[1], zip(chosen, rejected, strict=False))
    common = "".join(character for character, _ in alike)
    words = re.match(r"(.*\S)\s", common, re.DOTALL)  # so that no word is cut
    if not words:
        raise UnusableError("has no 'prompt', and its answers do not begin with a common one")
    beginning = words[1]
    return Answers(((AS_TEXT, beginning),), chosen[len(beginning) :], rejected[len(beginning) :])


def _spoken(transcript: str) -> Turns:
    """The turns of a transcript."""
    _, *parts = _SPOKEN.split(transcript)
    return tuple(
        (_SPEAKERS[speaker], said.strip())
        for speaker, said in zip(parts[::2], parts[1::2], strict=True)
    )


def _of_messages(prompt: str | Turns | None, given: Mapping[str, Any]) -> Answers:
    before: dict[str, Turns] = {}
    answers: dict[str, str] = {}
    for side, turns in given.items():
        *earlier, (role, answer) = turns
        if role != "assistant":
            raise UnusableError(
                f"{side!r} ends with a message of {shown(role)!r}, and must end with the "
                "assistant's answer"
            )
        before[side], answers[side] = tuple(earlier), answer
    if before["chosen"] != before["rejected"]:
        raise UnusableError("'chosen' and 'rejected' differ before their last message")
    turns = before["chosen"]
    if isinstance(prompt, tuple):
        if turns and turns != prompt:
            raise UnusableError("the messages before the answers are not those of 'prompt'")
        turns = prompt
    elif not turns and prompt is not None:
        turns = (("user", prompt),)
    if not turns:
        raise UnusableError("has no 'prompt', and its answers are one message each")
    return Answers(turns, answers["chosen"], answers["rejected"])


def _checked(answers: Answers) -> Answers:
    expected = "user"
    for number, (role, content) in enumerate(answers.turns, start=1):
        is_system = number == 1 and role == "system"
        if not is_system and role not in (expected, AS_TEXT):
            raise UnusableError(
                f"message {number} is of {shown(role)!r} where one of {expected!r} must be: after "
                "the system's, if there is one, user and assistant alternate"
            )
        if not is_system:
            expected = "assistant" if role == "user" else "user"
        if not content.strip():
            raise UnusableError(f"message {number} of the prompt is empty")
    if answers.turns[-1][0] not in ("user", AS_TEXT):
        raise UnusableError("the prompt must end with a message of 'user'")
    for side, answer in (("chosen", answers.chosen), ("rejected", answers.rejected)):
        if not answer.strip():
            raise UnusableError(f"the {side} answer is empty")
    if answers.chosen.strip() == answers.rejected.strip():
        raise UnusableError("its two answers are alike")
    for text in (
        answers.chosen,
        answers.rejected,
        *(text for turn in answers.turns for text in turn),
    ):
        if not is_text(text):
            raise UnusableError("holds half a surrogate pair, which is no text")
    return answers


def _short(value: object) -> str:
    return shown(repr(value), 40)
