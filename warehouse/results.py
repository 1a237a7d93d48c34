"""Writing a query's result: to look at, or for other programs."""

from __future__ import annotations

import csv
import io
import json
import math
from contextlib import contextmanager, nullcontext
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

_BATCH_ROWS = 10_000


class ResultError(ValueError):
    """A result that cannot be written as it was asked for."""


def format_of(form: str | None, path: Path | None) -> str:
    """The format of a result: the one that was asked for, or what the file's ending says.

    Args:
        form: table, csv, json (an array of objects, lists as arrays) or parquet.
        path: The file; None for standard output, which gets a table.

    Raises:
        ResultError: The ending says none, or the format is not one for where it is to go.
    """
    endings = {".csv": "csv", ".json": "json", ".parquet": "parquet", ".txt": "table"}
    if form is None:
        if path is not None and path.suffix not in endings:
            raise ResultError(f"{path} does not tell its format; add --format csv, json or parquet")
        form = endings[path.suffix] if path else "table"
    if form == "parquet" and path is None:
        raise ResultError("parquet goes into a file: name it with -o")
    return form


def write_result(
    result: duckdb.DuckDBPyRelation,
    form: str,
    to: Path | BinaryIO,
    *,
    called: str = "standard output",
    terminal: bool = False,
) -> None:
    """Writes a result.

    Args:
        result: The result.
        form: table, csv, json or parquet.
        to: The file.
        called: What errors call it.
        terminal: Whether people see it in a terminal. Models write texts that could command one, so
            control characters are then escaped in all formats, as they always are in a table.

    Raises:
        ResultError: The format is not one for this result, or it cannot be written.
        duckdb.Error: The query fails.
    """
    if form != "table" and len(set(result.columns)) < len(result.columns):
        raise ResultError("two columns of the result have one name; rename one with AS")
    try:
        with to.open("wb") if isinstance(to, Path) else nullcontext(to) as file:
            if form == "parquet":
                _write_parquet(result, file)
            else:
                text = io.TextIOWrapper(file, encoding="utf-8", newline="")
                _WRITERS[form](result, text, terminal or file.isatty())
                text.detach()
    except OSError as error:
        raise ResultError(f"{called} cannot be written: {reason(error)}") from None


def reason(error: Exception) -> str:
    """Why a file cannot be written, without its name."""
    return str(getattr(error, "strerror", None) or error)


def _write_table(result: duckdb.DuckDBPyRelation, file: TextIO, terminal: bool) -> None:
    if result.columns == ["explain_key", "explain_value"]:
        table = "".join(plan for _, plan in result.fetchall())
    else:
        table = str(result)  # boxes, long results shortened, as DuckDB's own shell shows them
    # DuckDB escapes some of these characters itself, and the rest is escaped always.
    file.write("\n".join(printable(line, one_line=True) for line in table.split("\n")))


def _write_csv(result: duckdb.DuckDBPyRelation, file: TextIO, terminal: bool) -> None:
    writer = csv.writer(file)
    shown = partial(printable, one_line=True) if terminal else str
    writer.writerow([shown(name) for name in result.columns])
    for row in _rows(result):
        writer.writerow([shown(_field(value)) for value in row.values()])


def _field(value: Any) -> str:
    if value is None:
        return ""
    return json.dumps(value, default=str) if isinstance(value, list | dict) else str(value)


def _write_json(result: duckdb.DuckDBPyRelation, file: TextIO, terminal: bool) -> None:
    separator = "[\n"
    for row in _rows(result):
        text = json.dumps(_plain(row), ensure_ascii=False, default=str)
        file.write(separator + (printable(text, one_line=True) if terminal else text))
        separator = ",\n"
    file.write("[]\n" if separator == "[\n" else "\n]\n")


_WRITERS = {"table": _write_table, "csv": _write_csv, "json": _write_json}


def _write_parquet(result: duckdb.DuckDBPyRelation, file: BinaryIO) -> None:
    reader = _reader(result)
    try:
        with pq.ParquetWriter(file, reader.schema, compression="zstd") as writer:
            for batch in _batches(reader):
                writer.write_batch(batch)
    except pa.ArrowException as error:
        raise ResultError(f"the result cannot be written as parquet: {error}") from None


def _rows(result: duckdb.DuckDBPyRelation) -> Iterator[dict[str, Any]]:
    for batch in _batches(_reader(result)):
        yield from batch.to_pylist()


def _reader(result: duckdb.DuckDBPyRelation) -> pa.RecordBatchReader:
    with _as_of_duckdb():
        return result.to_arrow_reader(_BATCH_ROWS)


def _batches(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    with _as_of_duckdb():
        yield from reader


@contextmanager
def _as_of_duckdb() -> Iterator[None]:
    """Gives errors of a query their kind, as Arrow passes them on as its own."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        out_of_memory = str(error).startswith("Out of Memory")
        kind = duckdb.OutOfMemoryException if out_of_memory else duckdb.Error
        raise kind(str(error)) from error


def _plain(value: Any) -> Any:
    """Sums become numbers again, and numbers that JSON cannot write null."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
