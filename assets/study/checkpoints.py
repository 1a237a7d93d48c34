"""The checkpoints of a study: those that it names, those taken in later, and where they appear."""

from __future__ import annotations

import os
import re
from dataclasses import asdict
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

from assets.study.errors import InputError
from assets.study.parts import JsonObject, Part, ServerAccess
from models import Decoding, Ending, ModelError, PromptFormat, Reasoning, Source
from models.engines import ABILITIES, Ability, EngineName
from models.files import read_once
from models.loading import DTYPES
from models.prompting import CHAT, PLACEHOLDER, PLAIN
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


def _source(text: Any, info: ValidationInfo, **options: Any) -> Source:
    if isinstance(text, Source):
        return text
    folder = (info.context or {}).get("folder", Path())
    allowed = {key: info.data.get(key, False) for key in ("allow_pickle", "allow_remote_code")}
    return Source.parse(str(text), folder, **allowed, **options)


_FILE = "file:"


def _reasoning(value: Any) -> Any:
    if isinstance(value, bool):
        return Reasoning() if value else None
    known = isinstance(value, dict) and value and set(value) <= {"start", "end"}
    if known and all(isinstance(text, str) and text for text in value.values()):
        return Reasoning(**value)
    if value is None or isinstance(value, Reasoning):
        return value
    raise ValueError("is `true`, for <think> and </think>, or {start: TEXT, end: TEXT}")


ReasoningField = Annotated[
    Reasoning, BeforeValidator(_reasoning), PlainSerializer(lambda tags: asdict(tags))
]


@read_once
def _read_format(path: Path) -> PromptFormat:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise InputError(f"prompt_format: {path} cannot be read: {reason}") from None
    if PLACEHOLDER not in text:
        raise InputError(f"prompt_format: {path} must hold {PLACEHOLDER}, where the prompt goes")
    return PromptFormat(text)


class Measured(Part):
    """How a checkpoint is run, and whom it is compared with.

    Attributes:
        role: `human` is for texts that people wrote.
        base: The checkpoint that it is compared with.
        decodings: How it is sampled; the first one is what comparisons are made at.
        engine: What samples from it; by default `openai` for a server, else `transformers`.
        dtype: Number format of the weights.
        device: Where it runs.
        batch_tokens: Tokens of one batch at most; by default as many as memory holds.
        tensor_parallel: GPUs that vLLM splits it over.
        prompt_format: As `PromptFormat.template`, or `file:PATH` of a text file with `{prompt}`.
        system: What the system says first in a chat.
        chat_template_kwargs: Arguments of the chat template, such as `enable_thinking`.
        stop: Texts that end an answer.
        reasoning: What its reasoning traces stand between; `true` for <think> and </think>.
        allow_pickle: Whether its weights may be a pickle.
        allow_remote_code: Whether code that comes with it may run.
        adapter_on: Where it is an adapter, what that is put on instead of what it names itself.
    """

    role: Literal["base", "aligned", "human"] = "base"
    base: StrictStr | None = None
    decodings: tuple[DecodingField, ...] = ()
    engine: EngineName | None = None
    dtype: Literal[DTYPES] = "auto"  # type: ignore[valid-type]
    device: StrictStr | None = None
    batch_tokens: StrictInt | None = Field(default=None, ge=1)
    tensor_parallel: StrictInt = Field(default=1, ge=1)
    prompt_format: StrictStr | None = None
    system: StrictStr | None = None
    chat_template_kwargs: JsonObject = Field(default_factory=dict)
    stop: tuple[Annotated[StrictStr, Field(min_length=1)], ...] = ()
    reasoning: ReasoningField | None = None
    allow_pickle: StrictBool = False
    allow_remote_code: StrictBool = False
    adapter_on: Source | None = None

    @field_validator("adapter_on", mode="before")
    @classmethod
    def _parse_base(cls, text: Any, info: ValidationInfo) -> Source | None:
        return None if text is None else _source(text, info)

    @field_serializer("adapter_on")
    def _name_base(self, source: Source | None) -> str | None:
        return None if source is None else str(source)

    @field_validator("device")
    @classmethod
    def _check_device(cls, value: str | None) -> str | None:
        if value is not None and not _DEVICE.fullmatch(value):
            raise ValueError("a device is cpu, mps, cuda or cuda:N")
        return value

    @field_validator("prompt_format")
    @classmethod
    def _check_prompt_format(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None or not value.startswith(_FILE):
            return None if value is None else PromptFormat(value).template
        folder = (info.context or {}).get("folder", Path())
        return f"{_FILE}{(folder / Path(value.removeprefix(_FILE)).expanduser()).absolute()}"

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

    @model_validator(mode="after")
    def _check_chat(self) -> Self:
        if self._template != CHAT and (self.system is not None or self.chat_template_kwargs):
            raise ValueError(
                "system: and chat_template_kwargs: are for chats, and its prompts are given as "
                "text; set `prompt_format: chat`, or leave them out"
            )
        return self

    @model_validator(mode="after")
    def _check_tensor_parallel(self) -> Self:
        if self.tensor_parallel > 1 and self.engine != "vllm":
            raise ValueError("tensor_parallel: is of vLLM alone; set `engine: vllm` too")
        return self

    @property
    def _template(self) -> str:
        """`prompt_format`, or the role's: an aligned model's chat template, a plain prompt else."""
        return self.prompt_format or (CHAT if self.role == "aligned" else PLAIN)

    @property
    def format_of_prompts(self) -> PromptFormat:
        """How it is given the study's prompts.

        Raises:
            InputError: The file that says so cannot be read, or does not say where the prompt goes.
        """
        template = self._template
        if template == CHAT:
            return PromptFormat.chat(system=self.system, switches=self.chat_template_kwargs)
        if not template.startswith(_FILE):
            return PromptFormat(template)
        return _read_format(Path(template.removeprefix(_FILE)))

    @property
    def ending(self) -> Ending:
        """Where its answers begin and end."""
        return Ending(self.stop, self.reasoning)


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
    tokenizer: Source | None = None
    server: ServerAccess | None = None

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        return check_name(name)

    @field_validator("source", mode="before")
    @classmethod
    def _parse_source(cls, text: Any, info: ValidationInfo) -> Source:
        return _source(text, info, adapter_on=info.data.get("adapter_on"))

    @field_validator("tokenizer", mode="before")
    @classmethod
    def _parse_tokenizer(cls, text: Any, info: ValidationInfo) -> Source | None:
        return None if text is None else _source(text, info)

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

    @model_validator(mode="after")
    def _check_weights(self) -> Self:
        if self.engine == "openai" or self.role == "human":
            raise ValueError("engine, role: weights are found here, no server and nobody's text")
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
