"""Tables as Parquet: one file a partition, replaced in one step, or not at all."""

from __future__ import annotations

import re
import shutil
import uuid
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.schema import PARTITION_COLUMN, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from warehouse.checks import Finding

CHECKPOINT_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")
_PREFIX = "anchorlake."


def check_checkpoint_name(name: str) -> str:
    """Returns the name if it can be a partition key.

    Raises:
        ValueError: It holds other characters, is too long, or is a name that paths reserve.
    """
    if not CHECKPOINT_NAME.fullmatch(name) or name in (".", ".."):
        raise ValueError(
            f"{name!r} cannot name a checkpoint: use letters, digits, '.', '_' and '-', "
            "at most 128 characters"
        )
    return name


@dataclass(frozen=True)
class Provenance:
    """Where a file's rows come from; kept in its footer, keys prefixed with `anchorlake.`.

    Attributes:
        fingerprint: Digest of the inputs, the parameters that matter and the code's version.
        signature: The same for people, in the manner of sacreBLEU: `p:0.9|T:1|S:100|...`.
        study: The study's name.
        version: The package's version.
    """

    fingerprint: str
    signature: str
    study: str
    version: str

    def to_footer(self) -> dict[str, str]:
        """The footer's key-value pairs."""
        return {_PREFIX + field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_footer(cls, metadata: dict[bytes, bytes] | None) -> Provenance | None:
        """Reads it back; None where the file was not written by a lake."""
        found = {
            k.decode(): v.decode() for k, v in (metadata or {}).items() if k != b"ARROW:schema"
        }
        if _PREFIX + "fingerprint" not in found:
            return None
        return cls(**{field.name: found.get(_PREFIX + field.name, "") for field in fields(cls)})


class RejectedError(ValueError):
    """Rows that break their table's declaration. The partition keeps its old rows.

    Attributes:
        findings: What each check found.
        kept_at: The file that the rows were left in, to be looked at.
    """

    def __init__(self, table: Table, findings: list[Finding], kept_at: Path) -> None:
        self.findings = findings
        self.kept_at = kept_at
        failed = "; ".join(f"{f.check}: {f.detail}" for f in findings if not f.passed)
        super().__init__(
            f"{table.name} breaks its declaration ({failed}); see the rows in {kept_at}"
        )


@dataclass(frozen=True)
class Lake:
    """A folder of tables.

    Attributes:
        root: The folder; made when first written to.
    """

    root: Path

    @property
    def staging(self) -> Path:
        """Unfinished work, never read by a query."""
        return self.root / ".staging"

    @property
    def catalog(self) -> Path:
        """The DuckDB file with a view for each table."""
        return self.root / "catalog.duckdb"

    @property
    def figures(self) -> Path:
        """The folder of the figures."""
        return self.root / "figures"

    @property
    def report(self) -> Path:
        """The report."""
        return self.root / "report.html"

    def path(self, table: Table, checkpoint: str | None = None) -> Path:
        """Where a partition's file is, or will be."""
        if not table.partitioned:
            return self.root / table.name / "data.parquet"
        if checkpoint is None:
            raise ValueError(f"{table.name} is partitioned by checkpoint, and none was given")
        name = check_checkpoint_name(checkpoint)
        return self.root / table.name / f"{PARTITION_COLUMN}={name}" / "data.parquet"

    def files(self, table: Table, checkpoint: str | None = None) -> list[Path]:
        """A table's files, or that of one checkpoint; those that exist."""
        if checkpoint is not None or not table.partitioned:
            path = self.path(table, checkpoint)
            return [path] if path.exists() else []
        return sorted(self.root.glob(f"{table.name}/{PARTITION_COLUMN}=*/data.parquet"))

    def pattern(self, table: Table) -> str:
        """A glob that matches a table's files, those to come included."""
        partition = f"{PARTITION_COLUMN}=*/" if table.partitioned else ""
        return f"{self.root.absolute()}/{table.name}/{partition}data.parquet"

    def partitions(self, table: Table) -> list[str]:
        """The checkpoints that a partitioned table has rows of."""
        return [path.parent.name.partition("=")[2] for path in self.files(table)]

    def provenance(self, table: Table, checkpoint: str | None = None) -> Provenance | None:
        """Where a partition's rows come from; None where there are none yet."""
        path = self.path(table, checkpoint)
        try:
            return Provenance.from_footer(pq.read_metadata(path).metadata)
        except FileNotFoundError:
            return None

    def read(self, table: Table, checkpoint: str | None = None) -> pa.Table:
        """A partition's rows, without the partition column.

        Raises:
            FileNotFoundError: There are none yet.
        """
        return pq.ParquetFile(self.path(table, checkpoint)).read()

    def write(
        self,
        table: Table,
        rows: Iterable[pa.RecordBatch],
        provenance: Provenance,
        checkpoint: str | None = None,
        *,
        footer: Mapping[str, str] = MappingProxyType({}),
    ) -> list[Finding]:
        """Replaces a partition in one step.

        The rows are written aside, checked against the table's declaration and moved into place.
        A reader sees the old rows or the new ones; of several writers the last to finish wins.

        Args:
            table: The table.
            rows: Batches in the table's columns, but for the partition's; types are cast where no
                value is lost.
            provenance: What goes into the footer.
            checkpoint: The partition, for partitioned tables.
            footer: Further key-value pairs for the footer.

        Returns:
            What the checks found, all of them passed.

        Raises:
            RejectedError: The rows break the declaration; the partition is as it was.
        """
        from warehouse.checks import check_file

        target = self.path(table, checkpoint)
        self.staging.mkdir(parents=True, exist_ok=True)
        unfinished = self.staging / f"{table.name}.{uuid.uuid4().hex}.parquet"
        try:
            write_parquet(
                unfinished, table.arrow_schema, rows, {**footer, **provenance.to_footer()}
            )
            findings = check_file(table, unfinished, self)
            if not all(finding.passed for finding in findings):
                rejected = self.staging / "rejected" / f"{table.name}.{checkpoint or 'all'}.parquet"
                rejected.parent.mkdir(exist_ok=True)
                unfinished.replace(rejected)
                raise RejectedError(table, findings, rejected)
            target.parent.mkdir(parents=True, exist_ok=True)
            unfinished.replace(target)
        finally:
            unfinished.unlink(missing_ok=True)
        return findings

    def remove(self, table: Table, checkpoint: str) -> None:
        """Removes a checkpoint's partition, if there is one."""
        shutil.rmtree(self.path(table, checkpoint).parent, ignore_errors=True)


def write_parquet(
    path: Path, schema: pa.Schema, rows: Iterable[pa.RecordBatch], footer: dict[str, str]
) -> None:
    """Writes batches to a file, each cast to the schema.

    Raises:
        ValueError: A batch lacks a column, or a value does not fit its column's type.
    """
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in rows:
            missing = [name for name in schema.names if name not in batch.schema.names]
            if missing:
                raise ValueError(f"rows lack the columns {', '.join(missing)}")
            try:
                cast = batch.select(schema.names).cast(schema)
            except pa.ArrowInvalid as error:
                raise ValueError(f"a value does not fit its column: {error}") from error
            writer.write_batch(cast)
        writer.add_key_value_metadata(footer)
