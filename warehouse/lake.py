"""A lake: where its tables are, and what their files say of themselves."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock

from warehouse.schema import PARTITION_COLUMN, Table

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence
    from pathlib import Path

CHECKPOINT_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")
_PREFIX = "anchorlake."
_KEYS = {"data_version": "fingerprint", "parts": "made_of"}
"""What footers call attributes of a provenance; the others have their own names there."""
_DATES_DIFFER = 2 * 10**9
"""Nanoseconds between two changes of a file that every file system gives different dates."""


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
        data_version: Digest of the code's version, the parameters that matter and what was read.
        signature: The same for people, in the manner of sacreBLEU: `p:0.9|T:1|S:100|...`.
        study: The study's name.
        version: The package's version.
        parts: The data version's parts, as JSON, so that it can be told what changed.
    """

    data_version: str
    signature: str
    study: str
    version: str
    parts: str = ""

    def to_dict(self) -> dict[str, str]:
        """Its values, under the keys that lakes have had from the first."""
        return {
            _KEYS.get(field.name, field.name): getattr(self, field.name) for field in fields(self)
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, str]) -> Provenance:
        """Reads them back.

        Raises:
            KeyError: There is no data version.
        """
        _ = values[_KEYS["data_version"]]
        keys = {field.name: _KEYS.get(field.name, field.name) for field in fields(cls)}
        return cls(**{name: values.get(key, "") for name, key in keys.items()})

    def to_footer(self) -> dict[str, str]:
        """The footer's key-value pairs."""
        return {_PREFIX + key: value for key, value in self.to_dict().items()}

    @classmethod
    def from_footer(cls, metadata: Mapping[bytes, bytes] | None) -> Provenance | None:
        """Reads it back; None where the file was not written by a lake."""
        values = {
            key.decode().removeprefix(_PREFIX): value.decode()
            for key, value in (metadata or {}).items()
            if key.startswith(_PREFIX.encode())
        }
        return cls.from_dict(values) if _KEYS["data_version"] in values else None


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
    def weights(self) -> Path:
        """The folder of fine-tuned weights that a study asked to keep."""
        return self.root / "weights"

    @property
    def registered(self) -> Path:
        """The folder of the checkpoints that were taken in later, a file each."""
        return self.root / "registered"

    @property
    def removed(self) -> Path:
        """The folder of the checkpoints that were removed: a folder each, with its tables."""
        return self.root / "removed"

    @property
    def report(self) -> Path:
        """The report."""
        return self.root / "report.html"

    def lock(self, name: str) -> FileLock:
        """A lock that processes on this machine can hold, one at a time."""
        folder = self.staging / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / name)

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
        return sorted(self.root.glob(_files_of(table)))

    def has(self, table: Table) -> bool:
        """Whether a table has any file."""
        return any(self.root.glob(_files_of(table)))

    def pattern(self, table: Table) -> str:
        """A glob that matches a table's files, those to come included."""
        return f"{self.root.absolute()}/{_files_of(table)}"

    def partitions(self, table: Table) -> list[str]:
        """The checkpoints that a partitioned table has rows of."""
        return [path.parent.name.partition("=")[2] for path in self.files(table)]

    def provenance(self, table: Table, checkpoint: str | None = None) -> Provenance | None:
        """Where a partition's rows come from; None where there are none yet."""
        path = self.path(table, checkpoint)
        try:
            status = path.stat()
            # Of files that are replaced within a moment, all that tells them apart may be the same.
            settled = time.time_ns() - status.st_mtime_ns > _DATES_DIFFER
            read = _read_footer if settled else _read_footer.__wrapped__
            return read(path, identity(status))
        except (OSError, pa.ArrowInvalid):  # not there, or damaged: to be made anew
            return None

    def read(
        self, table: Table, checkpoint: str | None = None, columns: Sequence[str] | None = None
    ) -> pa.Table:
        """A partition's rows, without the partition column; all columns, or some.

        Raises:
            FileNotFoundError: There are none yet.
        """
        return pq.ParquetFile(self.path(table, checkpoint)).read(columns)


def _files_of(table: Table) -> str:
    """A glob of a table's files, within the lake."""
    partition = f"{PARTITION_COLUMN}=*/" if table.partitioned else ""
    return f"{table.name}/{partition}data.parquet"


def identity(status: os.stat_result) -> tuple[int, int, int]:
    """What tells a file from the one that stood in its place before."""
    return status.st_size, status.st_mtime_ns, status.st_ino


@lru_cache(maxsize=1 << 16)
def _read_footer(path: Path, which: tuple[int, int, int]) -> Provenance | None:
    """What a file says of itself; remembered for as long as it is the same file."""
    return Provenance.from_footer(pq.read_metadata(path).metadata)
