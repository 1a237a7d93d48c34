"""What a figure is, and what it is drawn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assets.lineage.reasons import some

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import altair as alt

    from assets.study.study import Study


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


@dataclass(frozen=True)
class Grid:
    """A table of a page.

    Attributes:
        columns: Its heads.
        rows: Its rows, texts.
    """

    columns: list[str]
    rows: list[list[str]]


@dataclass(frozen=True, eq=False)
class FigureData:
    """What a figure is drawn from; equal to itself alone.

    Attributes:
        rows: The rows of its query, one for each prompt or document and whatever else it tells
            apart. A `prompt` is a prompt's text, which tells whether two checkpoints were given the
            same; its id where the lake does not have its text. `n_samples` is how many generations
            of the prompt a number is made of.
        checkpoints: Those of the lake's that the study has, in the study's order.
        unit: What n-grams are made of: token where all checkpoints share a tokenizer, word else.
    """

    rows: list[dict[str, Any]]
    checkpoints: list[FigureCheckpoint]
    unit: str

    @property
    def with_rows(self) -> list[FigureCheckpoint]:
        """The checkpoints that there is anything of."""
        with_rows = {row["checkpoint"] for row in self.rows}
        return [shown for shown in self.checkpoints if shown.checkpoint in with_rows]

    @property
    def caveats(self) -> list[str]:
        """Sentences that say what keeps the checkpoints from being compared as they stand."""
        most: dict[str, int] = {}
        for row in self.rows:
            if row.get("n_samples") is not None:
                most[row["checkpoint"]] = max(row["n_samples"], most.get(row["checkpoint"], 0))
        if len(set(most.values())) < 2:
            return []
        by_number: dict[int, list[str]] = {}
        for checkpoint, number in most.items():
            by_number.setdefault(number, []).append(checkpoint)
        numbers = "; ".join(f"{n} of {some(names)}" for n, names in sorted(by_number.items()))
        return [
            f"Numbers of samples a prompt differ: {numbers}. More samples have more in common, so "
            "a difference between these checkpoints may come of that alone."
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
        findings: Sentences that say what came out.
        table: Its numbers, where they are to stand below it.
        pages: Parts of the data that are drawn by themselves, by heading, the one to show first
            before the others; by default all of it is drawn at once.
        every_step: Whether it shows every step of a series, and not only the last.
        applies: Whether a study has anything for it.
        warnings: Sentences that a reader must not miss, by the rules of the study.
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
    findings: Callable[[FigureData], list[str]]
    table: Callable[[FigureData], Grid] | None = None
    pages: Callable[[FigureData], dict[str, FigureData]] | None = None
    every_step: bool = False
    applies: Callable[[Study], bool] = lambda study: True
    warnings: Callable[[FigureData, Study], list[str]] | None = None
