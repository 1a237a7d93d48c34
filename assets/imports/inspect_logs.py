"""Logs of Inspect, `.eval` and `.json`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.imports.found import Dropped, Found, reason
from assets.imports.scored import Scored
from assets.study.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from assets.imports.found import Options

_NOT_READ = {"events", "events_data", "store"}  # what logs of agents are full of


_MARKS = {"C": 1, "P": 0.5, "I": 0, "N": 0}
_ANSWERS = {"yes": 1, "true": 1, "no": 0, "false": 0}


def read(source: str, options: Options) -> Iterator[Found | Scored | Dropped]:
    """Finds the completions of a log; what Inspect calls a sample is a prompt here.

    A prompt is the input, or the user's message in it; system messages are not part of it. Epochs
    are samples. Of a conversation the last answer is none to the first question, so samples with
    more than one question or answer are dropped. Scores are of the first answer, and called after
    their scorers.

    Args:
        source: The file.
        options: Nothing of them is asked for.

    Raises:
        InputError: It is no log, or there is no inspect_ai to read it with.
    """
    log = _read(Path(source))
    for one in log.samples or ():
        where = f"{source}, sample {one.id} in epoch {one.epoch}"
        answers = one.output.choices
        if one.error is not None:
            yield Dropped("that ended with an error")
        elif getattr(one, "invalidation", None) is not None:
            yield Dropped("that were declared invalid")
        elif not answers:
            yield Dropped("without an output")
        elif _is_conversation(one):
            yield Dropped("of several turns")
        elif (prompt := _prompt(one.input)) is None:
            yield Dropped("without a message of the user's")
        else:
            first = (one.epoch - 1) * len(answers)
            for sample, answer in enumerate(answers, start=first):
                # What a solver made of the completion stands for the first answer.
                text = one.output.completion if sample == first else answer.message.text
                yield Found(where, prompt, text, str(one.id), sample, log.eval.model)
            for name, score in (one.scores or {}).items():
                yield Scored(where, str(one.id), first, name, _number_of(score.value))


def _read(path: Path) -> Any:
    try:
        from inspect_ai.log import read_eval_log
    except ImportError:
        raise InputError(
            "logs of Inspect are read with its own reader: pip install inspect_ai"
        ) from None
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    try:
        return read_eval_log(path, resolve_attachments="core", exclude_fields=_NOT_READ)
    except Exception as error:  # its errors, those of zip files and of pydantic have no common type
        raise InputError(
            f"{path} cannot be read as a log of Inspect: {reason(error)}; name a whole .eval or "
            ".json file that it wrote"
        ) from error


def _is_conversation(one: Any) -> bool:
    """Whether there was more than a question and its answer, in the input or in what came of it."""
    given = [] if isinstance(one.input, str) else [message.role for message in one.input]
    roles = [message.role for message in one.messages]
    return (
        max(given.count("user"), roles.count("user"), roles.count("assistant")) > 1
        or "assistant" in given
        or "tool" in roles
    )


def _prompt(given: Any) -> str | None:
    if isinstance(given, str):
        return given
    texts = [str(message.text) for message in given if message.role == "user"]
    return texts[0] if texts else None


def _number_of(value: object) -> object:
    """A score's value as Inspect's own `value_to_float` has it; as it is where that has none."""
    if not isinstance(value, str):
        return value
    if value in _MARKS:
        return _MARKS[value]
    if value.lower() in _ANSWERS:
        return _ANSWERS[value.lower()]
    try:
        return float(value)
    except ValueError:
        return value
