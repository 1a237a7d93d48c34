"""Putting rows into a table: one file a partition, replaced in one step, or not at all."""

from __future__ import annotations

from collections import ChainMap
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.checks import Finding, check_file
from warehouse.integrity import UNSEALED, seal
from warehouse.places import OvertakenError
from warehouse.schema import PARTITION_COLUMN
from warehouse.scratch import scratch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, MutableMapping
    from pathlib import Path

    from warehouse.lake import Lake, Provenance
    from warehouse.schema import Table

_GROUP_ROWS = 122_880
"""A row group is closed once it has so many rows, as in DuckDB's own files."""
_GROUP_BYTES = 16 << 20
"""Or so many bytes in memory. No batch adds more, so it has less than twice as many."""


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


def write_table(
    lake: Lake,
    table: Table,
    rows: Iterable[pa.RecordBatch],
    provenance: Provenance,
    checkpoint: str | None = None,
    *,
    footer: MutableMapping[str, str] | None = None,
) -> list[Finding]:
    """Replaces a partition in one step.

    The rows are written aside, checked against the table's declaration and moved into place.
    A reader sees the old rows or the new ones. In a folder the last of several writers wins; in a
    bucket, the first.

    Args:
        lake: The lake.
        table: The table.
        rows: Batches in the table's columns, but for the partition's; types are cast where no
            value is lost.
        provenance: What goes into the footer.
        checkpoint: The partition, for partitioned tables.
        footer: Further key-value pairs for the footer, read once the rows are written.

    Returns:
        What the checks found, all of them passed.

    Raises:
        RejectedError: The rows break the declaration; the partition is as it was.
        OvertakenError: Another machine published other rows since this one last looked.
    """
    target = lake.path(table, checkpoint)
    name = table.name.replace("/", ".")
    with scratch(lake) as folder:
        unfinished = folder / f"{name}.parquet"
        rows_of_partition = _of_partition(rows, checkpoint) if table.partitioned else rows
        write_parquet(
            unfinished,
            table.arrow_schema,
            rows_of_partition,
            ChainMap(provenance.to_footer(), {} if footer is None else footer),
        )
        findings = check_file(table, unfinished, lake)
        if not all(finding.passed for finding in findings):
            rejected = lake.staging / "rejected" / f"{name}.{checkpoint or 'all'}.parquet"
            rejected.parent.mkdir(exist_ok=True)
            unfinished.replace(rejected)
            raise RejectedError(table, findings, rejected)
        try:
            lake.place.publish(lake.root, unfinished, target)
        except OvertakenError:
            # It may have made the same rows.
            theirs = lake.provenance(table, checkpoint)
            if theirs is None or theirs.data_version != provenance.data_version:
                raise
        else:
            lake.written(target)
    return findings


def _of_partition(
    rows: Iterable[pa.RecordBatch], checkpoint: str | None
) -> Iterator[pa.RecordBatch]:
    """Passes rows on; those that name a partition must name their own."""
    for batch in rows:
        if PARTITION_COLUMN in batch.schema.names:
            others = set(batch.column(PARTITION_COLUMN).to_pylist()) - {checkpoint}
            if others:
                raise ValueError(f"rows of {checkpoint} name the checkpoint {others.pop()!r}")
        yield batch


def write_parquet(
    path: Path, schema: pa.Schema, rows: Iterable[pa.RecordBatch], footer: Mapping[str, str]
) -> None:
    """Writes batches to a file, each cast to the schema, with a digest of the whole file.

    Raises:
        ValueError: A batch lacks a column, or a value does not fit its column's type.
    """
    floats, others = _leaves(schema)
    with pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        use_dictionary=others,
        use_byte_stream_split=floats,
    ) as writer:
        for group in _row_groups(_as_declared(batch, schema) for batch in rows):
            writer.write_table(group)
        writer.add_key_value_metadata({**footer, **UNSEALED})
    seal(path)


def _leaves(schema: pa.Schema) -> tuple[list[str], list[str]]:
    """Parquet's names of REAL columns, and of others.

    Models' numbers are REAL, and hardly any two are alike. A dictionary of them only adds to them.
    Their bytes, put in order by significance, take two thirds of the room.
    """
    floats: list[str] = []
    others: list[str] = []
    for field in schema:
        name, kind = field.name, field.type
        while pa.types.is_list(kind):
            name, kind = f"{name}.list.element", kind.value_type
        (floats if pa.types.is_float32(kind) else others).append(name)
    return floats, others


def _as_declared(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    missing = [name for name in schema.names if name not in batch.schema.names]
    if missing:
        raise ValueError(f"rows lack the columns {', '.join(missing)}")
    try:
        return batch.select(schema.names).cast(schema)
    except pa.ArrowInvalid as error:
        raise ValueError(f"a value does not fit its column: {error}") from error


def _row_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The rows in tables of a useful size, however they come: each is read by one thread."""
    waiting: list[pa.RecordBatch] = []
    n_rows = n_bytes = 0
    for batch in batches:
        rows_of_size = _GROUP_BYTES * len(batch) // max(1, batch.nbytes)
        step = min(_GROUP_ROWS, max(1, rows_of_size))
        for start in range(0, len(batch), step):
            piece = batch.slice(start, step)
            waiting.append(piece)
            n_rows, n_bytes = n_rows + len(piece), n_bytes + piece.nbytes
            if n_rows >= _GROUP_ROWS or n_bytes >= _GROUP_BYTES:
                yield pa.Table.from_batches(waiting)
                waiting, n_rows, n_bytes = [], 0, 0
    if waiting:
        yield pa.Table.from_batches(waiting)
