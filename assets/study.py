"""The study file: what is measured, of which checkpoints, and how."""

from __future__ import annotations

import os
import re
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_validator,
)

from assets.digests import digest
from assets.errors import InputError
from assets.sources.datasets import DatasetSource
from models import Decoding, ModelError, Source, check_prompt_format
from models.loading import DTYPES
from warehouse.lake import check_checkpoint_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

DEFAULT_PROMPTS = Path(__file__).parent.parent / "studies" / "prompts" / "demo.jsonl"
_DEVICE = re.compile(r"cpu|mps|cuda(:\d+)?")
_NAMED = ("series", "step", "name", "parent")
_DECODINGS = "`greedy`, or `{top_p: P}` with P in (0, 1] and, if wanted, `temperature: T` over 0"


def _decoding(value: Any) -> Decoding:
    if isinstance(value, Decoding):
        return value
    if value == "greedy":
        return Decoding.greedy()
    if isinstance(value, str):  # by its name, as the command line and the lake's own files give it
        value = yaml.safe_load("{" + value.replace("=", ": ") + "}") if "=" in value else value
    if not isinstance(value, dict) or not set(value) <= {"top_p", "temperature"} or not value:
        raise ValueError(f"a decoding is {_DECODINGS}")
    numbers = {key: number for key, number in value.items() if type(number) in (int, float)}
    if numbers != value or value.get("top_p", 1) == 0:
        raise ValueError(f"a decoding is {_DECODINGS}")
    return Decoding(**{key: float(number) for key, number in numbers.items()})


DecodingField = Annotated[
    Decoding, BeforeValidator(_decoding), PlainSerializer(lambda decoding: decoding.name)
]
TextFields = Annotated[
    tuple[StrictStr, ...],
    Field(min_length=1),
    BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
]


def _text_source(text: Any, info: ValidationInfo) -> DatasetSource:
    folder = (info.context or {}).get("folder", Path())
    return text if isinstance(text, DatasetSource) else DatasetSource.parse(str(text), folder)


def _passages_source(text: Any, info: ValidationInfo) -> DatasetSource | str:
    try:
        return text if text == "corpora" else _text_source(text, info)
    except ValueError as error:
        raise ValueError(f"{error}; or corpora, passages cut from the study's") from None


TextSource = Annotated[DatasetSource, BeforeValidator(_text_source)]
PassagesSource = Annotated[DatasetSource | Literal["corpora"], BeforeValidator(_passages_source)]
NucleusMass = Annotated[float, Field(gt=0, le=1)]
Horizon = Annotated[StrictInt, Field(ge=0, le=1000)]
Limit = Annotated[float, Field(allow_inf_nan=False, strict=True)]
Times = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]
MeasureName = Literal[
    "perplexity",
    "bits_per_byte",
    "top_1_mass",
    "support",
    "ngram_sharing",
    "overlap",
    "anchor_coverage",
]
LEAST_DOCUMENTS = 10
"""Documents that fine-tuning needs beside those that are scored."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Measured(_Part):
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


class Checkpoint(Measured):
    """A checkpoint to measure; its name is its partition key."""

    name: StrictStr
    source: Source
    series: StrictStr | None = Field(default=None, min_length=1)
    step: StrictInt | None = Field(default=None, ge=0)

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if name in ("gold", "own"):
            raise ValueError(f"{name!r} is what tables call human or a model's own text; rename it")
        return check_checkpoint_name(name)

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
            ModelError: They are not there.
        """
        return self.source.digest()

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
    """

    study: StrictStr
    entry: StrictStr
    weights: StrictStr
    origin: StrictStr
    seen: StrictStr = ""
    found_by: StrictStr = ""

    def digest(self) -> str:
        """That of its weights as they are, or as they were where they are gone."""
        try:
            return self.source.digest()
        except ModelError:
            return self.weights

    @property
    def is_gone(self) -> bool:
        """Whether its weights are not there any more, or not wholly."""
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

    def source(self, scheme: str, location: str) -> Source:
        """A checkpoint's source, read as the study allows."""
        allowed = {"allow_pickle": self.allow_pickle, "allow_remote_code": self.allow_remote_code}
        return Source(scheme, location, **allowed)

    def settings(self) -> dict[str, Any]:
        """What its checkpoints have in common, as a study file would say it of each."""
        return self.model_dump(include=set(Measured.model_fields))


class Dataset(_Part):
    """Rows of text from outside."""

    config: StrictStr | None = None
    split: StrictStr | None = None
    text_field: TextFields = ("text",)


class Corpus(Dataset):
    """A collection of documents."""

    name: StrictStr = Field(min_length=1)
    source: TextSource
    category: StrictStr = "pretraining"
    separator: StrictStr = "\n\n"
    documents: StrictInt | None = Field(default=None, ge=1)
    max_words: StrictInt | None = Field(default=None, ge=1)
    train_split: StrictStr | None = None

    @model_validator(mode="after")
    def _check_size(self) -> Corpus:
        if self.source.scheme == "hf" and self.documents is None:
            raise ValueError("a corpus from the hub needs `documents: N`, how many are read")
        if self.source.scheme != "hf" and self.train_split is not None:
            raise ValueError(
                "train_split: only datasets of the hub have splits; elsewhere what is read beyond "
                "`documents:` is learned from"
            )
        return self

    def digest(self) -> str:
        """Tells its documents from any others.

        Raises:
            InputError: Its source is not there.
        """
        described = self.model_dump(mode="json", exclude={"source", "train_split"})
        return digest([described, self.source.digest()])


class Prefixes(_Part):
    """Beginnings of documents that every checkpoint continues (figure 5)."""

    documents: StrictInt = Field(ge=1)
    words: StrictInt = Field(default=32, ge=1)
    samples: StrictInt = Field(default=1, ge=1, le=1_000_000)


class ShannonGame(Dataset):
    """Passages whose last word is to be guessed (table 1): a dataset, or cut from the corpora."""

    source: PassagesSource
    passages: StrictInt | None = Field(default=None, ge=1)
    words: StrictInt = Field(default=64, ge=2)

    @model_validator(mode="after")
    def _check_size(self) -> ShannonGame:
        if self.passages is None and (self.source == "corpora" or self.source.scheme == "hf"):
            raise ValueError("needs `passages: N`, how many are read")
        return self

    def digest(self) -> str:
        """Tells its passages from any others, those cut from corpora aside.

        Raises:
            InputError: Its source is not there.
        """
        source = "" if self.source == "corpora" else self.source.digest()
        return digest([self.model_dump(mode="json", exclude={"source"}), source])


class Probes(_Part):
    """How far ahead hidden states are asked for the tokens to come (figure 6)."""

    prompt_sets: tuple[StrictStr, ...] = ()
    depth: float = Field(default=0.875, gt=0, le=1, strict=True)
    horizons: tuple[Horizon, ...] = Field(default=(1, 2, 3), min_length=1)
    tokens: StrictInt = Field(default=100_000, ge=1)
    probe: Literal["auto", "vocabulary", "output_layer"] = "auto"

    @field_validator("horizons")
    @classmethod
    def _check_horizons(cls, values: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(values)) < len(values):
            raise ValueError("has a horizon twice")
        return values

    def includes(self, prompt_set: str) -> bool:
        """Whether the continuations of a set of prompts are probed."""
        return not self.prompt_sets or prompt_set in self.prompt_sets


class Readaptation(_Part):
    """How checkpoints are fine-tuned on corpora before they are scored again (figure 2B)."""

    corpora: tuple[StrictStr, ...] = ()
    method: Literal["full", "lora"] = "full"
    documents: StrictInt = Field(default=1000, ge=LEAST_DOCUMENTS)
    steps: StrictInt = Field(default=200, ge=1)
    documents_per_step: StrictInt = Field(default=8, ge=1)
    learning_rate: float | None = Field(default=None, gt=0, allow_inf_nan=False, strict=True)
    rank: StrictInt | None = Field(default=None, ge=1)
    evaluate_every: StrictInt = Field(default=20, ge=1)
    keep_weights: StrictBool = False

    @model_validator(mode="after")
    def _check_rank(self) -> Readaptation:
        if self.rank is not None and self.method != "lora":
            raise ValueError("rank: is of adapters; set `method: lora` or leave it out")
        return self

    def includes(self, corpus: str) -> bool:
        """Whether checkpoints are fine-tuned on a corpus."""
        return not self.corpora or corpus in self.corpora


class DiversitySweep(_Part):
    """Further values of top_p at which the diversity of some prompts is measured (table 4)."""

    top_p: tuple[NucleusMass, ...] = Field(min_length=1)
    prompts: StrictInt | None = Field(default=None, ge=1)


class DriftRule(_Part):
    """A measure of checkpoints in training, and where it is to warn."""

    measure: MeasureName
    over: Limit | None = None
    under: Limit | None = None
    over_base: Times | None = None
    under_base: Times | None = None

    @model_validator(mode="after")
    def _check_limits(self) -> DriftRule:
        if {self.over, self.under, self.over_base, self.under_base} == {None}:
            raise ValueError("needs `over`, `under`, `over_base` or `under_base`")
        return self


class Study(_Part):
    """A study file."""

    name: StrictStr = Field(min_length=1)
    checkpoints: tuple[Checkpoint, ...] = Field(min_length=1)
    samples_per_prompt: StrictInt = Field(default=100, ge=1, le=1_000_000)
    max_new_tokens: StrictInt = Field(default=512, ge=1, le=1_000_000)
    seed: StrictInt = Field(default=0, ge=0, lt=1 << 63)
    prompts: Path = DEFAULT_PROMPTS
    corpora: tuple[Corpus, ...] = ()
    prefixes: Prefixes | None = None
    shannon_game: ShannonGame | None = None
    probes: Probes | None = None
    readaptation: Readaptation | None = None
    diversity_sweep: DiversitySweep | None = None
    aligner: Literal["anchorlake", "mafft"] = "anchorlake"
    drift: tuple[DriftRule, ...] = ()
    watch: tuple[Watch, ...] = ()
    watch_every: StrictInt = Field(default=30, ge=1)
    schedule: StrictStr | None = None
    retries: StrictInt = Field(default=2, ge=0, le=100)

    @field_validator("prompts", mode="before")
    @classmethod
    def _from_the_file(cls, value: Any, info: ValidationInfo) -> Any:
        folder = (info.context or {}).get("folder", Path())
        return (folder / Path(value).expanduser()).absolute() if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check_names(self) -> Study:
        names = [checkpoint.name for checkpoint in self.checkpoints]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"checkpoints has two of the name {name!r}; rename one")
        for checkpoint in self.checkpoints:
            if checkpoint.base is not None and checkpoint.base not in names:
                raise ValueError(
                    f"checkpoints: the base of {checkpoint.name!r} is {checkpoint.base!r}, which "
                    f"is none of the study's checkpoints ({', '.join(names)})"
                )
            if checkpoint.base == checkpoint.name:
                raise ValueError(f"checkpoints: {checkpoint.name!r} is its own base")
        steps: dict[tuple[str | None, int], str] = {}
        for checkpoint in self.checkpoints:
            if checkpoint.step is not None:
                at = checkpoint.series, checkpoint.step
                if steps.setdefault(at, checkpoint.name) != checkpoint.name:
                    raise ValueError(
                        f"checkpoints: {steps[at]!r} and {checkpoint.name!r} are both step "
                        f"{checkpoint.step} of the series {checkpoint.series!r}"
                    )
        for watch in self.watch:
            if watch.base is not None and watch.base not in names:
                raise ValueError(
                    f"watch: the base of {watch.place} is {watch.base!r}, which is none of the "
                    f"study's checkpoints ({', '.join(names)})"
                )
        # What continues a corpus's documents is a prompt set of the corpus's name.
        sets = [self.prompts.stem, *names]
        for corpus in self.corpora:
            if sets.count(corpus.name):
                raise ValueError(
                    f"corpora: {corpus.name!r} names a corpus, and also a checkpoint, another "
                    "corpus or the file of prompts; rename it"
                )
            sets.append(corpus.name)
        if self.prefixes and not self.corpora:
            raise ValueError("prefixes: are cut from corpora, and the study has none")
        if self.shannon_game and self.shannon_game.source == "corpora" and not self.corpora:
            raise ValueError("shannon_game: its passages are cut from corpora, and there are none")
        corpora = [corpus.name for corpus in self.corpora]
        if self.readaptation:
            if not corpora:
                raise ValueError("readaptation: is fine-tuning on corpora, and the study has none")
            _check_named("readaptation.corpora", self.readaptation.corpora, corpora)
        if self.probes:
            if max(self.probes.horizons) >= self.max_new_tokens:
                raise ValueError(
                    f"probes.horizons: {max(self.probes.horizons)} tokens ahead is beyond every "
                    f"generation of max_new_tokens: {self.max_new_tokens}"
                )
            imported = [c.name for c in self.checkpoints if c.source.is_generations]
            continued = corpora if self.prefixes else []
            sets = [self.prompts.stem, *continued, *imported]
            _check_named("probes.prompt_sets", self.probes.prompt_sets, sets)
        return self

    def with_registered(self, registered: Iterable[Registered]) -> Study:
        """The study with checkpoints that came later; of the same name that of the file stands."""
        names = {checkpoint.name for checkpoint in self.checkpoints}
        added = [checkpoint for checkpoint in registered if checkpoint.name not in names]
        return self.model_copy(update={"checkpoints": (*self.checkpoints, *added)})

    def expecting(self) -> Study:
        """The study with a checkpoint such as each `watch:` may bring, of which nothing is there.

        It tells which tables and figures there are going to be.
        """
        stand_ins = [
            Checkpoint(
                name=f"watched-{number}",
                source=Source("dir", watch.place),
                series=f"{number} {watch.series}",
                step=0,
                **watch.settings(),
            )
            for number, watch in enumerate(self.watch)
        ]
        return self.model_copy(update={"checkpoints": (*self.checkpoints, *stand_ins)})

    def limited_to(self, names: Collection[str]) -> Study:
        """The study with some of its checkpoints only."""
        some = tuple(checkpoint for checkpoint in self.checkpoints if checkpoint.name in names)
        return self.model_copy(update={"checkpoints": some})

    def partners(self, checkpoint: Checkpoint) -> tuple[Checkpoint, ...]:
        """Whose text it predicts beside its own: its base's, or else those that it is the base of.

        A base does not predict what is registered later: its tables would be made anew with each.
        """
        if checkpoint.base is not None:
            return (self.checkpoint(checkpoint.base),)
        return tuple(
            other
            for other in self.checkpoints
            if other.base == checkpoint.name and not isinstance(other, Registered)
        )

    def compared(self) -> tuple[str, ...]:
        """Names of the checkpoints that figures compare: of each series the last step, and bases.

        Those of no series are all compared.
        """
        last: dict[str, Checkpoint] = {}
        for checkpoint in self.checkpoints:
            if checkpoint.series is not None and checkpoint.step is not None:
                known = last.setdefault(checkpoint.series, checkpoint)
                if checkpoint.step > (known.step or 0):
                    last[checkpoint.series] = checkpoint
        bases = {checkpoint.base for checkpoint in self.checkpoints}
        return tuple(
            checkpoint.name
            for checkpoint in self.checkpoints
            if checkpoint.series is None
            or checkpoint.step is None
            or last[checkpoint.series] is checkpoint
            or checkpoint.name in bases
        )

    def checkpoint(self, name: str) -> Checkpoint:
        """The checkpoint of this name.

        Raises:
            InputError: There is none.
        """
        for checkpoint in self.checkpoints:
            if checkpoint.name == name:
                return checkpoint
        names = ", ".join(checkpoint.name for checkpoint in self.checkpoints)
        raise InputError(f"the study has no checkpoint {name!r}; it has {names}")

    def decodings(self, checkpoint: Checkpoint) -> tuple[Decoding, ...]:
        """What a checkpoint is sampled with: its own, or the paper's 0.7 (base) or 0.9."""
        default = Decoding(top_p=0.9 if checkpoint.role == "aligned" else 0.7)
        return checkpoint.decodings or (default,)

    def compared_decodings(self, checkpoint: Checkpoint) -> tuple[str, ...]:
        """Names of the decodings whose generations are scored: the first, and greedy if listed."""
        first = self.first_decoding(checkpoint)
        greedy = Decoding.greedy().name
        listed = [decoding.name for decoding in checkpoint.decodings]
        return (first, greedy) if greedy in listed and greedy != first else (first,)

    def first_decoding(self, checkpoint: Checkpoint) -> str:
        """The name of the decoding that comparisons are made at; - where it is not known."""
        if checkpoint.source.is_generations and not checkpoint.decodings:
            return "-"
        return self.decodings(checkpoint)[0].name


def _check_named(key: str, names: tuple[str, ...], allowed: list[str]) -> None:
    for name in names:
        if name not in allowed:
            raise ValueError(
                f"{key}: there is no {name!r}; what there is to choose from: {', '.join(allowed)}"
            )


_MERGE = "tag:yaml.org,2002:merge"


class _StudyLoader(yaml.SafeLoader):
    """YAML that refuses a key given twice, where plain YAML keeps the last in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value if key.tag != _MERGE]
        for key in keys:
            if keys.count(key) > 1:
                raise InputError(f"line {node.start_mark.line + 1}: the key {key!r} stands twice")
        return super().construct_mapping(node, deep)


def load_study(path: Path) -> Study:
    """Reads and validates a study file; looks at nothing else on the disk.

    Raises:
        InputError: It is not there or not valid; the message names each key, what was found there
            and what is allowed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise InputError(f"the study {path} cannot be read: {reason}") from None
    try:
        values = yaml.load(text, _StudyLoader)  # a safe loader
    except InputError as error:
        raise InputError(f"{path}, {error}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is not valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise InputError(f"{path} must hold keys and values; allowed keys: {_keys(Study)}")
    try:
        return Study.model_validate(values, context={"folder": path.absolute().parent})
    except ValidationError as error:
        found = [problem for problem in error.errors() if not _follows(problem, error.errors())]
        raise InputError("\n".join(f"{path}: {explain(problem)}" for problem in found)) from None
    except (RuntimeError, OverflowError) as error:  # such as a home folder of nobody
        raise InputError(f"{path}: {error}") from None


def _keys(model: type[BaseModel]) -> str:
    return ", ".join(model.model_fields)


_PARTS: dict[str, type[BaseModel]] = {
    "checkpoints": Checkpoint,
    "corpora": Corpus,
    "prefixes": Prefixes,
    "shannon_game": ShannonGame,
    "probes": Probes,
    "readaptation": Readaptation,
    "diversity_sweep": DiversitySweep,
    "drift": DriftRule,
    "watch": Watch,
}


def _follows(problem: Any, problems: Any) -> bool:
    """Whether a list is only too short because what stands in it is wrong."""
    where = problem["loc"]
    return problem["type"] == "too_short" and any(
        len(other["loc"]) > len(where) and other["loc"][: len(where)] == where for other in problems
    )


def explain(problem: Any) -> str:
    """A problem that pydantic found, as a sentence that begins with its key."""
    where = ""
    for step in problem["loc"]:
        where += f"[{step}]" if isinstance(step, int) else f".{step}" if where else str(step)
    message = problem["msg"].removeprefix("Value error, ").replace("tuple", "list")
    if problem["type"] == "string_type":
        message += "; put it in quotes"
    if problem["type"] == "model_type":
        message = "here must be keys and values"
    if problem["type"] == "missing":
        return f"{where}: is missing"
    if problem["type"] == "extra_forbidden":
        part = _PARTS.get(str(problem["loc"][0]), Study) if len(problem["loc"]) > 1 else Study
        return f"{where}: is no key; allowed here: {_keys(part)}"
    if not where or (
        isinstance(problem["input"], dict | list) and problem["type"] == "value_error"
    ):
        return f"{where}: {message}" if where else message
    return f"{where}: found {problem['input']!r}; {message[0].lower()}{message[1:]}"
