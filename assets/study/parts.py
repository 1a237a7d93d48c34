"""What a study file is made of, its checkpoints aside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from assets.study.datasets import DatasetSource
from assets.study.digests import digest
from assets.study.part import Part
from models.names import local_path
from models.servers.server import KEY_VARIABLE

TextFields = Annotated[
    tuple[StrictStr, ...],
    Field(min_length=1),
    BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
            ]
        }
    ),
]


def _text_source(text: Any, info: ValidationInfo) -> DatasetSource:
    folder = (info.context or {}).get("folder", Path())
    return text if isinstance(text, DatasetSource) else DatasetSource.parse(str(text), folder)


def _passages_source(text: Any, info: ValidationInfo) -> DatasetSource | str:
    try:
        return text if text == "corpora" else _text_source(text, info)
    except ValueError as error:
        raise ValueError(f"{error}; or corpora, passages cut from the study's") from None


def _pairs_source(text: Any, info: ValidationInfo) -> DatasetSource:
    return lines_source(text, info, "pairs of answers", "a pair")


def lines_source(text: Any, info: ValidationInfo, what: str, each: str) -> DatasetSource:
    """A file of JSON Lines, or a dataset on the hub.

    Raises:
        ValueError: It is neither, and holds nothing of what it is to hold.
    """
    source = _text_source(text, info)
    if source.scheme != "hf" and not (source.scheme == "file" and source.is_objects):
        raise ValueError(
            f"{str(text)!r} holds no {what}; use file:PATH.jsonl, {each} a line, or "
            "hf:org/name, a dataset on the hub"
        )
    return source


TextSource = Annotated[DatasetSource, BeforeValidator(_text_source)]
PairsSource = Annotated[DatasetSource, BeforeValidator(_pairs_source)]
PassagesSource = Annotated[DatasetSource | Literal["corpora"], BeforeValidator(_passages_source)]


def _json(value: dict[str, Any]) -> dict[str, Any]:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"holds what is no JSON value: {error}") from None
    return value


JsonObject = Annotated[dict[StrictStr, Any], AfterValidator(_json)]
Name = Annotated[StrictStr, Field(min_length=1, max_length=200)]
MOST = 1_000_000_000
"""Of what is counted; more than any machine can do, and less than what a column holds."""
Number = Annotated[StrictInt, Field(ge=1, le=MOST)]
NucleusMass = Annotated[float, Field(gt=0, le=1)]
Horizon = Annotated[StrictInt, Field(ge=0, le=1000)]
Limit = Annotated[float, Field(allow_inf_nan=False, strict=True)]
Times = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]
LEAST_DOCUMENTS = 10
"""Documents that fine-tuning needs beside those that are scored."""


class Dataset(Part):
    """Rows of text from outside.

    Attributes:
        config: The configuration of a dataset on the hub.
        split: Its split.
        text_field: The field, or fields, that hold the text.
    """

    config: StrictStr | None = None
    split: StrictStr | None = None
    text_field: TextFields = ("text",)


class Corpus(Dataset):
    """A collection of documents.

    Attributes:
        name: What tables and figures call it.
        source: Where its documents come from.
        category: The kind of corpus, such as `pretraining` or `chat`; figures group by it.
        separator: What stands between the texts of several fields.
        documents: How many documents are scored, from the first; needed for a dataset on the hub.
        max_words: Words of each document at most.
        train_split: The split of a dataset on the hub that checkpoints are fine-tuned on.
    """

    name: Name
    source: TextSource
    category: StrictStr = "pretraining"
    separator: StrictStr = "\n\n"
    documents: Number | None = None
    max_words: Number | None = None
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


class Prefixes(Part):
    """Beginnings of documents that every checkpoint continues (figure 5).

    Attributes:
        documents: How many documents of each corpus are continued.
        words: Words of each beginning.
        samples: Continuations of each beginning, for each decoding.
    """

    documents: Number
    words: Number = 32
    samples: StrictInt = Field(default=1, ge=1, le=1_000_000)


class ShannonGame(Dataset):
    """Passages whose last word is to be guessed (table 1): a dataset, or cut from the corpora.

    Attributes:
        source: Where passages come from; `corpora` cuts them from the study's own.
        passages: How many are read, from the first.
        words: Words of a passage that is cut from a corpus.
    """

    source: PassagesSource
    passages: Number | None = None
    words: StrictInt = Field(default=64, ge=2, le=MOST)

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


class Preferences(Part):
    """Pairs of answers to one prompt, of which one was preferred.

    Attributes:
        name: What tables call the set.
        source: Where its pairs are, in the forms that `assets.sources.pairs` reads.
        config: A dataset's configuration on the hub.
        split: Its split there.
        pairs: How many are read.
        max_words: Pairs whose prompt and longer answer have more words are passed over.
    """

    name: Name
    source: PairsSource
    config: StrictStr | None = None
    split: StrictStr | None = None
    pairs: Number | None = None
    max_words: Number | None = None

    @model_validator(mode="after")
    def _check_size(self) -> Preferences:
        if self.source.scheme == "hf" and self.pairs is None:
            raise ValueError("preferences from the hub need `pairs: N`, how many are read")
        return self

    def digest(self) -> str:
        """Tells its pairs from any others.

        Raises:
            InputError: Its source is not there.
        """
        return digest([self.model_dump(mode="json", exclude={"source"}), self.source.digest()])


class Probes(Part):
    """How far ahead hidden states are asked for the tokens to come (figure 6).

    Attributes:
        prompt_sets: Sets of prompts whose continuations are probed; by default all.
        depth: After what share of the layers hidden states are read.
        horizons: How many tokens after the predicted one a probe reads, each a probe of its own.
        tokens: Tokens that a probe is trained on at most.
        probe: `vocabulary` scores each token of the training texts, `output_layer` goes through the
            model's own output layer; `auto` takes the second for a vocabulary over 65,536 tokens.
    """

    prompt_sets: tuple[StrictStr, ...] = ()
    depth: float = Field(default=0.875, gt=0, le=1, strict=True)
    horizons: tuple[Horizon, ...] = Field(default=(1, 2, 3), min_length=1)
    tokens: Number = 100_000
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


class Divergence(Part):
    """How aligned checkpoints are compared with their bases, token by token of their own text.

    Attributes:
        tokens: Of each decoding that are read, a first generation of every prompt before a second
            of any; the text that reaches so many is read to its end.
        disk_gb: Gigabytes (10^9 bytes) of disk that one model's probabilities may take while the
            other one is read, where memory does not hold both.
    """

    tokens: Number = 20_000
    disk_gb: float = Field(default=20.0, gt=0, le=1_000_000, allow_inf_nan=False)


class Readaptation(Part):
    """How checkpoints are fine-tuned on corpora before they are scored again (figure 2B).

    Attributes:
        corpora: Corpora that are learned, each by itself; by default all.
        method: Whether all weights are trained, or adapters.
        documents: Documents that are learned from at most.
        steps: Steps of training.
        documents_per_step: Documents of one step.
        learning_rate: Learning rate; by default the method's.
        rank: Rank of the adapters.
        evaluate_every: Steps from one evaluation to the next.
        keep_weights: Whether the fine-tuned weights stay in the lake.
    """

    corpora: tuple[StrictStr, ...] = ()
    method: Literal["full", "lora"] = "full"
    documents: StrictInt = Field(default=1000, ge=LEAST_DOCUMENTS, le=MOST)
    steps: Number = 200
    documents_per_step: Number = 8
    learning_rate: float | None = Field(default=None, gt=0, allow_inf_nan=False, strict=True)
    rank: StrictInt | None = Field(default=None, ge=1, le=100_000)
    evaluate_every: Number = 20
    keep_weights: StrictBool = False

    @model_validator(mode="after")
    def _check_rank(self) -> Readaptation:
        if self.rank is not None and self.method != "lora":
            raise ValueError("rank: is of adapters; set `method: lora` or leave it out")
        return self

    def includes(self, corpus: str) -> bool:
        """Whether checkpoints are fine-tuned on a corpus."""
        return not self.corpora or corpus in self.corpora


class DiversitySweep(Part):
    """Further values of top_p at which the diversity of some prompts is measured (table 4).

    Attributes:
        top_p: The values.
        prompts: How many prompts, from the first; by default all.
    """

    top_p: tuple[NucleusMass, ...] = Field(min_length=1, max_length=1_000)
    prompts: Number | None = None


class ServerAccess(Part):
    """How a server is asked.

    Attributes:
        concurrency: Requests at once.
        timeout: Seconds for one whole answer.
        attempts: Of one request, before it counts as failed.
        api_key_env: Name of the environment variable that holds the key.
        top_logprobs: Of how many of the likeliest tokens log-probabilities are asked for.
        completions: Whether it continues text, and not only chats.
        extra: Further parameters of each request, such as `{top_k: -1}`.
    """

    concurrency: StrictInt = Field(default=8, ge=1, le=1000)
    timeout: float = Field(default=600.0, gt=0, le=86_400)
    attempts: StrictInt = Field(default=6, ge=1, le=100)
    api_key_env: StrictStr | None = None
    top_logprobs: StrictInt = Field(default=20, ge=0, le=100)
    completions: StrictBool = True
    extra: JsonObject = Field(default_factory=dict)

    @field_validator("api_key_env")
    @classmethod
    def _check_name(cls, name: str | None) -> str | None:
        if name is not None and not KEY_VARIABLE.fullmatch(name):
            raise ValueError("the name of an environment variable goes here, not the key itself")
        return name


class Scores(Part):
    """Scores of generations that the user brings: of verifiers, reward models, judges.

    Attributes:
        file: JSON Lines, or CSV with a header: checkpoint, prompt_id, sample, name, value.
        right: From which value on a generation is right, by the name of the score. The first one is
            what quality is measured by.
    """

    file: Path
    right: dict[StrictStr, Limit] = Field(default_factory=dict, max_length=100)

    @field_validator("file", mode="before")
    @classmethod
    def _from_the_study(cls, value: Any, info: ValidationInfo) -> Any:
        folder = (info.context or {}).get("folder", Path())
        return local_path(value, folder) if isinstance(value, str) else value

    @field_validator("right", mode="before")
    @classmethod
    def _take_whole_numbers(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {key: float(n) if type(n) is int else n for key, n in value.items()}


class DriftRule(Part):
    """A measure of checkpoints in training, and where it is to warn.

    Attributes:
        measure: The measure; `anchorlake tables` lists them.
        over: Warns above this value.
        under: Warns below this value.
        over_base: Warns above so many times the base's value.
        under_base: Warns below so many times the base's value.
    """

    measure: StrictStr
    over: Limit | None = None
    under: Limit | None = None
    over_base: Times | None = None
    under_base: Times | None = None

    @model_validator(mode="after")
    def _check_limits(self) -> DriftRule:
        if {self.over, self.under, self.over_base, self.under_base} == {None}:
            raise ValueError("needs `over`, `under`, `over_base` or `under_base`")
        return self
