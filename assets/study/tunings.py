"""Tunings: how a study trains checkpoints of its own on a base, as a small controlled treatment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    StrictStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from assets.study.measured import Measured, parse_source
from assets.study.part import Part
from assets.study.parts import Name, Number
from models import Source
from models.names import local_path
from models.prompting import CHAT, PLAIN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_SCHEME = "tuned:"
_OWN = {"role", "base", "stage", "controlled", "adapter_on"}
"""What a checkpoint that is trained does not take over from its base."""


def _teacher(text: Any, info: ValidationInfo) -> Any:
    return parse_source(text, info) if isinstance(text, str) and ":" in text else text


TeacherField = Annotated[
    Source | StrictStr, BeforeValidator(_teacher), PlainSerializer(lambda teacher: str(teacher))
]


class Tuning(Part):
    """Low-rank adapters that are trained on a base, toward answers.

    Checkpoints whose source is `tuned:NAME@STEP` are what it comes to by a step.

    Attributes:
        name: What sources call it; also the series that steps count in.
        base: The checkpoint that is trained.
        teacher: Whose answers are learned: a checkpoint of the study, or a source.
        prompts: What the teacher answers, a file as the study's `prompts:`.
        answers: How often it answers each prompt.
        examples: Answers to learn instead of a teacher's: JSON Lines of prompt and answer.
        steps: Steps of training.
        answers_per_step: Answers that a step learns from.
        learning_rate: The highest learning rate.
        rank: Rank of the adapters.
    """

    name: Name
    base: StrictStr
    teacher: TeacherField | None = None
    prompts: Path | None = None
    answers: Number = 1
    examples: Path | None = None
    steps: Number
    answers_per_step: Number = 8
    learning_rate: float = Field(default=2e-4, gt=0, allow_inf_nan=False, strict=True)
    rank: Number = 16

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if "@" in name:
            raise ValueError("may hold no @, which stands before a step")
        return name

    @field_validator("prompts", "examples", mode="before")
    @classmethod
    def _from_the_study(cls, value: Any, info: ValidationInfo) -> Any:
        folder = (info.context or {}).get("folder", Path())
        return local_path(value, folder) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check_lessons(self) -> Self:
        taught = self.teacher is not None and self.prompts is not None
        shown = self.examples is not None
        if taught == shown or (self.teacher is None) != (self.prompts is None):
            raise ValueError(
                "needs either `teacher:` and `prompts:`, which it answers, or `examples:`, a file"
            )
        if isinstance(self.teacher, Source) and self.teacher.is_generations:
            raise ValueError("teacher: is asked here, and a file: is not; use `examples:`")
        return self


def run_as_bases_are(checkpoints: Any, tunings: Iterable[Tuning]) -> Any:
    """Gives checkpoints that are trained here their base, series and step, and how they are run.

    They are run as their base is, prompts and decodings included, so that only weights set the two
    apart, but for what they say themselves.

    Args:
        checkpoints: What a study file says of its checkpoints, whether valid or not.
        tunings: The study's tunings.
    """
    named = {tuning.name: tuning for tuning in tunings}
    if not isinstance(checkpoints, list) or not named:
        return checkpoints
    listed = {values.get("name"): values for values in checkpoints if isinstance(values, dict)}

    def completed(values: Any) -> Any:
        source = values.get("source") if isinstance(values, dict) else None
        if not isinstance(source, str) or not source.startswith(_SCHEME):
            return values
        name, step = tuning_and_step(source.removeprefix(_SCHEME))
        tuning = named.get(name)
        if tuning is None:
            return values
        of_base = _run_as(listed.get(tuning.base, {}))
        return {**of_base, "base": tuning.base, "series": name, "step": step, **values}

    return [completed(values) for values in checkpoints]


def _run_as(base: Mapping[str, Any]) -> dict[str, Any]:
    """How a base is run, as the study file says it or means it."""
    plain = PLAIN if base.get("role", "base") == "base" and not base.get("base") else CHAT
    keys = Measured.model_fields.keys() - _OWN
    return {"prompt_format": plain} | {key: base[key] for key in base.keys() & keys}


def tuning_and_step(location: str) -> tuple[str, int]:
    """The tuning's name and the step that a source `tuned:` names; 0 where that is no number."""
    name, _, step = location.partition("@")
    return name, int(step) if step.isdecimal() and len(step) < 10 else 0
