"""How a table or a figure comes to be: what it reads, what changes it, and who makes it."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from filelock import FileLock

from assets.lineage.progress import Progress, Silent
from assets.lineage.staging import staging
from assets.study.checkpoints import Registered
from assets.study.digests import digest
from assets.study.errors import InputError
from assets.study.registered import is_registered
from models import ModelPool
from warehouse import Lake, Limits, Provenance, Table, write_table
from warehouse.catalog import write_catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

    import pyarrow as pa

    from assets.lineage.graph import Inventory
    from assets.study.checkpoints import Checkpoint
    from assets.study.study import Study
    from warehouse.checks import Finding

VERSION = importlib.metadata.version("anchorlake")


@dataclass(frozen=True)
class Ingredients:
    """All that a recipe's result depends on, digested part by part.

    Attributes:
        code: Of what makes it.
        parameters: Of each value of the study, or of what it names, by name.
        inputs: Of each recipe that it reads.
    """

    code: str
    parameters: Mapping[str, str]
    inputs: Mapping[str, str]

    @cached_property
    def fingerprint(self) -> str:
        """Tells them from any others."""
        return digest(asdict(self))

    def to_json(self) -> str:
        """As they stand in a footer."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Ingredients | None:
        """Reads them back; None where an older version wrote none."""
        return cls(**json.loads(text)) if text else None


@dataclass
class Work:
    """One making of one recipe: what it needs, and what it has to say.

    Attributes:
        inventory: The study and its recipes.
        lake: Where tables are.
        checkpoint: The partition; None where the recipe has none.
        models: Gives the loaded model.
        progress: Told how far long work is.
        limits: Of DuckDB sessions.
        force: Whether to make anew what could be kept.
        notes: What the asset's metadata says beside rows and time; filled while making.
        footer: What the file's footer says beside its provenance; filled while making.
    """

    inventory: Inventory
    lake: Lake
    checkpoint: Checkpoint | None = None
    models: ModelPool = field(default_factory=ModelPool)
    progress: Progress = field(default_factory=Silent)
    limits: Limits = field(default_factory=Limits)
    force: bool = False
    notes: dict[str, Any] = field(default_factory=dict)
    footer: dict[str, str] = field(default_factory=dict)

    @property
    def study(self) -> Study:
        """The study."""
        return self.inventory.study

    @property
    def partition(self) -> str | None:
        """The checkpoint's name."""
        return self.checkpoint.name if self.checkpoint else None


@dataclass(frozen=True)
class Made:
    """What making a recipe gave.

    Attributes:
        provenance: What stands in its footer.
        rows: Rows written; None where it is no table.
        findings: What the checks of its table found.
        notes: As in `Work`.
    """

    provenance: Provenance
    rows: int | None = None
    findings: tuple[Finding, ...] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Recipe(ABC):
    """How one table or figure comes to be.

    Attributes:
        name: Its name in commands; also its asset key, a part between slashes.
        group: What it belongs to.
        description: What it holds, in a sentence.
        reads: Names of the recipes that it reads.
        optional: Those of `reads` that it does without where there is nothing of them.
        version: Changes when its code gives other results.
        code: What people call that code.
        partitioned: Whether it is made for each checkpoint by itself.
        uses_model: Whether it runs a language model.
        changes_with: Those of `reads` whose change puts it out of date; by default all. The others
            it reads for a part that `parameters` holds.
        parameters: What of the study, or of what it names, changes it: names and JSON values.
        over: Which checkpoints of the study it is about where it has no partitions: all, those of
            which all that it reads is there, or of these the ones that `Study.compared` names.
        applies: Whether a study, or one of its checkpoints, has anything for it.
        of_partners: Those of `reads` whose partitions of the checkpoint's partners it reads too.
    """

    name: str
    group: str
    description: str
    reads: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    version: str = "1"
    code: str = "the way it is made"
    partitioned: bool = True
    uses_model: bool = False
    changes_with: tuple[str, ...] | None = None
    parameters: Callable[[Study, Checkpoint | None], Mapping[str, object]] = (
        lambda study, checkpoint: {}
    )
    over: Literal["all", "measured", "compared"] = "all"
    applies: Callable[[Study, Checkpoint | None], bool] = lambda study, checkpoint: True
    of_partners: tuple[str, ...] = ()

    @property
    def counted(self) -> tuple[str, ...]:
        """Those of `reads` whose change puts it out of date."""
        return self.reads if self.changes_with is None else self.changes_with

    @abstractmethod
    def stored(self, lake: Lake, checkpoint: str | None) -> Provenance | None:
        """Where what the lake has of it comes from; None where it has nothing."""

    @abstractmethod
    def make(self, work: Work, ingredients: Ingredients) -> Made:
        """Makes it and puts it in its place, whatever stands there."""


@dataclass(frozen=True, kw_only=True)
class TableRecipe(Recipe):
    """How a table comes to be.

    Attributes:
        table: Its declaration.
        rows: Makes its rows; they are read while its context is open.
        signature: What people are told of where they come from, but for the version.
    """

    table: Table
    rows: Callable[[Work], AbstractContextManager[Iterable[pa.RecordBatch]]]
    signature: Callable[[Work], str]

    def stored(self, lake: Lake, checkpoint: str | None) -> Provenance | None:
        """Reads the footer of the partition's file."""
        return lake.provenance(self.table, checkpoint)

    def make(self, work: Work, ingredients: Ingredients) -> Made:
        """Replaces the partition.

        Raises:
            RejectedError: The rows break the table's declaration; the partition is as it was.
        """
        with self.rows(work) as rows:
            counted = _Counted(_still_there(rows, work))
            made = provenance(work, ingredients, self.signature(work))
            findings = write_table(
                work.lake, self.table, counted, made, work.partition, footer=work.footer
            )
        shutil.rmtree(staging(work, self.table), ignore_errors=True)
        write_catalog(work.lake, work.inventory.tables)
        return Made(made, counted.rows, tuple(findings), notes=work.notes)


def _still_there(rows: Iterable[pa.RecordBatch], work: Work) -> Iterator[pa.RecordBatch]:
    """Passes rows on, unless their checkpoint has become another one at the end.

    Raises:
        InputError: It was written over, or removed, while it was measured.
    """
    checkpoint = work.checkpoint
    before = checkpoint.digest() if checkpoint else ""
    yield from rows
    if checkpoint and checkpoint.digest() != before:
        raise InputError(
            f"{checkpoint.name} was written over while it was measured; it is measured anew by the "
            "next run"
        )
    if isinstance(checkpoint, Registered) and not is_registered(work.lake, checkpoint):
        raise InputError(f"{checkpoint.name} was removed while it was measured")


class _Counted:
    """Batches on their way into a file, counted."""

    def __init__(self, batches: Iterable[pa.RecordBatch]) -> None:
        self.batches = batches
        self.rows = 0

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self.batches:
            self.rows += batch.num_rows
            yield batch


def provenance(work: Work, ingredients: Ingredients, signature: str) -> Provenance:
    """What goes into the footer of what is being made."""
    return Provenance(
        fingerprint=ingredients.fingerprint,
        signature=f"{signature}|v:{VERSION}",
        study=work.study.name,
        version=VERSION,
        made_of=ingredients.to_json(),
    )


def bring_up_to_date(recipe: Recipe, work: Work) -> Made | None:
    """Makes a recipe unless the lake has it as it would be made, and `work` does not force it.

    Args:
        recipe: The recipe.
        work: What it needs.

    Returns:
        What making it gave; None where it was up to date.

    Raises:
        InputError: Something that it reads is not there.
    """
    # Nothing is made twice at once; and of what every checkpoint's run makes, such as figures, the
    # last has seen what all the others made.
    with _alone(work.lake, f"{recipe.name}.{work.partition}" if work.partition else recipe.name):
        return _bring_up_to_date(recipe, work)


def _alone(lake: Lake, name: str) -> FileLock:
    """Held while something is made, which a command and the daemon's runs may do at once."""
    folder = lake.staging / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / name.replace("/", "."))


def _bring_up_to_date(recipe: Recipe, work: Work) -> Made | None:
    ingredients = work.inventory.ingredients_now(recipe.name, work.partition)
    if ingredients is None:
        missing = work.inventory.missing(recipe.name, work.partition)
        raise InputError(
            f"{recipe.name} reads {', '.join(missing)}, which the lake does not have yet; "
            "materialize it first"
        )
    # What is not counted in the fingerprint must be what the parameters say that it is.
    if stale := work.inventory.stale_inputs(recipe.name, work.partition):
        raise InputError(
            f"{recipe.name} reads {', '.join(stale)}, which is out of date; materialize it first"
        )
    stored = recipe.stored(work.lake, work.partition)
    if stored is not None and stored.fingerprint == ingredients.fingerprint and not work.force:
        return None
    return recipe.make(work, ingredients)
