"""The checkpoints of a study: those that it names, and those that are taken in later."""

from __future__ import annotations

from typing import Any, Self

from pydantic import (
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_validator,
)

from assets.study.errors import InputError
from assets.study.measured import Measured, parse_source
from assets.study.parts import Name, ServerAccess
from models import ModelError, Source
from models.engines import ABILITIES, Ability, EngineName
from warehouse.lake import check_checkpoint_name


def check_name(name: str) -> str:
    """Returns a name if a checkpoint can have it.

    Raises:
        ValueError: It cannot be a partition key, or means something else in tables.
    """
    if name in ("gold", "own"):
        raise ValueError(f"{name!r} is what tables call human or a model's own text; rename it")
    return check_checkpoint_name(name)


class Checkpoint(Measured):
    """A checkpoint to measure; its name is its partition key.

    Attributes:
        name: Its name in tables and figures; letters, digits, `.`, `_` and `-`.
        source: Where its weights, or its generations, come from.
        series: The training run that its step counts in.
        step: Its step there.
        tokenizer: Where the tokenizer of a model behind a server, or of a file, is.
        server: How its server is asked.
    """

    name: StrictStr
    source: Source
    series: Name | None = None
    step: StrictInt | None = Field(default=None, ge=0, lt=1 << 63)
    tokenizer: Source | None = None
    server: ServerAccess | None = None

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        return check_name(name)

    @field_validator("source", mode="before")
    @classmethod
    def _parse_source(cls, text: Any, info: ValidationInfo) -> Source:
        return parse_source(text, info, adapter_on=info.data.get("adapter_on"))

    @field_validator("tokenizer", mode="before")
    @classmethod
    def _parse_tokenizer(cls, text: Any, info: ValidationInfo) -> Source | None:
        return None if text is None else parse_source(text, info)

    @field_serializer("source", "tokenizer")
    def _name_source(self, source: Source | None) -> str | None:
        return None if source is None else str(source)

    @model_validator(mode="after")
    def _check_step(self) -> Self:
        if self.step is not None and self.series is None:
            raise ValueError("step: counts in a training run; name the run with `series:`")
        return self

    @model_validator(mode="after")
    def _check_engine(self) -> Self:
        source = self.source
        if source.is_generations and self.engine is not None:
            raise ValueError("engine: a file: checkpoint was generated already; leave it out")
        if source.is_server != (self.engine_name == "openai") and not source.is_generations:
            raise ValueError(
                f"engine: openai goes with a source openai:URL#MODEL, and found {self.engine_name} "
                f"with {source.scheme}:"
            )
        if self.shards > 1 and not source.has_weights:
            raise ValueError(
                f"shards: are processes that have the model, which {source.scheme}: does not give; "
                "leave it out"
            )
        if self.server is not None and not source.is_server:
            raise ValueError("server: says how a source openai:URL#MODEL is asked; leave it out")
        if self.tokenizer is not None and (source.has_weights or not self.tokenizer.has_weights):
            raise ValueError(
                "tokenizer: goes with a source openai: or file:, and is where a model's tokenizer "
                "is, such as hf:org/name"
            )
        if self.role == "human" and not source.is_generations:
            raise ValueError("role: human texts come from a file:, and no model writes them")
        return self

    @model_validator(mode="after")
    def _check_generations(self) -> Self:
        if self.source.is_generations and len(self.decodings) > 1:
            raise ValueError(
                "decodings: a file: checkpoint was generated with one, or leave it out"
            )
        return self

    @property
    def engine_name(self) -> EngineName | None:
        """What samples from it; None where its generations were made elsewhere."""
        if self.source.is_generations:
            return None
        return self.engine or ("openai" if self.source.is_server else "transformers")

    @property
    def abilities(self) -> frozenset[Ability]:
        """What can be had of it."""
        return ABILITIES[self.engine_name] if self.engine_name else frozenset()

    @property
    def access(self) -> ServerAccess:
        """How its server is asked."""
        return self.server or ServerAccess()

    @property
    def continues_text(self) -> bool:
        """Whether it goes on with text that no chat template is put around."""
        if self.source.is_server:
            return self.access.completions
        return "sample" in self.abilities

    @property
    def loaded_from(self) -> Source:
        """Where its weights are loaded from."""
        return self.source

    def digest(self) -> str:
        """Tells its weights, or the generations of a `file:` checkpoint, from any others.

        Raises:
            InputError: They are not there.
        """
        try:
            return self.source.digest()
        except ModelError as error:
            raise InputError(f"checkpoint {self.name}: {error}") from error

    @property
    def is_gone(self) -> bool:
        """Whether what was measured of it stays, though it cannot be run again."""
        return False


class Registered(Checkpoint):
    """A checkpoint that was taken in after the study was written; kept in a file of the lake.

    Of checkpoints that a trainer has deleted, what was measured stays.

    Attributes:
        study: The study's name.
        entry: Tells this taking in from any other; a checkpoint that is written over is taken in
            anew.
        weights: The digest of its weights when it was taken in.
        seen: What tells whether its files have changed since.
        origin: Where it comes from, its revision's name on the hub instead of the commit.
        found_by: What the study watches and it was found in; empty where a person named it.
        superseded: Whether a later step stands in its place.
    """

    study: StrictStr
    entry: StrictStr
    weights: StrictStr
    origin: StrictStr
    seen: StrictStr = ""
    found_by: StrictStr = ""
    superseded: StrictBool = False

    def digest(self) -> str:
        """That of its weights as they are, or as they were where they are gone."""
        try:
            return self.weights if self.superseded else self.source.digest()
        except ModelError:
            return self.weights

    @property
    def is_gone(self) -> bool:
        """Whether its weights are not there any more, or not wholly."""
        if self.superseded:
            return True
        try:
            self.source.check()
        except ModelError:
            return True
        return False
