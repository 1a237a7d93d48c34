"""Measures: reading their files, and asking their queries.

A query gives `checkpoint`, `collection`, `item`, `numerator` and `denominator`, and those of
`decoding`, `other`, `condition`, `unit` and `level` that it has. An item that the measure is not
defined for has a null numerator, and is left out. What stands before a query is read by
`warehouse.measure_headers`.
"""

from __future__ import annotations

import math
import re
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from warehouse.beside import create_pair
from warehouse.declarations import DeclarationError, used_parameters
from warehouse.measure_headers import GROUPS, Measure, read_measure
from warehouse.rehearsal import rehearsal
from warehouse.sessions import Limits, bind, confine, session
from warehouse.statements import QueryError, read_statement
from warehouse.storage import RejectedError
from warehouse.vocabulary import load_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from warehouse.beside import BasePair
    from warehouse.lake import Lake
    from warehouse.schema import Table

REST = {"decoding": "-", "other": "-", "condition": "-", "unit": "-", "level": 0}
"""The columns that a query may leave out, and what they are then."""
_GIVEN = ("checkpoint", "collection", "item", "numerator", "denominator")
_NO_TABLE = re.compile(r"Table with name (\w+) does not exist")
_ROWS = 100_000


def read_measures(
    folders: Sequence[Path], tables: Mapping[str, Table], parameters: Mapping[str, object]
) -> list[Measure]:
    """Reads every file `*.sql` of some folders, in the order of their groups and names.

    Args:
        folders: The folders.
        tables: The tables that there are, by name.
        parameters: What queries may use as `$name`.

    Raises:
        DeclarationError: A file does not declare what it must, or its query does not run or does
            not give what a measure needs.
    """
    measures: dict[str, Measure] = {}
    for path in (path for folder in folders for path in sorted(folder.glob("*.sql"))):
        measure = read_measure(path, tables, parameters)
        if path.stem in measures:
            raise DeclarationError(
                f"{path}: there is a measure {path.stem} already, in {measures[path.stem].path}; "
                "rename the file"
            )
        measures[path.stem] = measure
    for measure in measures.values():
        _check(measure, tables, parameters)
    return sorted(measures.values(), key=lambda m: (GROUPS.index(m.group), m.name))


def _check(measure: Measure, tables: Mapping[str, Table], parameters: Mapping[str, object]) -> None:
    try:
        used = used_parameters(measure.query, parameters)
        read = tuple(tables[name] for name in measure.reads)
        _check_query(measure, read, tuple(used.items()))
    except (QueryError, DeclarationError, duckdb.Error) as error:
        undeclared = _undeclared(measure, tables, error)
        raise DeclarationError(f"{measure.path}: {undeclared or error}") from error


@lru_cache(maxsize=1024)
def _check_query(
    measure: Measure, read: tuple[Table, ...], parameters: tuple[tuple[str, object], ...]
) -> None:
    """Runs a measure's query, and its floor's expression, over empty tables."""
    with rehearsal(read, beside_base=measure.beside_base) as connection:
        statement = read_statement(connection, measure.query)
        relation = connection.sql(statement.text, params=dict(parameters))
        _check_columns(measure, relation)
        _as_stored(replace(measure, floor=None), relation)
        if measure.floor is not None:
            try:
                read_statement(connection, f"select {measure.floor}")
                _as_stored(measure, relation)
            except (QueryError, duckdb.Error) as error:
                raise DeclarationError(f"floor: {measure.floor}: {error}") from error


def _check_columns(measure: Measure, relation: duckdb.DuckDBPyRelation) -> None:
    given = relation.columns
    allowed = f"a measure's columns are {', '.join(_GIVEN)}, and as it needs them {', '.join(REST)}"
    if missing := [name for name in _GIVEN if name not in given]:
        raise DeclarationError(f"its query lacks the column {', '.join(missing)}; {allowed}")
    if unknown := [name for name in given if name not in (*_GIVEN, *REST)]:
        raise DeclarationError(f"its query has a column {', '.join(unknown)}; {allowed}")
    if twice := [name for name in (*_GIVEN, *REST) if given.count(name) > 1]:
        raise DeclarationError(f"its query has the column {', '.join(twice)} twice; leave one")
    if measure.level is not None and "level" not in given:
        raise DeclarationError(
            f"level: is {measure.level}, and its query has no column `level`; add it, or leave "
            "the line out"
        )
    if measure.level is None and "level" in given:
        raise DeclarationError(
            "its query has a column `level`; say what that is in a line `-- level: ...`"
        )


def _undeclared(measure: Measure, tables: Mapping[str, Table], error: Exception) -> str | None:
    """What to say where a query does not run as it reads a table that it does not declare."""
    match = _NO_TABLE.search(str(error))
    name = match[1].lower() if match else ""
    if name in tables:
        return f"its query reads {name}; name it in `reads:`"
    return None


def _as_stored(measure: Measure, rows: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """A query's rows in the columns and types that are stored."""
    columns = []
    for column in measure.table.columns:
        if column.name == "floor" and measure.floor is not None:
            expression = duckdb.SQLExpression(measure.floor)
        elif column.name == "floor":
            expression = duckdb.ConstantExpression(None)
        elif column.name in rows.columns:
            expression = duckdb.ColumnExpression(column.name)
        else:
            expression = duckdb.ConstantExpression(REST[column.name])
        columns.append(expression.cast(column.type).alias(column.name))
    return rows.select(*columns)


def values_of(
    measure: Measure, connection: duckdb.DuckDBPyConnection, parameters: Mapping[str, object]
) -> duckdb.DuckDBPyRelation:
    """A measure's rows, as they are stored, of the tables that are views of a connection."""
    used = used_parameters(measure.query, parameters)
    return _as_stored(measure, connection.sql(measure.query, params=used))


@contextmanager
def measured(
    measure: Measure,
    lake: Lake,
    tables: Sequence[Table],
    *,
    checkpoint: str,
    pair: BasePair | None = None,
    parameters: Mapping[str, object],
    left_out: Callable[[int], None] = lambda n: None,
    limits: Limits | None = None,
) -> Iterator[Iterator[pa.RecordBatch]]:
    """Asks a measure of a checkpoint.

    Args:
        measure: The measure.
        lake: The lake.
        tables: The tables that it reads.
        checkpoint: The checkpoint.
        pair: It and its base, for a query that reads the base beside it.
        parameters: What its query may use as `$name`.
        left_out: Told how many items of a batch the measure is not defined for.
        limits: The session's limits.

    Yields:
        Its rows in batches; they can be read until the context ends.

    Raises:
        DeclarationError: A value is not as the file declares; reading the rows raises it.
        RejectedError: An item repeats, or there is none. Writing the rows raises it, and it is
            told here what is wrong with the file.
    """
    with session(lake, limits) as connection:
        names = [checkpoint, *([pair.other] if pair else [])]
        files = bind(connection, lake, tables, names)
        load_words(connection, measure.query)
        if measure.beside_base:
            create_pair(connection, pair)
        confine(connection, files)
        try:
            reader = values_of(measure, connection, parameters).to_arrow_reader(_ROWS)
            yield _checked(measure, reader, left_out)
        except duckdb.DataError as error:
            raise DeclarationError(f"{measure.path}: {error}") from error
        except RejectedError as error:
            error.args = (f"{measure.path}: {_why(measure, checkpoint, error)}",)
            raise


def _why(measure: Measure, checkpoint: str, rejected: RejectedError) -> str:
    """What is wrong with a measure's rows that break the declaration of its table."""
    rows = pq.ParquetFile(rejected.kept_at).read()
    if not len(rows):
        return (
            f"gives {checkpoint} no value; where that is right, say when with a line "
            "`-- empty: ...`"
        )
    grain = list(measure.table.stored_grain)
    for name in grain:
        if rows[name].null_count:
            return f"gives {checkpoint} a row without {name}"
    counts = rows.group_by(grain).aggregate([([], "count_all")])
    row = counts.filter(pc.greater(counts["count_all"], 1)).slice(0, 1).to_pylist()[0]
    return (
        f"gives {checkpoint} {row['count_all']} rows of {row['collection']}/{row['item']}, and an "
        f"item has one for each {', '.join(name for name in REST)}"
    )


def _checked(
    measure: Measure, batches: Iterator[pa.RecordBatch], left_out: Callable[[int], None]
) -> Iterator[pa.RecordBatch]:
    """Passes on the items that the measure is defined for."""
    for batch in batches:
        rows = batch.filter(pc.is_valid(batch["numerator"]))
        left_out(len(batch) - len(rows))
        _check_values(measure, rows)
        yield rows


def _check_values(measure: Measure, rows: pa.RecordBatch) -> None:
    numerators, denominators = rows["numerator"], rows["denominator"]
    values = pc.divide(numerators, denominators)
    wrong: dict[str, Any] = {
        "its denominator must be over 0": pc.invert(
            pc.and_(
                pc.is_finite(denominators.fill_null(math.nan)),
                pc.greater(denominators.fill_null(0), 0),
            )
        ),
        "its value must be a finite number": pc.invert(pc.is_finite(numerators)),
    }
    if measure.format != "signed":
        reason = f"format: {measure.format}: its value cannot be negative; signed is what may be"
        wrong[reason] = pc.less(numerators, 0)
    if measure.format == "share":
        wrong["format: share: its value cannot be over 1"] = pc.greater(values, 1 + 1e-9)
    for reason, which in wrong.items():
        if pc.any(which).as_py():
            row = rows.filter(which).slice(0, 1).to_pylist()[0]
            number = " / ".join(
                "null" if row[name] is None else f"{row[name]:g}"
                for name in ("numerator", "denominator")
            )
            raise DeclarationError(
                f"{measure.path}: {reason}; of {row['collection']}/{row['item']} it gives {number}"
            )
