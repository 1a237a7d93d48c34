"""What an asset is: how a table or a figure comes to be, what it reads and what changes it."""

from __future__ import annotations

import importlib.metadata
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from assets.lineage.signature import Signature
from assets.lineage.staging import forget_staged
from assets.study.checkpoints import Registered
from assets.study.errors import InputError
from assets.study.registered import is_registered
from warehouse import Provenance, Table, write_table
from warehouse.catalog import write_catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

    import pyarrow as pa

    from assets.lineage.context import AssetContext
    from assets.lineage.data_version import DataVersion
    from assets.study.checkpoints import Checkpoint
    from assets.study.study import Study
    from warehouse import Lake
    from warehouse.checks import Finding

VERSION = importlib.metadata.version("anchorlake")


@dataclass(frozen=True)
class Materialization:
    """What materializing an asset gave.

    Attributes:
        provenance: What stands in its footer.
        rows: Rows written; None where it is no table.
        findings: What the checks of its table found.
        notes: As in `AssetContext`.
    """

    provenance: Provenance
    rows: int | None = None
    findings: tuple[Finding, ...] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Asset(ABC):
    """How one table or figure comes to be.

    Attributes:
        name: Its name in commands; also its asset key, a part between slashes.
        group: What it belongs to.
        description: What it holds, in a sentence.
        reads: Names of the assets that it reads.
        optional: Those of `reads` that it does without where there is nothing of them.
        version: Changes when its code gives other results.
        code: What people call that code.
        partitioned: Whether it is made for each checkpoint by itself.
        uses_model: Whether it runs a language model.
        changes_with: Those of `reads` whose change makes it stale; by default all. It reads the
            others for a part that `parameters` holds.
        parameters: What of the study, or of what it names, changes it: names and JSON values.
        labels: Names of those parameters that say what its rows are called and how they are
            ordered, and change nothing that is measured.
        unlabelled: Those of `reads` whose labels change nothing here.
        settings: The keys of the study that do so, whichever the checkpoint; a threshold's as
            `thresholds.KEY`.
        gathers: Whether it is made of those of `optional` that there are, at least one of them. Who
            selects what reads it need not want all of them.
        over: Which checkpoints of the study it is about where it has no partitions: all, those of
            which all that it cannot do without is there, or of these the ones that `Study.compared`
            names.
        applies: Whether a study, or one of its checkpoints, has anything for it.
        of_partners: Those of `reads` whose partitions of the checkpoint's partners it reads too.
        partners: Who a checkpoint's partners are.
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
    labels: tuple[str, ...] = ()
    unlabelled: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    gathers: bool = False
    over: Literal["all", "measured", "compared"] = "all"
    applies: Callable[[Study, Checkpoint | None], bool] = lambda study, checkpoint: True
    of_partners: tuple[str, ...] = ()
    partners: Callable[[Study, Checkpoint], tuple[Checkpoint, ...]] = lambda study, checkpoint: (
        study.partners(checkpoint)
    )

    @property
    def counted(self) -> tuple[str, ...]:
        """Those of `reads` whose change makes it stale."""
        return self.reads if self.changes_with is None else self.changes_with

    @abstractmethod
    def stored(self, lake: Lake, checkpoint: str | None) -> Provenance | None:
        """Where what the lake has of it comes from; None where it has nothing."""

    def is_damaged(self, lake: Lake, checkpoint: str | None) -> bool:
        """Whether the lake has a file of it that does not hold what was written."""
        return False

    @abstractmethod
    def make(self, context: AssetContext, data_version: DataVersion) -> Materialization:
        """Makes it and puts it in its place, whatever stands there."""


@dataclass(frozen=True, kw_only=True)
class TableAsset(Asset):
    """How a table comes to be.

    Attributes:
        table: Its declaration.
        rows: Makes its rows; they are read while its context is open.
        signature: What people are told of where they come from, but for the version.
    """

    table: Table
    rows: Callable[[AssetContext], AbstractContextManager[Iterable[pa.RecordBatch]]]
    signature: Callable[[AssetContext], Signature]

    def stored(self, lake: Lake, checkpoint: str | None) -> Provenance | None:
        """Reads the footer of the partition's file."""
        return lake.provenance(self.table, checkpoint)

    def is_damaged(self, lake: Lake, checkpoint: str | None) -> bool:
        """Whether the partition's file does not hold what was written."""
        return bool(lake.damaged([lake.path(self.table, checkpoint)]))

    def make(self, context: AssetContext, data_version: DataVersion) -> Materialization:
        """Replaces the partition.

        Raises:
            RejectedError: The rows break the table's declaration; the partition is as it was.
        """
        before = context.checkpoint.digest() if context.checkpoint else ""  # loads nothing yet
        with self.rows(context) as rows:
            counted = _Counted(_of_unchanged_checkpoint(rows, context, before))
            provenance = provenance_of(context, data_version, self.signature(context))
            findings = write_table(
                context.lake,
                self.table,
                counted,
                provenance,
                context.partition,
                footer=context.footer,
            )
        forget_staged(context.lake, self.table.name, context.partition)
        write_catalog(context.lake, list(context.tables.values()))
        return Materialization(provenance, counted.rows, tuple(findings), notes=context.notes)


def _of_unchanged_checkpoint(
    rows: Iterable[pa.RecordBatch], context: AssetContext, before: str
) -> Iterator[pa.RecordBatch]:
    """Passes rows on, unless their checkpoint has become another one at the end.

    Args:
        rows: The rows.
        context: What they are made from.
        before: The digest of the checkpoint before it was loaded.

    Raises:
        InputError: It was written over, or removed, while it was measured.
    """
    checkpoint = context.checkpoint
    yield from rows
    if checkpoint and checkpoint.digest() != before:
        raise InputError(
            f"{checkpoint.name} was written over while it was measured; it is measured anew by the "
            "next run"
        )
    if isinstance(checkpoint, Registered) and not is_registered(context.lake, checkpoint):
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


def provenance_of(
    context: AssetContext, data_version: DataVersion, signature: Signature
) -> Provenance:
    """What goes into the footer of what is being made."""
    return Provenance(
        data_version=data_version.digest,
        signature=str(signature + Signature.of(version=VERSION)),
        study=context.study.name,
        version=VERSION,
        parts=data_version.to_json(),
    )
