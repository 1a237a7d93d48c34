"""What every table is held to, generated from its declaration."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.sessions import Limits, session

if TYPE_CHECKING:
    from warehouse.lake import Lake
    from warehouse.schema import Table

CHECKS = ("schema_as_declared", "grain_unique_and_not_null", "not_empty")
_GRAIN = Path(__file__).with_name("grain.sql").read_text(encoding="utf-8")
_FEW = 100_000
"""Rows whose grain is looked at in memory: opening a session takes longer than that does."""
_MEMORY = 1 << 30
"""Bytes that rows which do not stand in the order of their grain take at most; then they spill."""


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        check: One of `CHECKS`.
        passed: Whether the file is as it must be.
        detail: What was found, in a few words.
    """

    check: str
    passed: bool
    detail: str


def check_file(table: Table, path: Path, lake: Lake) -> list[Finding]:
    """Holds a file against its table's declaration.

    Args:
        table: The declaration.
        path: The Parquet file.
        lake: Where a session may spill.

    Returns:
        A finding for each of `CHECKS`.
    """
    schema = pq.read_schema(path).remove_metadata()
    as_declared = schema.equals(table.arrow_schema)
    n_rows = pq.read_metadata(path).num_rows
    bad = _bad_grain_rows(table, path, lake) if as_declared else 0
    return [
        Finding(
            "schema_as_declared",
            as_declared,
            "as declared"
            if as_declared
            else f"found {_one_line(schema)}, declared {_one_line(table.arrow_schema)}",
        ),
        Finding(
            "grain_unique_and_not_null",
            bad == 0,
            f"{bad} of {n_rows} rows repeat their ({', '.join(table.grain)}) or have a null in it",
        ),
        Finding("not_empty", n_rows > 0 or table.may_be_empty, f"{n_rows} rows"),
    ]


def _bad_grain_rows(table: Table, path: Path, lake: Lake) -> int:
    n_rows = int(pq.read_metadata(path).num_rows)
    if not table.stored_grain:  # the partition is the grain: one row
        return max(0, n_rows - 1)
    types = [table.arrow_schema.field(name).type for name in table.stored_grain]
    if n_rows <= _FEW and all(map(_are_equal_alike, types)):
        return _bad_in_memory(pq.ParquetFile(path).read(columns=[*table.stored_grain]))
    columns = [duckdb.ColumnExpression(name) for name in table.stored_grain]
    first = duckdb.ConstantExpression(0)  # where the grain is one column, nothing leads it
    with session(lake, Limits(memory=min(_MEMORY, Limits().memory))) as connection:
        rows = connection.read_parquet(str(path), hive_partitioning=False)
        rows.select(
            duckdb.FunctionExpression("row", first, *columns[:-1]).alias("prefix"),
            columns[-1].alias("last_value"),
            reduce(or_, (column.isnull() for column in columns)).alias("gap"),
        ).create_view("keys")
        (bad,) = connection.execute(_GRAIN).fetchone() or (0,)
    return int(bad)


def _are_equal_alike(type_: pa.DataType) -> bool:
    """Whether Arrow takes those values for equal that DuckDB does, as it does not for 0 and -0."""
    return bool(pa.types.is_string(type_) or pa.types.is_integer(type_))


def _bad_in_memory(keys: pa.Table) -> int:
    """What `grain.sql` counts."""
    different = keys.group_by(keys.column_names, use_threads=False).aggregate([])
    return 2 * len(keys) - len(different) - len(keys.drop_null())


def _one_line(schema: object) -> str:
    return str(schema).replace("\n", ", ")
