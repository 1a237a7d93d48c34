"""The study file: what is measured, of which checkpoints, and how."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import (
    Field,
    PrivateAttr,
    StrictInt,
    StrictStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from assets.study.checkpoints import Checkpoint, Registered
from assets.study.choices import Choices
from assets.study.embedder import ClassifierField, EmbedderField
from assets.study.errors import InputError, meant, names_of, shown
from assets.study.in_dagster import InDagster
from assets.study.ladders import Ladder, check_ladders, in_ladder_order, with_bases
from assets.study.part import Part
from assets.study.parts import (
    Corpus,
    Divergence,
    DiversitySweep,
    DriftRule,
    Name,
    Preferences,
    Prefixes,
    Probes,
    Readaptation,
    Scores,
    ShannonGame,
)
from assets.study.problems import explain, keys_of
from assets.study.resources import Resources
from assets.study.thresholds import Thresholds
from assets.study.tuned import Tuned, check_tunings
from assets.study.tunings import Tuning, run_as_bases_are, tuning_and_step
from assets.study.watches import Watch
from assets.study.yaml_file import read_yaml
from models import Decoding, Source
from models.names import local_path

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

DEFAULT_PROMPTS = Path(__file__).parents[2] / "studies" / "prompts" / "demo.jsonl"


class Study(Part):
    """A study file.

    Its checkpoints are in the order in which tables and figures show them: those on ladders first,
    as `in_ladder_order` puts them. `listed` has them in the order of the file.

    Attributes:
        name: The study's name; a lake is for one study.
        ladders: Stages of post-training that were made from each other.
        tunings: Training of the study's own, which gives checkpoints.
        checkpoints: What is measured.
        samples_per_prompt: Generations of each prompt, for each decoding that is not greedy.
        max_new_tokens: Tokens of a generation at most.
        seed: What randomness begins with.
        prompts: A file of prompts, JSON Lines of prompt_id, category and text.
        corpora: Human text that checkpoints predict.
        prefixes: Beginnings of documents that checkpoints continue.
        shannon_game: Passages whose last word is to be guessed.
        preferences: Pairs of answers to one prompt, of which one was preferred.
        choices: Questions with options, of which checkpoints choose one.
        probes: Probes that read the tokens to come from hidden states.
        divergence: How much of their own text aligned checkpoints and their bases read together.
        readaptation: Fine-tuning on documents that are not scored.
        diversity_sweep: Further values of top_p for some prompts.
        aligner: What aligns the generations of a prompt; `mafft` is a program to be installed.
        embedder: The model of sentence-transformers that tells what generations mean; `default` is
            all-MiniLM-L6-v2.
        answer_classifier: A cross-encoder that tells which generations are one answer, in the place
            of the cosine similarity of their embeddings.
        scores: Scores of generations that were given elsewhere.
        thresholds: The numbers that derived tables are defined with.
        drift: Where a measure is to warn.
        sql: A folder of further tables and measures.
        watch: Where checkpoints appear that are taken in by themselves.
        watch_every: Seconds from one look at these places to the next.
        schedule: When the daemon runs everything that is stale, as cron writes it.
        retries: How often the daemon tries a failed step again.
        dagster: How the study appears in Dagster.
        resources: What assets, or groups of them, take of a machine of a Ray cluster.
    """

    name: Name
    ladders: tuple[Ladder, ...] = ()
    tunings: tuple[Tuning, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = Field(min_length=1)
    samples_per_prompt: StrictInt = Field(default=100, ge=1, le=1_000_000)
    max_new_tokens: StrictInt = Field(default=512, ge=1, le=1_000_000)
    seed: StrictInt = Field(default=0, ge=0, lt=1 << 63)
    prompts: Path = DEFAULT_PROMPTS
    corpora: tuple[Corpus, ...] = ()
    prefixes: Prefixes | None = None
    shannon_game: ShannonGame | None = None
    preferences: tuple[Preferences, ...] = ()
    choices: tuple[Choices, ...] = ()
    probes: Probes | None = None
    divergence: Divergence | None = None
    readaptation: Readaptation | None = None
    diversity_sweep: DiversitySweep | None = None
    aligner: Literal["anchorlake", "mafft"] = "anchorlake"
    embedder: EmbedderField | None = None
    answer_classifier: ClassifierField | None = None
    scores: Scores | None = None
    thresholds: Thresholds = Thresholds()
    drift: tuple[DriftRule, ...] = ()
    sql: Path | None = None
    watch: tuple[Watch, ...] = ()
    watch_every: StrictInt = Field(default=30, ge=1, le=86_400)
    schedule: StrictStr | None = None
    retries: StrictInt = Field(default=2, ge=0, le=100)
    dagster: InDagster = InDagster()
    resources: dict[StrictStr, Resources] = Field(default={})
    _whole: Study | None = PrivateAttr(default=None)
    _listed: tuple[str, ...] = PrivateAttr(default=())

    @field_validator("checkpoints", mode="before")
    @classmethod
    def _take_bases_from_ladders(cls, values: Any, info: ValidationInfo) -> Any:
        completed = run_as_bases_are(values, info.data.get("tunings", ()))
        return with_bases(completed, info.data.get("ladders", ()))

    @field_validator("prompts", "sql", mode="before")
    @classmethod
    def _from_the_file(cls, value: Any, info: ValidationInfo) -> Any:
        folder = (info.context or {}).get("folder", Path())
        return local_path(value, folder) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check_names(self) -> Study:
        if self.answer_classifier is not None and self.embedder is None:
            raise ValueError("answer_classifier needs an embedder, too; add `embedder: default`")
        names = Counter(checkpoint.name for checkpoint in self.checkpoints)
        for name, number in names.items():
            if number > 1:
                raise ValueError(f"checkpoints has two of the name {name!r}; rename one")
        check_tunings(self.tunings, self.checkpoints)
        check_ladders(self.ladders, self.checkpoints)
        for checkpoint in self.checkpoints:
            if checkpoint.base is not None and checkpoint.base not in names:
                raise ValueError(
                    f"checkpoints: the base of {checkpoint.name!r} is {checkpoint.base!r}, which "
                    f"is none of the study's checkpoints ({names_of(names)})"
                    f"{meant(checkpoint.base, names)}"
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
        watched = Counter(watch.place for watch in self.watch)
        for watch in self.watch:
            if watched[watch.place] > 1:
                raise ValueError(f"watch: {watch.place} stands twice; make one entry of them")
            if watch.base is not None and watch.base not in names:
                raise ValueError(
                    f"watch: the base of {watch.place} is {watch.base!r}, which is none of the "
                    f"study's checkpoints ({names_of(names)})"
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
        for name, number in Counter(pairs.name for pairs in self.preferences).items():
            if number > 1:
                raise ValueError(f"preferences has two of the name {name!r}; rename one")
        for name, number in Counter(choices.name for choices in self.choices).items():
            if number > 1:
                raise ValueError(f"choices has two of the name {name!r}; rename one")
        if self.prefixes and not self.corpora:
            raise ValueError("prefixes: are cut from corpora, and the study has none")
        if self.shannon_game and self.shannon_game.source == "corpora" and not self.corpora:
            raise ValueError("shannon_game: its passages are cut from corpora, and there are none")
        corpora = [corpus.name for corpus in self.corpora]
        if self.readaptation:
            if not corpora:
                raise ValueError("readaptation: is fine-tuning on corpora, and the study has none")
            _check_named("readaptation.corpora", self.readaptation.corpora, corpora)
        if 10 not in self.thresholds.ngram_lengths and any(
            rule.measure == "ngram_sharing" for rule in self.drift
        ):
            raise ValueError(
                "drift: ngram_sharing is of 10-grams, and thresholds.ngram_lengths has no 10"
            )
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

    @model_validator(mode="after")
    def _put_in_order(self) -> Study:
        if not self.ladders and not self.tunings:
            return self
        checkpoints = in_ladder_order(map(self._tied, self.checkpoints), self.ladders)
        ordered = self.model_copy(update={"checkpoints": checkpoints})
        ordered._listed = tuple(checkpoint.name for checkpoint in self.checkpoints)
        return ordered

    def _tied(self, checkpoint: Checkpoint) -> Checkpoint:
        """A checkpoint with what it is trained by, if it is."""
        if checkpoint.source.scheme != "tuned":
            return checkpoint
        name, _ = tuning_and_step(checkpoint.source.location)
        (tuning,) = (tuning for tuning in self.tunings if tuning.name == name)
        teacher = self._teacher(tuning)
        base = self.checkpoint(tuning.base)
        return Tuned.of(checkpoint, tuning, base, teacher, (self.seed, self.max_new_tokens))

    def _teacher(self, tuning: Tuning) -> Checkpoint | None:
        """Whose answers a tuning learns, with how it is sampled; None where it learns examples."""
        if tuning.teacher is None:
            return None
        if isinstance(tuning.teacher, Source):
            teacher = Checkpoint(name=tuning.name, source=tuning.teacher, role="aligned")
        else:
            teacher = self.checkpoint(tuning.teacher)
        return teacher.model_copy(update={"decodings": self.decodings(teacher)})

    def keeping_weights_in(self, folder: Path) -> Study:
        """The study with a folder for the weights that it trains."""
        placed = tuple(
            checkpoint.in_folder(folder) if isinstance(checkpoint, Tuned) else checkpoint
            for checkpoint in self.checkpoints
        )
        return self.model_copy(update={"checkpoints": placed}) if self.tunings else self

    @property
    def listed(self) -> tuple[Checkpoint, ...]:
        """The checkpoints in the order of the file, then those that came later.

        What depends on the order of checkpoints and is costly goes by it, so that a ladder that is
        added to a study changes nothing that was sampled or predicted.
        """
        places = {name: place for place, name in enumerate(self._listed)}
        return tuple(sorted(self.checkpoints, key=lambda c: places.get(c.name, len(places))))

    def rung(self, checkpoint: Checkpoint) -> tuple[Ladder, int] | None:
        """The ladder that a checkpoint is on, and its place there from 0; None if it is on none.

        Of several ladders that it is the first of, the first one is meant.
        """
        for ladder in self.ladders:
            if checkpoint.name in ladder.checkpoints:
                return ladder, ladder.checkpoints.index(checkpoint.name)
        return None

    def previous_stage(self, checkpoint: Checkpoint) -> Checkpoint | None:
        """The checkpoint before it on its ladder; None for a first one, and one on no ladder."""
        ladder, place = self.rung(checkpoint) or (None, 0)
        if ladder is None or place == 0:
            return None
        return self.whole.checkpoint(ladder.checkpoints[place - 1])

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
                step=0,
                **watch.settings(f"dir:{number}"),
            )
            for number, watch in enumerate(self.watch)
        ]
        return self.model_copy(update={"checkpoints": (*self.checkpoints, *stand_ins)})

    def limited_to(self, names: Collection[str]) -> Study:
        """The study with some of its checkpoints only."""
        some = tuple(checkpoint for checkpoint in self.checkpoints if checkpoint.name in names)
        limited = self.model_copy(update={"checkpoints": some})
        limited._whole = self.whole
        return limited

    @property
    def whole(self) -> Study:
        """The study that this one was limited from; itself where it has all its checkpoints."""
        return self._whole or self

    def partners(self, checkpoint: Checkpoint) -> tuple[Checkpoint, ...]:
        """Whose text it predicts beside its own: its base's, or else those that it is the base of.

        A base does not predict what is registered later: its tables would be made anew with each.
        Of what the study trains itself it predicts the last step of each tuning.
        """
        if checkpoint.base is not None:
            return (self.checkpoint(checkpoint.base),)
        return tuple(
            other
            for other in self.listed
            if other.base == checkpoint.name
            and not isinstance(other, Registered)
            and not (isinstance(other, Tuned) and self._goes_on(other))
        )

    def _goes_on(self, checkpoint: Tuned) -> bool:
        """Whether the study has a later step of a checkpoint's tuning."""
        return any(
            other.tuning.name == checkpoint.tuning.name
            and other.trained_for > checkpoint.trained_for
            for other in self.whole.listed
            if isinstance(other, Tuned)
        )

    def compared_with(self, checkpoint: Checkpoint) -> tuple[Checkpoint, ...]:
        """The checkpoints that a checkpoint is compared with: its base, and the stage before it."""
        others = [] if checkpoint.base is None else [self.whole.checkpoint(checkpoint.base)]
        previous = self.previous_stage(checkpoint)
        if previous is not None and previous.name not in [other.name for other in others]:
            others.append(previous)
        return tuple(others)

    def compared(self) -> tuple[str, ...]:
        """Names of the checkpoints that figures compare: of each series the last step, and bases.

        Those of no series are all compared, and those on a ladder.
        """
        last: dict[str, Checkpoint] = {}
        for checkpoint in self.checkpoints:
            if checkpoint.series is not None and checkpoint.step is not None:
                known = last.setdefault(checkpoint.series, checkpoint)
                if checkpoint.step > (known.step or 0):
                    last[checkpoint.series] = checkpoint
        kept = {checkpoint.base for checkpoint in self.checkpoints}
        kept |= {name for ladder in self.ladders for name in ladder.checkpoints}
        return tuple(
            checkpoint.name
            for checkpoint in self.checkpoints
            if checkpoint.series is None
            or checkpoint.step is None
            or last[checkpoint.series] is checkpoint
            or checkpoint.name in kept
        )

    def checkpoint(self, name: str) -> Checkpoint:
        """The checkpoint of this name.

        Raises:
            InputError: There is none.
        """
        for checkpoint in self.checkpoints:
            if checkpoint.name == name:
                return checkpoint
        names = names_of(checkpoint.name for checkpoint in self.checkpoints)
        raise InputError(f"the study has no checkpoint {shown(name)!r}; it has {names}")

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
                f"{key}: there is no {name!r}; what there is to choose from: {names_of(allowed)}"
            )


def load_study(path: Path) -> Study:
    """Reads and validates a study file; looks at nothing else on the disk.

    Raises:
        InputError: It is not there or not valid; the message names each key, what was found there
            and what is allowed.
    """
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise InputError(f"{path} must hold keys and values; allowed keys: {keys_of(Study)}")
    try:
        return Study.model_validate(values, context={"folder": path.absolute().parent})
    except ValidationError as error:
        raise InputError(explain(str(path), error, Study)) from None
