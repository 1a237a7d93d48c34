"""Writing a query's result: to look at, or for other programs."""

from __future__ import annotations

import csv
import json
import math
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import duckdb

_BATCH_ROWS = 10_000


class ResultError(ValueError):
    """A result that cannot be written as it was asked for."""


def write_result(
    result: duckdb.DuckDBPyRelation, form: str | None = None, path: Path | None = None
) -> None:
    """Writes a result to a file or to standard output.

    Args:
        result: The result.
        form: table, csv, json (an array of objects, lists as arrays) or parquet; by default what
            the file's ending says, or table.
        path: The file; by default standard output.

    Raises:
        ResultError: The format is not one for where it is to go.
    """
    endings = {".csv": "csv", ".json": "json", ".parquet": "parquet", ".txt": "table"}
    if form is None:
        if path is not None and path.suffix not in endings:
            raise ResultError(f"{path} does not tell its format; add --format csv, json or parquet")
        form = endings[path.suffix] if path else "table"
    if form != "table" and len(set(result.columns)) < len(result.columns):
        raise ResultError("two columns of the result have one name; rename one with AS")
    if form == "parquet" and path is None:
        raise ResultError("parquet goes into a file: name it with -o")
    if path is None:
        _WRITERS[form](result, sys.stdout)
        return
    target = path.resolve()
    # A file appears whole or not at all; a device or a pipe is written to, never replaced.
    whole = target.is_file() or not target.exists()
    unfinished = target.with_name(f".{target.name}.unfinished") if whole else target
    try:
        if form == "parquet":
            _write_parquet(result, unfinished)
        else:
            with unfinished.open("w", encoding="utf-8", newline="") as file:
                _WRITERS[form](result, file)
        if whole:
            unfinished.replace(target)
    except (OSError, pa.ArrowException) as error:
        raise ResultError(f"{path} cannot be written: {error}") from None
    finally:
        if whole:
            unfinished.unlink(missing_ok=True)


def _write_table(result: duckdb.DuckDBPyRelation, file: TextIO) -> None:
    file.write(str(result))  # boxes, long results shortened, as DuckDB's own shell shows them


def _write_csv(result: duckdb.DuckDBPyRelation, file: TextIO) -> None:
    writer = csv.writer(file)
    writer.writerow(result.columns)
    for row in _rows(result):
        writer.writerow(
            [json.dumps(v, default=str) if isinstance(v, list | dict) else v for v in row.values()]
        )


def _write_json(result: duckdb.DuckDBPyRelation, file: TextIO) -> None:
    separator = "[\n"
    for row in _rows(result):
        file.write(separator + json.dumps(_plain(row), ensure_ascii=False, default=str))
        separator = ",\n"
    file.write("[]\n" if separator == "[\n" else "\n]\n")


_WRITERS = {"table": _write_table, "csv": _write_csv, "json": _write_json}


def _write_parquet(result: duckdb.DuckDBPyRelation, path: Path) -> None:
    reader = result.to_arrow_reader(_BATCH_ROWS)
    with pq.ParquetWriter(path, reader.schema, compression="zstd") as writer:
        for batch in reader:
            writer.write_batch(batch)


def _rows(result: duckdb.DuckDBPyRelation) -> Iterator[dict[str, Any]]:
    for batch in result.to_arrow_reader(_BATCH_ROWS):
        yield from batch.to_pylist()


def _plain(value: Any) -> Any:
    """Sums become numbers again, and numbers that JSON cannot write null."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
