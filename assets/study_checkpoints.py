"""The checkpoints of a study: those that it names, those taken in later, and where they appear."""

from __future__ import annotations

import os
import re
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_validator,
)

from assets.errors import InputError
from assets.study_parts import Part
from models import Decoding, ModelError, Source, check_prompt_format
from models.loading import DTYPES
from warehouse.lake import check_checkpoint_name

_DEVICE = re.compile(r"cpu|mps|cuda(:\d+)?")
_NAMED = ("series", "step", "name", "parent")
_DECODINGS = "`greedy`, or `{top_p: P}` with P in (0, 1] and, if wanted, `temperature: T` over 0"


def _decoding(value: Any) -> Decoding:
    if isinstance(value, Decoding):
        return value
    if value == "greedy":
        return Decoding.greedy()
    if isinstance(value, str):  # by its name, as the command line and the lake's own files give it
        pairs = dict(part.split("=", 1) for part in value.split(",") if "=" in part)
        try:
            value = {key: float(number) for key, number in pairs.items()}
        except ValueError:
            raise ValueError(f"a decoding is {_DECODINGS}") from None
    if not isinstance(value, dict) or not set(value) <= {"top_p", "temperature"} or not value:
        raise ValueError(f"a decoding is {_DECODINGS}")
    numbers = {key: number for key, number in value.items() if type(number) in (int, float)}
    if numbers != value or value.get("top_p", 1) == 0:
        raise ValueError(f"a decoding is {_DECODINGS}")
    return Decoding(**{key: float(number) for key, number in numbers.items()})


DecodingField = Annotated[
    Decoding, BeforeValidator(_decoding), PlainSerializer(lambda decoding: decoding.name)
]


class Measured(Part):
    """How a checkpoint is run, and whom it is compared with."""

    role: Literal["base", "aligned"] = "base"
    base: StrictStr | None = None
    decodings: tuple[DecodingField, ...] = ()
    engine: Literal["hf"] = "hf"
    dtype: Literal[DTYPES] = "auto"  # type: ignore[valid-type]
    device: StrictStr | None = None
    prompt_format: StrictStr | None = None
    allow_pickle: StrictBool = False
    allow_remote_code: StrictBool = False

    @field_validator("device")
    @classmethod
    def _check_device(cls, value: str | None) -> str | None:
        if value is not None and not _DEVICE.fullmatch(value):
            raise ValueError("a device is cpu, mps, cuda or cuda:N")
        return value

    @field_validator("prompt_format")
    @classmethod
    def _check_prompt_format(cls, value: str | None) -> str | None:
        return None if value is None else check_prompt_format(value)

    @model_validator(mode="before")
    @classmethod
    def _aligned_where_it_has_a_base(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("base") and "role" not in values:
            return {**values, "role": "aligned"}
        return values

    @model_validator(mode="after")
    def _check_decodings(self) -> Self:
        names = [decoding.name for decoding in self.decodings]
        if len(set(names)) < len(names):
            raise ValueError(f"decodings has a name twice: {', '.join(names)}")
        return self

    @property
    def format_of_prompts(self) -> str:
        """`prompt_format`, or the role's: an aligned model's chat template, a plain prompt else."""
        return self.prompt_format or ("chat" if self.role == "aligned" else "plain")


def check_name(name: str) -> str:
    """Returns a name if a checkpoint can have it.

    Raises:
        ValueError: It cannot be a partition key, or means something else in tables.
    """
    if name in ("gold", "own"):
        raise ValueError(f"{name!r} is what tables call human or a model's own text; rename it")
    return check_checkpoint_name(name)


class Checkpoint(Measured):
    """A checkpoint to measure; its name is its partition key."""

    name: StrictStr
    source: Source
    series: StrictStr | None = Field(default=None, min_length=1)
    step: StrictInt | None = Field(default=None, ge=0)

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        return check_name(name)

    @field_validator("source", mode="before")
    @classmethod
    def _parse_source(cls, text: Any, info: ValidationInfo) -> Source:
        if isinstance(text, Source):
            return text
        folder = (info.context or {}).get("folder", Path())
        allowed = {key: info.data.get(key, False) for key in ("allow_pickle", "allow_remote_code")}
        return Source.parse(str(text), folder, **allowed)

    @field_serializer("source")
    def _name_source(self, source: Source) -> str:
        return str(source)

    @model_validator(mode="after")
    def _check_step(self) -> Self:
        if self.step is not None and self.series is None:
            raise ValueError("step: counts in a training run; name the run with `series:`")
        return self

    @model_validator(mode="after")
    def _check_generations(self) -> Self:
        if self.source.is_generations and len(self.decodings) > 1:
            raise ValueError(
                "decodings: a file: checkpoint was generated with one, or leave it out"
            )
        return self

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


class Watch(Measured):
    """Where checkpoints appear, and how those are measured that do.

    Attributes:
        dir: A pattern of folders, absolute; `*` stands for any part of a name, `{step}` for the
            digits of the training step.
        hf: A repository of the hub, `org/name`.
        revisions: A pattern of its branches and tags.
        series: What the steps count in; may hold `{name}` and `{parent}`.
        name: What a checkpoint is called; may hold `{series}` and `{step}` too.
    """

    dir: StrictStr | None = None
    hf: StrictStr | None = None
    revisions: StrictStr | None = None
    series: StrictStr
    name: StrictStr = "{series}-{step}"

    @field_validator("dir", "revisions")
    @classmethod
    def _check_pattern(cls, pattern: str | None, info: ValidationInfo) -> str | None:
        if pattern is None:
            return None
        if set(pattern.replace("{step}", "", 1)) & set("{}[]?") or "**" in pattern:
            raise ValueError("a pattern may hold `*`, any part of a name, and one `{step}`")
        if info.field_name == "revisions":
            return pattern
        folder = (info.context or {}).get("folder", Path())
        return str(os.path.normpath((folder / Path(pattern).expanduser()).absolute()))

    @field_validator("series", "name")
    @classmethod
    def _check_template(cls, template: str, info: ValidationInfo) -> str:
        known = ("name", "parent") if info.field_name == "series" else _NAMED
        try:
            used = [field for _, field, _, _ in Formatter().parse(template) if field is not None]
        except ValueError as error:
            raise ValueError(f"{error}; a name goes between {{ and }}") from None
        for field in used:
            if field not in known:
                raise ValueError(
                    f"{{{field}}} means nothing here; what does is "
                    + ", ".join(f"{{{name}}}" for name in known)
                )
        try:
            template.format(name="a", parent="b", series="c", step=1)
        except (ValueError, LookupError, AttributeError) as error:
            raise ValueError(f"cannot be filled in: {error}") from None
        return template

    @model_validator(mode="after")
    def _check_place(self) -> Self:
        if (self.dir is None) == (self.hf is None):
            raise ValueError("needs either `dir:`, a pattern of folders, or `hf:`, a repository")
        if (self.hf is None) != (self.revisions is None):
            raise ValueError("`hf:` and `revisions:`, a pattern of branches and tags, go together")
        if "{" not in self.name.replace("{series}", self.series):
            raise ValueError("name: needs {step}, {name} or {parent}, which tell one from another")
        return self

    @property
    def place(self) -> str:
        """What is watched: `dir:PATTERN` or `hf:org/name@PATTERN`."""
        return f"dir:{self.dir}" if self.dir else f"hf:{self.hf}@{self.revisions}"

    def settings(self, origin: str) -> dict[str, Any]:
        """What a study file would say of a checkpoint found here, name, source and step aside."""
        return self.model_dump(include=set(Measured.model_fields)) | {
            "series": self.series.format(**words(origin))
        }


def words(origin: str) -> dict[str, str]:
    """`name`, of a checkpoint's folder or revision, and `parent`, of what that is in."""
    scheme, _, location = origin.partition(":")
    above, _, name = location.rpartition("/" if scheme == "dir" else "@")
    return {"name": name, "parent": above.rpartition("/")[2]}
