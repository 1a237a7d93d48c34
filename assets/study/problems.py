"""What pydantic finds wrong with a study, in sentences that begin with the key."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from assets.study.checkpoints import Checkpoint
from assets.study.choices import Choices
from assets.study.errors import meant, shown
from assets.study.ladders import Ladder
from assets.study.parts import (
    Corpus,
    Divergence,
    DiversitySweep,
    DriftRule,
    Preferences,
    Prefixes,
    Probes,
    Readaptation,
    Scores,
    ServerAccess,
    ShannonGame,
)
from assets.study.thresholds import Thresholds
from assets.study.tunings import Tuning
from assets.study.watches import Watch

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

_MOST_PROBLEMS = 20
_LONGEST = 1_000
_PARTS: dict[object, type[BaseModel]] = {
    "ladders": Ladder,
    "tunings": Tuning,
    "checkpoints": Checkpoint,
    "corpora": Corpus,
    "prefixes": Prefixes,
    "shannon_game": ShannonGame,
    "preferences": Preferences,
    "choices": Choices,
    "probes": Probes,
    "divergence": Divergence,
    "readaptation": Readaptation,
    "diversity_sweep": DiversitySweep,
    "scores": Scores,
    "thresholds": Thresholds,
    "drift": DriftRule,
    "watch": Watch,
    "server": ServerAccess,
}
_QUOTED = re.compile(r"'([^']*)'")
_MESSAGES = {
    "model_type": "here must be keys and values",
    "path_type": "a path goes here, in quotes",
    "string_unicode": "it holds half a surrogate pair, which is no text",
}
"""What is said instead of what pydantic would say, by the kind of what it found."""


def keys_of(model: type[BaseModel]) -> str:
    """The keys that a part of a study may have."""
    return ", ".join(model.model_fields)


def explain(place: str, error: ValidationError, whole: type[BaseModel]) -> str:
    """All that pydantic found wrong, a line each.

    Args:
        place: What is wrong, such as the study's file.
        error: What it found.
        whole: What it was read as.
    """
    problems = error.errors(include_url=False)
    around = {p["loc"][:depth] for p in problems for depth in range(len(p["loc"]))}
    # A list may be too short only because what stands in it is wrong.
    told = [p for p in problems if p["type"] != "too_short" or p["loc"] not in around]
    lines = [f"{place}: {_sentence(problem, whole)}" for problem in told[:_MOST_PROBLEMS]]
    if len(told) > _MOST_PROBLEMS:
        lines.append(f"{place}: {len(told) - _MOST_PROBLEMS:,} more like these")
    return "\n".join(lines)


def _may_hold_a_key(problem: Any) -> bool:
    """Whether what was found is not to be shown, as keys of servers are written in wrong places."""
    return "server" in problem["loc"] or str(problem["input"]).startswith("openai:")


def _sentence(problem: Any, whole: type[BaseModel]) -> str:
    """A problem, as a sentence that begins with its key."""
    where = ""
    for step in problem["loc"]:
        name = shown(str(step))
        where += f"[{step}]" if isinstance(step, int) else f".{name}" if where else name
    message = shown(problem["msg"].removeprefix("Value error, "), _LONGEST)
    message = message.replace("Tuple", "List").replace("tuple", "list")
    if problem["type"] == "string_type":
        message += "; put it in quotes"
    message = _MESSAGES.get(problem["type"], message)
    if problem["type"] == "literal_error":
        message += meant(str(problem["input"]), _QUOTED.findall(message))
    if problem["type"] == "missing":
        return f"{where}: is missing"
    if problem["type"] == "extra_forbidden":
        parts = [whole]
        parts += (_PARTS[step] for step in problem["loc"][:-1] if step in _PARTS)
        near = meant(str(problem["loc"][-1]), parts[-1].model_fields)
        return f"{where}: is no key{near}; allowed here: {keys_of(parts[-1])}"
    if not where or (
        isinstance(problem["input"], dict | list) and problem["type"] == "value_error"
    ):
        return f"{where}: {message}" if where else message
    if _may_hold_a_key(problem):
        return f"{where}: {message}"
    return f"{where}: found {shown(repr(problem['input']))}; {message[0].lower()}{message[1:]}"
