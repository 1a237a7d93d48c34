"""What a figure is, and what it is drawn from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from assets.lineage.reasons import some
from assets.measures.sentences import sentence
from assets.study.thresholds import Thresholds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import altair as alt

    from assets.drawing.walk import Walk
    from assets.measures.drift import Crossing
    from assets.study.parts import DriftRule
    from assets.study.study import Study
    from warehouse.measure_headers import Measure


@dataclass(frozen=True)
class FigureCheckpoint:
    """A checkpoint in a figure.

    Attributes:
        checkpoint: Its name.
        decoding: Its first decoding; the one that comparisons are made at.
        prompt_set: The prompts that it is asked repeatedly.
        role: base, aligned or human.
        base: The checkpoint that it is compared with.
        series: The training run, or part of one, that it is from.
        step: Its step there.
        ladder: The ladder of post-training that it is on.
        rung: Its place there, from 0.
        n_rungs: How many checkpoints the ladder has.
        first_of: Further ladders that it is the first of.
        stage: What the study calls its stage of post-training, such as DPO.
    """

    checkpoint: str
    decoding: str
    prompt_set: str
    role: str
    base: str | None
    series: str | None = None
    step: int | None = None
    ladder: str | None = None
    rung: int | None = None
    n_rungs: int = 0
    first_of: tuple[str, ...] = ()
    stage: str | None = None

    @property
    def name(self) -> str:
        """Its stage, where it has one, and its name."""
        return with_stage(self.stage, self.checkpoint)

    @property
    def label(self) -> str:
        """What legends call it."""
        return f"{self.name} ({self.decoding})" if self.decoding != "-" else self.name

    @property
    def tick(self) -> str:
        """What an axis of stages calls it."""
        return self.stage or self.checkpoint


def with_stage(stage: str | None, name: str) -> str:
    """A name after the stage of post-training, unless that says the same."""
    if stage is None or stage.casefold() == name.casefold():
        return name
    return f"{stage}: {name}"


class Marked(NamedTuple):
    """A part of a text, marked in what stands around it.

    Attributes:
        source: Which text it is.
        before: What stands before the part.
        marked: The part.
        after: What stands after it.
    """

    source: str
    before: str
    marked: str
    after: str


@dataclass(frozen=True)
class Opening:
    """A cell of a table that opens.

    Attributes:
        text: What it shows while it is closed.
        texts: The texts that it opens to.
    """

    text: str
    texts: list[Marked]


@dataclass(frozen=True)
class Grid:
    """A table of a page.

    Attributes:
        columns: Its heads.
        rows: Its rows: texts, or cells that open.
        links: Of each row the page's anchor that its first cell leads to; without any none leads.
    """

    columns: list[str]
    rows: Sequence[Sequence[str | Opening]]
    links: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Samples:
    """What was sampled of a checkpoint.

    Attributes:
        n_prompts: The prompts that it has generations of.
        fewest: Generations of a prompt, at least.
        most: And at most.
    """

    n_prompts: int
    fewest: int
    most: int


@dataclass(frozen=True, eq=False)
class FigureData:
    """What a figure is drawn from; equal to itself alone.

    Attributes:
        rows: The rows of its query. A `prompt` is a prompt's text; its id where the lake does not
            have its text.
        checkpoints: Those of the lake's that the study has, in the study's order.
        unit: What n-grams are made of: token where all checkpoints share a tokenizer, word else.
        samples: What was sampled of each checkpoint, in a figure that grows with it.
        measures: The measures that it tells of, by name.
        comparisons: Rows of `comparisons` in these measures, with `label` and `other_label`.
        rules: The study's rules of drift.
        thresholds: What the study's tables are defined with.
    """

    rows: list[dict[str, Any]]
    checkpoints: list[FigureCheckpoint]
    unit: str
    samples: Mapping[str, Samples] = field(default_factory=dict)
    measures: Mapping[str, Measure] = field(default_factory=dict)
    comparisons: list[dict[str, Any]] = field(default_factory=list)
    rules: tuple[DriftRule, ...] = ()
    thresholds: Thresholds = field(default_factory=Thresholds)

    @property
    def with_rows(self) -> list[FigureCheckpoint]:
        """The checkpoints that there is anything of."""
        with_rows = {row["checkpoint"] for row in self.rows}
        return [shown for shown in self.checkpoints if shown.checkpoint in with_rows]

    @property
    def caveats(self) -> list[str]:
        """Sentences that say what keeps the checkpoints from being compared as they stand."""
        by_number: dict[int, list[str]] = {}
        for checkpoint, sampled in self.samples.items():
            by_number.setdefault(sampled.most, []).append(checkpoint)
        if len(by_number) < 2:
            return []
        numbers = "; ".join(f"{n} of {some(names)}" for n, names in sorted(by_number.items()))
        return [
            f"Numbers of samples a prompt differ: {numbers}. More samples have more in common, so "
            "a difference between these checkpoints may come of that alone."
        ]

    @property
    def compared(self) -> list[str]:
        """A sentence for each of its comparisons."""
        return [
            sentence(row, self.measures[row["measure"]], row["label"], row["other_label"])
            for row in self.comparisons
        ]

    @property
    def pairs(self) -> list[tuple[FigureCheckpoint, FigureCheckpoint]]:
        """Aligned checkpoints, each with its base."""
        by_name = {shown.checkpoint: shown for shown in self.checkpoints}
        return [
            (s, by_name[s.base])
            for s in self.checkpoints
            if s.base is not None and s.base in by_name
        ]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure: a query beside its module, and how its rows are drawn and read.

    Attributes:
        name: Its name, that of its module and of its query's file.
        place: Where it stands in the report.
        title: Its heading.
        paper: The paper's figure or table that it corresponds to; None where there is none.
        claim: What the paper states there, or what the figure adds to it.
        reads: The tables that its query reads.
        optional: Those of them that it does without where the study has nothing for them.
        query: The file of its query; it may use the view `shown` and the parameter `$unit`.
        draw: Draws it, given a width in pixels.
        measures: The measures that it is about, whose comparisons are told below it; None for all
            that there are, of which it tells by itself.
        findings: Sentences that say what else came out.
        table: Its numbers, where they are to stand below it.
        pages: Parts of the data that are drawn by themselves; what `draw` gives is then without
            rows, and names the datasets that the pages bring. By default all is drawn at once.
        grows_with_samples: Whether its numbers grow with the number of samples.
        every_step: Whether it shows every step of a series, and not only the last.
        applies: Whether a study has anything for it.
        warnings: What crosses the rules of the study.
    """

    name: str
    place: int
    title: str
    paper: str | None = None
    claim: str
    reads: tuple[str, ...]
    optional: tuple[str, ...] = ()
    query: Path
    draw: Callable[[FigureData, int], alt.TopLevelMixin]
    measures: tuple[str, ...] | None = ()
    findings: Callable[[FigureData], list[str]] = lambda data: []
    table: Callable[[FigureData], Grid] | None = None
    pages: Callable[[FigureData], Walk] | None = None
    grows_with_samples: bool = False
    every_step: bool = False
    applies: Callable[[Study], bool] = lambda study: True
    warnings: Callable[[FigureData], list[Crossing]] | None = None
