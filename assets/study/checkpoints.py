"""The checkpoints of a study: those that it names, and those that are taken in later."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import (
    Field,
    PrivateAttr,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_validator,
)

from assets.study.digests import digest
from assets.study.errors import InputError
from assets.study.files import unreadable_said
from assets.study.measured import Measured, parse_source
from assets.study.parts import Name, ServerAccess
from assets.study.tunings import Tuning, tuning_and_step
from models import ModelError, Source
from models.engines import ABILITIES, Ability, EngineName
from models.files import file_digest
from models.loading import resolve_device, resolve_dtype
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


class Tuned(Checkpoint):
    """A checkpoint that the study trains: an adapter on its base, in the lake.

    Its digest is one of all that its weights are made from, so that it is known before they are.
    """

    _tuning: Tuning = PrivateAttr()
    _on: Checkpoint = PrivateAttr()
    _teacher: Checkpoint | None = PrivateAttr()
    _learned: tuple[int, int] = PrivateAttr()
    _weights: Path | None = PrivateAttr(default=None)

    @classmethod
    def of(
        cls,
        checkpoint: Checkpoint,
        tuning: Tuning,
        base: Checkpoint,
        teacher: Checkpoint | None,
        learned: tuple[int, int],
    ) -> Tuned:
        """A checkpoint of a study with what it is trained by.

        Args:
            checkpoint: As the study's file has it.
            tuning: The tuning that its source names.
            base: What is trained.
            teacher: Whose answers are learned; None where examples are.
            learned: The study's seed, and the tokens of an answer at most.
        """
        tuned = cls.model_construct(**dict(checkpoint))
        tuned._tuning, tuned._on, tuned._teacher, tuned._learned = tuning, base, teacher, learned
        return tuned

    def in_folder(self, weights: Path) -> Tuned:
        """The same with a folder that its weights are kept in, among others."""
        placed = self.model_copy()
        placed._weights = weights
        return placed

    @property
    def tuning(self) -> Tuning:
        """What it is trained by."""
        return self._tuning

    @property
    def teacher(self) -> Checkpoint | None:
        """Whose answers it learns; None where it learns examples."""
        return self._teacher

    @property
    def trained_for(self) -> int:
        """After how many steps of its tuning it is taken."""
        return tuning_and_step(self.source.location)[1]

    @property
    def folder(self) -> Path:
        """Where its adapter is, once it is trained."""
        assert self._weights is not None, "a graph says in which lake"
        return self._weights / f"{self.name}+{self.digest()[:12]}"

    @property
    def loaded_from(self) -> Source:
        """Its adapter, on its base."""
        allowed = (self.allow_pickle, self.allow_remote_code)
        return Source("dir", str(self.folder), *allowed, adapter_on=self._on.source)

    def digest(self) -> str:
        """Tells what it is made from, and by which step, from anything else."""
        return digest([self.recipe(), self.trained_for])

    def recipe(self) -> str:
        """Tells what it is made from: the same of all steps of a tuning.

        Raises:
            InputError: Something of it is not there.
        """
        device = resolve_device(self.device)
        how = self._tuning.model_dump(
            include={"steps", "answers_per_step", "learning_rate", "rank"}
        )
        return digest(
            [
                how,
                self._on.digest(),
                [device.type, resolve_dtype(self.dtype, device)],
                self.format_of_prompts.parameters,
                self.lessons(),
            ]
        )

    def lessons(self) -> str:
        """Tells the answers that it learns from any others.

        Raises:
            InputError: The teacher, or the file of prompts or examples, is not there.
        """
        tuning, teacher = self._tuning, self._teacher
        file = tuning.examples or tuning.prompts
        assert file is not None
        try:
            with unreadable_said(file):
                read = file_digest(file)
        except InputError as error:
            raise InputError(f"tunings: {tuning.name}: {error}") from None
        seed, longest = self._learned
        if teacher is None:
            return digest([read, seed])
        asked = [tuning.answers, [d.name for d in teacher.decodings[:1]], longest, seed]
        way: list[object] = [teacher.format_of_prompts.parameters, teacher.engine_name]
        if teacher.source.has_weights:
            device = resolve_device(teacher.device)
            way += [device.type, resolve_dtype(teacher.dtype, device)]
        return digest([read, asked, teacher.digest(), way])
