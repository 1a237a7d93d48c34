"""A lake: where its tables are, and what their files say of themselves."""

from __future__ import annotations

import os
import re
import stat
import time
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock

from warehouse.integrity import Identity, Verified, identity
from warehouse.places import FOLDER, Place, bucket_url, cache_of
from warehouse.schema import PARTITION_COLUMN, Table, is_table_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

CHECKPOINT_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")
_PREFIX = "anchorlake."
_KEYS = {"data_version": "fingerprint", "parts": "made_of"}
"""What footers call attributes of a provenance; the others have their own names there."""
_DATES_DIFFER = 2 * 10**9
"""Nanoseconds between two changes of a file that every file system gives different dates."""
_MANY = 100
"""Files whose footers are rather read together."""
_REMEMBERED = 1 << 17
"""Footers; of more than that all are forgotten and read anew."""
_FOOTERS = Path(__file__).with_name("footers.sql").read_text(encoding="utf-8")


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
    def from_footer(cls, metadata: Mapping[str, str]) -> Provenance | None:
        """Reads it back, with or without the prefix; None where no lake wrote the file."""
        values = {key.removeprefix(_PREFIX): value for key, value in metadata.items()}
        return cls.from_dict(values) if _KEYS["data_version"] in values else None


@dataclass(frozen=True)
class Lake:
    """A folder of tables.

    Attributes:
        root: The folder; made when first written to.
        place: Where its published tables lie, if not there; then the folder holds copies of them.
    """

    root: Path
    place: Place = FOLDER

    @classmethod
    def at(cls, address: str | Path) -> Lake:
        """The lake in a folder, or in a bucket: `s3://bucket/prefix`, also `gs://` and `az://`.

        Raises:
            ValueError: The bucket's address is not one.
        """
        if (url := bucket_url(str(address))) is None:
            return cls(Path(address).expanduser().absolute())
        from warehouse.bucket import Bucket  # its library is an extra

        return cls(cache_of(url), Bucket(url))

    @property
    def address(self) -> str:
        """What `at` finds the lake by."""
        return str(self.place) or str(self.root)

    @property
    def is_in_bucket(self) -> bool:
        """Whether its tables lie in a bucket."""
        return self.place != FOLDER

    def exists(self) -> bool:
        """Whether there is anything where the lake lies."""
        return self.place.exists(self.root)

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
            return self.root / (table.folder or table.name) / "data.parquet"
        if checkpoint is None:
            raise ValueError(f"{table.name} is partitioned by checkpoint, and none was given")
        name = check_checkpoint_name(checkpoint)
        partition = f"{PARTITION_COLUMN}={name}"
        return self.root / (table.folder or table.name) / partition / "data.parquet"

    def published(self, table: Table, checkpoint: str | None = None) -> list[Path]:
        """Where a table's files are, or that of one checkpoint; those that there are.

        Of a lake in a bucket they need not have been copied.
        """
        if checkpoint is None and table.partitioned:
            return self.place.files(self.root, _files_of(table))
        path = self.path(table, checkpoint)
        return self.place.files(self.root, path.relative_to(self.root).as_posix())

    def files(self, table: Table, checkpoint: str | None = None) -> list[Path]:
        """The same, with the rows in them."""
        paths = self.published(table, checkpoint)
        self.place.fetch(self.root, paths)
        return paths

    def footers(self, table: Table, checkpoint: str | None = None) -> list[Path]:
        """The same without: files whose footers are those of the table's files."""
        paths = self.published(table, checkpoint)
        return [self.place.footer(self.root, path) for path in paths]

    def has(self, table: Table, checkpoint: str | None = None) -> bool:
        """Whether a table has any file, or that of one checkpoint."""
        return bool(self.published(table, checkpoint))

    def pattern(self, table: Table) -> str:
        """A glob that matches a table's files, those to come included."""
        return f"{self.root.absolute()}/{self.pattern_within(table)}"

    def pattern_within(self, table: Table) -> str:
        """The same from the lake's folder on."""
        return _files_of(table)

    def partitions(self, table: Table) -> list[str]:
        """The checkpoints that a partitioned table has rows of."""
        return [path.parent.name.partition("=")[2] for path in self.published(table)]

    def files_of(self, checkpoint: str) -> dict[str, Path]:
        """Every table's file of a checkpoint that there is, by the table's folder."""
        file = f"{PARTITION_COLUMN}={check_checkpoint_name(checkpoint)}/data.parquet"
        paths = [
            path
            for folder in ("[!.]*", "[!.]*/*=*")
            for path in self.place.files(self.root, f"{folder}/{file}")
        ]
        return {path.parents[1].relative_to(self.root).as_posix(): path for path in sorted(paths)}

    def undeclared(self, tables: Iterable[Table]) -> dict[str, list[Path]]:
        """Files of folders that are tables and none of these, such as those of a study's own SQL.

        Args:
            tables: The tables that are known.

        Returns:
            The files by the folder's name, of folders whose name can be a table's.
        """
        known = {(table.folder or table.name).partition("/")[0] for table in tables}
        found = {}
        for name in sorted(self.place.folders(self.root)):
            if name not in known and is_table_name(name):
                partitions = f"{name}/{PARTITION_COLUMN}=*/data.parquet"
                found[name] = self.place.files(
                    self.root, f"{name}/data.parquet"
                ) or self.place.files(self.root, partitions)
        return {name: files for name, files in found.items() if files}

    def provenance(self, table: Table, checkpoint: str | None = None) -> Provenance | None:
        """Where a partition's rows come from; None where there are none yet."""
        return self.provenance_at(self.place.footer(self.root, self.path(table, checkpoint)))

    def provenance_at(self, file: Path) -> Provenance | None:
        """Where a file's rows come from; None where it is not there, or damaged."""
        path = str(file)
        try:
            status = os.stat(path)
            if not stat.S_ISREG(status.st_mode):  # a pipe would never end
                return None
            which = identity(status)
            known, provenance = _footers.get(path, (None, None))
            if known != which:
                provenance = _read_footer(path) if self.is_whole(file) else None
                _remember(path, which, provenance)
            return provenance
        except (OSError, pa.ArrowInvalid):  # not there, or no Parquet file
            return None

    def is_whole(self, file: Path, *, anew: bool = False) -> bool:
        """Whether a file holds what was written; reads it where that is not known, or `anew`.

        Raises:
            OSError: It cannot be read.
        """
        return self._verified.is_whole(file, anew=anew)

    def written(self, file: Path) -> None:
        """Has the lake know that a file was written just now, so that it need not be read."""
        self._verified.written(file)

    def damaged(self, files: Iterable[Path], *, anew: bool = False) -> list[Path]:
        """Those of some files that do not hold what was written; one that is gone is none."""
        damaged = []
        for file in files:
            with suppress(FileNotFoundError):
                if not self.is_whole(file, anew=anew):
                    damaged.append(file)
        return damaged

    @property
    def all_files(self) -> list[Path]:
        """Every file of rows that the lake has, those of removed checkpoints included."""
        published = [
            path
            for depth in range(3)
            for path in self.place.files(self.root, f"[!.]*/{'*/' * depth}data.parquet")
        ]
        self.place.fetch(self.root, published)
        return sorted({*published, *self.removed.glob("*/*.parquet")})

    @property
    def _verified(self) -> Verified:
        root = self.root.absolute()
        if root not in _records:
            _records[root] = Verified(self.staging / "verified", root)
        return _records[root]

    def look_ahead(self, tables: Iterable[Table]) -> None:
        """Reads the footers of all tables' files together, where many are not known yet."""
        paths: dict[str, Identity] = {}
        for table in tables:
            for path in self.footers(table):
                with suppress(OSError):  # it may be gone already
                    paths[str(path)] = identity(path.stat())
        unknown = [name for name in paths if _footers.get(name, (None,))[0] != paths[name]]
        if len(unknown) < _MANY:
            return
        footers: dict[str, dict[str, str]] = {name: {} for name in unknown}
        try:
            with duckdb.connect() as connection:
                rows = connection.execute(_FOOTERS, {"files": unknown}).fetchall()
        except duckdb.Error:  # one is damaged; each is read by itself
            return
        for name, key, value in rows:
            footers.setdefault(name, {})[key] = value
        for name in unknown:
            with suppress(OSError):
                if identity(os.stat(name)) == paths[name]:
                    whole = self.is_whole(Path(name))
                    provenance = Provenance.from_footer(footers[name]) if whole else None
                    _remember(name, paths[name], provenance)

    def read(
        self, table: Table, checkpoint: str | None = None, columns: Sequence[str] | None = None
    ) -> pa.Table:
        """A partition's rows, without the partition column; all columns, or some.

        Raises:
            FileNotFoundError: There are none yet.
        """
        path = self.path(table, checkpoint)
        self.place.fetch(self.root, [path])
        return pq.ParquetFile(path).read(columns)


def _files_of(table: Table) -> str:
    """A glob of a table's files, within the lake."""
    partition = f"{PARTITION_COLUMN}=*/" if table.partitioned else ""
    return f"{table.folder or table.name}/{partition}data.parquet"


_records: dict[Path, Verified] = {}
"""What was found of the files of each lake that this process works on."""

_footers: dict[str, tuple[Identity, Provenance | None]] = {}
"""What files said of themselves, by path, and which files they were."""


def _remember(path: str, which: Identity, provenance: Provenance | None) -> None:
    # Of files that are replaced within a moment, all that tells them apart may be the same.
    _, modified, _ = which
    if time.time_ns() - modified > _DATES_DIFFER:
        if len(_footers) >= _REMEMBERED:
            _footers.clear()
        _footers[path] = which, provenance


def _read_footer(path: str) -> Provenance | None:
    """What a file says of itself."""
    metadata = pq.read_metadata(path).metadata or {}
    return Provenance.from_footer(
        {
            key.decode(): value.decode()
            for key, value in metadata.items()
            if key.startswith(_PREFIX.encode())
        }
    )
