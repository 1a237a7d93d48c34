"""How a study asks questions with options."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    StrictInt,
    StrictStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from assets.study.datasets import DatasetSource
from assets.study.digests import digest
from assets.study.part import Part
from assets.study.parts import Name, Number, lines_source


def _questions_source(text: Any, info: ValidationInfo) -> DatasetSource:
    return lines_source(text, info, "questions with options", "a question")


QuestionsSource = Annotated[DatasetSource, BeforeValidator(_questions_source)]


class Choices(Part):
    """Questions with options, of which checkpoints choose one.

    Attributes:
        name: What tables call the set.
        source: Where its questions are, in the forms that `assets.sources.questions` reads.
        config: A dataset's configuration on the hub.
        split: Its split there.
        questions: How many are read.
        orders: In how many orders the options of each question are listed; all where there are
            not so many.
        conditions: Whether a checkpoint chooses at once, `direct`, or after its own reasoning,
            `reasoned`.
        scored: What of an option is scored after the question: its letter, or its whole text.
        cue: What stands between the question, or the reasoning, and the option.
        reasoning_prompt: What asks for the reasoning, below the question and its options.
        reasoning_tokens: Tokens of the reasoning at most.
    """

    name: Name
    source: QuestionsSource
    config: StrictStr | None = None
    split: StrictStr | None = None
    questions: Number | None = None
    orders: StrictInt = Field(default=3, ge=1, le=1_000)
    conditions: tuple[Literal["direct", "reasoned"], ...] = Field(
        default=("direct",), min_length=1, max_length=2
    )
    scored: Literal["letters", "texts"] = "letters"
    cue: StrictStr = "Answer:"
    reasoning_prompt: StrictStr = "Let's think step by step."
    reasoning_tokens: Number = 256

    @field_validator("conditions")
    @classmethod
    def _check_conditions(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(values)) < len(values):
            raise ValueError("has a condition twice")
        return values

    @field_validator("cue", "reasoning_prompt")
    @classmethod
    def _check_text(cls, value: str) -> str:
        if not value or value != value.strip():
            raise ValueError("must be a text without white space at its ends")
        return value

    @model_validator(mode="after")
    def _check_size(self) -> Choices:
        if self.source.scheme == "hf" and self.questions is None:
            raise ValueError("choices from the hub need `questions: N`, how many are read")
        return self

    def digest(self) -> str:
        """Tells its questions from any others.

        Raises:
            InputError: Its source is not there.
        """
        described = self.model_dump(
            mode="json", include={"name", "config", "split", "questions", "scored"}
        )
        return digest([described, self.source.digest()])

    @property
    def asked(self) -> dict[str, object]:
        """How its questions are asked, as JSON values."""
        return self.model_dump(mode="json", include={"scored", "cue", "reasoning_prompt"})
