"""How a checkpoint is run, and whom it is compared with, as a study file says it."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
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
from assets.study.files import read_text
from assets.study.part import Part
from assets.study.parts import JsonObject, Name, Number
from models import Cautious, Decoding, Ending, PromptFormat, Reasoning, Rules, Source
from models.devices import DTYPES
from models.engines import EngineName
from models.files import read_once
from models.names import local_path
from models.prompting import CHAT, NOT_SWITCHES, PLACEHOLDER, PLAIN

_DEVICE = re.compile(r"cpu|mps|cuda(:\d{1,2})?", re.ASCII)
_DECODINGS = (
    "`greedy`, or `{top_p: P}` with P in (0, 1], and in its place or beside it `top_k: K` from 2, "
    "`min_p: M` in (0, 1], `temperature: T` over 0, and `cautious: true` or `rules: true`"
)
_KEYS = ("top_p", "temperature", "top_k", "min_p")
_SWITCHES = ("greedy", "cautious", "rules")
_TREATMENTS: dict[str, tuple[type[Cautious | Rules], tuple[str, ...]]] = {
    "cautious": (Cautious, ("trials", "low", "high")),
    "rules": (Rules, ("end", "repeat", "words")),
}
"""What a treatment is made of, and its keys."""


def _decoding(value: Any) -> Decoding:
    if isinstance(value, Decoding):
        return value
    values = _named(value) if isinstance(value, str) else value
    keys = {*_KEYS, *_SWITCHES}.union(*(keys for _, keys in _TREATMENTS.values()))
    if not isinstance(values, dict) or not values or not set(values) <= keys:
        raise ValueError(f"a decoding is {_DECODINGS}")
    switches = [name for name in _SWITCHES if name in values]
    given: dict[str, Any] = {key: values[key] for key in _KEYS if key in values}
    if any(values[name] is not True for name in switches) or 0 in given.values():
        raise ValueError(f"a decoding is {_DECODINGS}")
    _check_numbers(given)
    if "greedy" in switches:
        given["top_p"] = 0.0
    for name, (treatment, own_keys) in _TREATMENTS.items():
        own = {key: values[key] for key in own_keys if key in values}
        if name not in switches and own:
            raise ValueError(f"{', '.join(own)} belongs to `{name}: true`, which is not there")
        if name in switches:
            _check_numbers({key: own[key] for key in own if key != "words"})
            if "words" in own:
                own["words"] = _words(own["words"])
            given[name] = treatment(**own)
    return Decoding(**given)


def _named(name: str) -> dict[str, Any]:
    """What a decoding's name says, as the command line and the lake's own files give it."""
    values: dict[str, Any] = {}
    for part in name.split(","):
        key, equals, number = part.partition("=")
        if key == "words":
            raise ValueError("a decoding with words of its own is given by its keys, not its name")
        try:
            values[key] = (int(number) if number.isdecimal() else float(number)) if equals else True
        except ValueError:
            raise ValueError(f"a decoding is {_DECODINGS}") from None
    return values


def _check_numbers(values: dict[str, Any]) -> None:
    if any(type(number) not in (int, float) for number in values.values()):
        raise ValueError(f"a decoding is {_DECODINGS}")


def _words(words: Any) -> tuple[tuple[str, float], ...]:
    texts = isinstance(words, dict) and all(isinstance(text, str) and text for text in words)
    if not texts or any(type(shift) not in (int, float) for shift in words.values()):
        raise ValueError("words are texts of tokens, and by how much each is shifted: {TEXT: NATS}")
    return tuple(words.items())


def _written(decoding: Decoding) -> str | dict[str, Any]:
    """How a decoding is written in the lake's files: by its name, where that says it all."""
    if decoding.rules is None or not decoding.rules.has_own_words:
        return decoding.name
    parts = [part for part in decoding.name.split(",") if not part.startswith("words=")]
    return _named(",".join(parts)) | {"words": dict(decoding.rules.words)}


DecodingField = Annotated[Decoding, BeforeValidator(_decoding), PlainSerializer(_written)]


def parse_source(text: Any, info: ValidationInfo, **options: Any) -> Source:
    """A source of a study file; relative paths in it start at the folder of that."""
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
        text = read_text(path)
    except InputError as error:
        raise InputError(f"prompt_format: {error}") from None
    if PLACEHOLDER not in text:
        raise InputError(f"prompt_format: {path} must hold {PLACEHOLDER}, where the prompt goes")
    return PromptFormat(text)


class Measured(Part):
    """How a checkpoint is run, and whom it is compared with.

    Attributes:
        role: `human` is for texts that people wrote.
        base: The checkpoint that it is compared with.
        stage: What its stage of post-training is called in prose and on axes, such as `DPO`.
        controlled: Whether it is known to be made from its base, where nobody can tell that from
            the weights.
        decodings: How it is sampled; the first one is what comparisons are made at.
        engine: What samples from it; by default `openai` for a server, else `transformers`.
        dtype: Number format of the weights.
        device: Where it runs.
        batch_tokens: Tokens of one batch at most; by default as many as memory holds.
        shards: Processes of this machine that sample and score with it at once, each with its own
            copy; on GPUs, each with one of these in turn.
        tensor_parallel: GPUs that vLLM splits it over.
        prompt_format: How it is given a prompt: `chat`, `plain`, a text with `{prompt}` in it, or
            `file:PATH` of such a text; by default `chat` if it is aligned, else `plain`.
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
    stage: Name | None = None
    controlled: StrictBool = False
    decodings: tuple[DecodingField, ...] = Field(default=(), max_length=1_000)
    engine: EngineName | None = None
    dtype: Literal[DTYPES] = "auto"  # type: ignore[valid-type]
    device: StrictStr | None = None
    batch_tokens: Number | None = None
    shards: StrictInt = Field(default=1, ge=1, le=64)
    tensor_parallel: StrictInt = Field(default=1, ge=1, le=1024)
    prompt_format: StrictStr | None = None
    system: StrictStr | None = None
    chat_template_kwargs: JsonObject = Field(default_factory=dict)
    stop: tuple[Annotated[StrictStr, Field(min_length=1)], ...] = Field(default=(), max_length=100)
    reasoning: ReasoningField | None = None
    allow_pickle: StrictBool = False
    allow_remote_code: StrictBool = False
    adapter_on: Source | None = None

    @field_validator("adapter_on", mode="before")
    @classmethod
    def _parse_base(cls, text: Any, info: ValidationInfo) -> Source | None:
        return None if text is None else parse_source(text, info)

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
        return f"{_FILE}{local_path(value.removeprefix(_FILE), folder)}"

    @model_validator(mode="before")
    @classmethod
    def _aligned_where_it_has_a_base(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("base") and "role" not in values:
            return {**values, "role": "aligned"}
        return values

    @model_validator(mode="after")
    def _check_controlled(self) -> Self:
        if self.controlled and self.base is None:
            raise ValueError(
                "controlled: says that it was made from its base, and it has none; name that with "
                "`base:`, or put both on a ladder"
            )
        return self

    @model_validator(mode="after")
    def _check_decodings(self) -> Self:
        names = [decoding.name for decoding in self.decodings]
        if len(set(names)) < len(names):
            raise ValueError(f"decodings has a name twice: {', '.join(names)}")
        return self

    @field_validator("chat_template_kwargs")
    @classmethod
    def _check_switches(cls, switches: dict[str, Any]) -> dict[str, Any]:
        if taken := sorted(switches.keys() & NOT_SWITCHES):
            raise ValueError(f"may not hold {', '.join(taken)}, which follow from the study")
        return switches

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
