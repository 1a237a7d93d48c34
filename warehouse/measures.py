"""Reading what a measure's SQL file says of itself: all that a measure is, beside its query.

A file opens with comments: what it measures, an empty comment line, and then keys and values:

    -- reads:      ngram_sharing
    -- item:       prompt
    -- statistic:  mean
    -- format:     share
    -- says:       {value} of a prompt's generations hold its most common {level}-gram

A value ends with its line; a line that begins with more spaces goes on. `$key` in it stands for
what the study says, as it does in the query. `KEYS` says what each key means.

The query gives `checkpoint`, `collection`, `item`, `numerator` and `denominator`, and those of
`decoding`, `other`, `condition`, `unit` and `level` that it has. An item that the measure is not
defined for has a null numerator, and is left out.
"""

from __future__ import annotations

import difflib
import math
import re
import string
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from warehouse.declarations import DeclarationError, read_text, used_parameters
from warehouse.query import QueryError, check_reads_only
from warehouse.sessions import Limits, bind, create_view, load_vocabulary, needs_vocabulary, session
from warehouse.storage import RejectedError
from warehouse.tables import measure_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from warehouse.lake import Lake
    from warehouse.schema import Table

KEYS = {
    "reads": "tables that the query reads",
    "item": "what is averaged over and paired by",
    "statistic": "how items make one number",
    "format": "what kind of number it is",
    "says": "a sentence's part with {value}, and {level} where there are levels",
    "title": "what charts and tables call it; by default its name",
    "group": "what it is about; by default other",
    "level": "what it comes in several of, such as n or k",
    "headline": "the level that is quoted",
    "floor": "what it is where nothing is shared: an expression of numerator and denominator",
    "comparable": "when two checkpoints may be compared by it",
    "empty": "why it may have no rows",
}
"""The keys of a header, and what they mean."""
REQUIRED = ("reads", "item", "statistic", "format", "says")
ITEMS = ("prompt", "document", "passage")
STATISTICS = ("mean", "pooled", "exp_pooled")
GROUPS = ("prediction", "concentration", "surface", "blueprint", "ability", "other")
"""What measures are about, in the order in which they are shown."""
FORMATS = ("share", "number", "count", "bits", "perplexity", "signed")
COMPARABLE = ("same tokenizer", "same tokenizer, where unit is token")
REST = {"decoding": "-", "other": "-", "condition": "-", "unit": "-", "level": 0}
"""The columns that a query may leave out, and what they are then."""
_GIVEN = ("checkpoint", "collection", "item", "numerator", "denominator")
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_KEY = re.compile(r"([a-z_]+):\s*(.*)")
_NO_TABLE = re.compile(r"Table with name (\w+) does not exist")
_NUMBER = re.compile(r"[0-9]{1,9}")
_SHARED = ("prompts", "documents", "passages")
"""The tables without a checkpoint that a measure may read beside others."""
_MISSPELT = 0.8
"""How alike a word at the beginning of a line and a key are, for it to be taken for that key."""
_ROWS = 100_000


@dataclass(frozen=True)
class Measure:
    """A number that each prompt, document or passage of a checkpoint has.

    Attributes:
        name: Its name, that of its file.
        description: What it measures.
        reads: The tables that its query reads.
        item: What is averaged over and paired by: prompt, document or passage.
        statistic: `mean` of numerator / denominator over items; `pooled`, sum / sum; or
            `exp_pooled`, the exponential of that.
        format: share (0 to 1), number, count, bits or perplexity (none of them negative), or
            signed.
        says: Part of a sentence, with {value} and {level}.
        title: What charts and tables call it.
        group: What it is about, one of `GROUPS`.
        level: What it comes in several of; None where it does not.
        headline: The level that is quoted; None where it is a curve alone.
        floor: What it is where nothing is shared, as an SQL expression; None where it has no floor.
        comparable: When two checkpoints may be compared by it, one of `COMPARABLE`; None for
            always.
        empty: Why it may have no rows; None where that is a mistake.
        header: The comments that declare all this.
        query: The SQL after them.
        path: The file.
    """

    name: str
    description: str
    reads: tuple[str, ...]
    item: str
    statistic: str
    format: str
    says: str
    title: str
    group: str
    level: str | None
    headline: int | None
    floor: str | None
    comparable: str | None
    empty: str | None
    header: str
    query: str
    path: Path

    @property
    def table(self) -> Table:
        """What it fills."""
        return measure_table(self.name, self.description, may_be_empty=self.empty is not None)

    @property
    def is_quoted(self) -> bool:
        """Whether it has a level that is quoted, and is not a curve alone."""
        return self.level is None or self.headline is not None

    def is_headline(self, level: int) -> bool:
        """Whether this is the level that is quoted."""
        return self.is_quoted and level == (self.headline or 0)

    def are_comparable(self, unit: str, tokenizer: str | None, other: str | None) -> bool:
        """Whether two checkpoints may be compared by it.

        Args:
            unit: token, word or -.
            tokenizer: The digest of one's tokenizer; None where it is not known.
            other: That of the other's.
        """
        if self.comparable is None or (self.comparable == COMPARABLE[1] and unit != "token"):
            return True
        return tokenizer is not None and tokenizer == other


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
        measure = _read(path, tables, parameters)
        if path.stem in measures:
            raise DeclarationError(
                f"{path}: there is a measure {path.stem} already, in {measures[path.stem].path}; "
                "rename the file"
            )
        measures[path.stem] = measure
    _check_queries(tuple(measures.values()), tuple(tables.values()), tuple(parameters.items()))
    return sorted(measures.values(), key=lambda m: (GROUPS.index(m.group), m.name))


def _read(path: Path, tables: Mapping[str, Table], parameters: Mapping[str, object]) -> Measure:
    if not _NAME.fullmatch(path.stem):
        raise DeclarationError(
            f"{path}: a measure is named in small letters, digits and _, a letter first; "
            "rename the file"
        )
    text = read_text(path)
    description, values = _read_header(path, text)
    for key in REQUIRED:
        if key not in values:
            raise DeclarationError(f"{path}: needs a line `-- {key}: ...`, {KEYS[key]}")
    for key, value in values.items():
        if not value:
            raise DeclarationError(f"{path}: {key}: has no value; it says {KEYS[key]}")
    _check_one_of(path, "item", values["item"], ITEMS)
    _check_one_of(path, "statistic", values["statistic"], STATISTICS)
    _check_one_of(path, "format", values["format"], FORMATS)
    _check_one_of(path, "group", values.get("group", "other"), GROUPS)
    if "comparable" in values:
        _check_one_of(path, "comparable", values["comparable"], COMPARABLE)
    reads = tuple(dict.fromkeys(name.strip() for name in values["reads"].split(",")))
    of_checkpoints = [name for name, table in tables.items() if table.partitioned]
    for name in reads:
        if name in tables and name not in (*of_checkpoints, *_SHARED):
            raise DeclarationError(
                f"{path}: reads: {name} is of all checkpoints together; allowed are "
                f"{', '.join((*of_checkpoints, *_SHARED))}"
            )
        _check_one_of(path, "reads", name, (*of_checkpoints, *_SHARED))
    if not set(reads) & set(of_checkpoints):
        raise DeclarationError(
            f"{path}: reads: {', '.join(reads)} is the same for every checkpoint; name one of "
            f"{', '.join(of_checkpoints)} too"
        )
    headline = values.get("headline")
    if headline is not None and "level" not in values:
        raise DeclarationError(
            f"{path}: headline: {headline} is a level, and there is no line `-- level: ...`"
        )
    if headline is not None and not _NUMBER.fullmatch(headline):
        raise DeclarationError(f"{path}: headline: {headline!r} must be a whole number")
    query = _after_comments(text)
    words = {name: _spelled(value) for name, value in parameters.items()}
    values = {key: _with_words(path, key, value, words) for key, value in values.items()}
    description = _with_words(path, "its first line", description, words)
    _check_says(path, values["says"], has_level="level" in values)
    return Measure(
        name=path.stem,
        description=description,
        reads=reads,
        item=values["item"],
        statistic=values["statistic"],
        format=values["format"],
        says=values["says"],
        title=values.get("title") or path.stem.replace("_", " "),
        group=values.get("group", "other"),
        level=values.get("level"),
        headline=None if headline is None else int(headline),
        floor=values.get("floor"),
        comparable=values.get("comparable"),
        empty=values.get("empty"),
        header=text[: len(text) - len(query)],
        query=query,
        path=path,
    )


def _read_header(path: Path, text: str) -> tuple[str, dict[str, str]]:
    """What a file says first, and its keys with their values."""
    description: list[str] = []
    values: dict[str, str] = {}
    key = ""
    for comment in text.splitlines():
        if not comment.startswith("--"):
            break
        line = comment.removeprefix("--")
        content = line.strip()
        indent = len(line) - len(line.lstrip())
        match = _KEY.fullmatch(content) if indent <= 1 else None
        if match and (key or difflib.get_close_matches(match[1], KEYS, 1, _MISSPELT)):
            key = match[1]
            if key not in KEYS:
                raise DeclarationError(
                    f"{path}: there is no key `{key}:`{_meant(key, tuple(KEYS))}; keys are "
                    f"{', '.join(KEYS)}"
                )
            if key in values:
                raise DeclarationError(f"{path}: the key `{key}:` stands twice; leave one")
            values[key] = match[2]
        elif key and content and indent > 1:
            values[key] = f"{values[key]} {content}".strip()
        elif key and content:
            raise DeclarationError(
                f"{path}: {content!r} is neither `key: value` nor goes on with {key}; keys are "
                f"{', '.join(KEYS)}, and what goes on begins with more spaces"
            )
        elif not key and content:
            description.append(content)
    if not description:
        raise DeclarationError(f"{path}: its first comment line must say what it measures")
    return " ".join(description), values


def _after_comments(text: str) -> str:
    """A file from its first line that is no comment."""
    lines = text.splitlines(keepends=True)
    first = next((i for i, line in enumerate(lines) if not line.startswith("--")), len(lines))
    return "".join(lines[first:])


def _with_words(path: Path, key: str, text: str, words: Mapping[str, str]) -> str:
    """A text with what the study says in the place of `$name`."""
    template = string.Template(text)
    if unknown := [name for name in template.get_identifiers() if name not in words]:
        raise DeclarationError(
            f"{path}: {key}: uses ${unknown[0]}; there are {', '.join('$' + w for w in words)}"
        )
    return template.safe_substitute(words)


def _spelled(value: object) -> str:
    """A study's value as sentences have it."""
    if isinstance(value, float):
        return f"{value:g}".replace("e-0", "e-")
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _check_one_of(path: Path, key: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise DeclarationError(
            f"{path}: {key}: {value!r} is not allowed{_meant(value, allowed)}; allowed are "
            f"{('; ' if any(',' in one for one in allowed) else ', ').join(allowed)}"
        )


def _meant(word: str, allowed: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, allowed, n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _check_says(path: Path, says: str, *, has_level: bool) -> None:
    allowed = ("{value}", "{level}") if has_level else ("{value}",)
    try:
        # A field as it stands: with its conversion and format, which texts cannot have.
        fields = {
            f"{{{name}{f'!{conversion}' if conversion else ''}{f':{form}' if form else ''}}}"
            for _, name, form, conversion in string.Formatter().parse(says)
            if name is not None
        }
    except ValueError as error:
        raise DeclarationError(f"{path}: says: {says!r}: {error}") from None
    if unknown := sorted(fields - set(allowed)):
        raise DeclarationError(
            f"{path}: says: {unknown[0]} is not allowed; allowed are {' and '.join(allowed)}"
            + ("" if has_level else ", and {level} where there is a line `-- level: ...`")
        )
    if "{value}" not in fields:
        raise DeclarationError(f"{path}: says: needs {{value}}, where the value is to stand")


@lru_cache
def _check_queries(
    measures: tuple[Measure, ...],
    tables: tuple[Table, ...],
    parameters: tuple[tuple[str, object], ...],
) -> None:
    """Runs every query, and the floors' expressions, over empty tables."""
    by_name = {table.name: table for table in tables}
    with session() as connection:
        words_are_over = [table for table in tables if needs_vocabulary([table])]
        for table in words_are_over:
            create_view(connection, table, files=[])
        load_vocabulary(connection)
        for table in words_are_over:
            connection.execute(f"drop view {table.name}")
        for measure in measures:
            for name in measure.reads:
                create_view(connection, by_name[name], files=[])
            try:
                _check_query(measure, connection, dict(parameters))
            except (QueryError, DeclarationError, duckdb.Error) as error:
                undeclared = _undeclared(measure, by_name, error)
                raise DeclarationError(f"{measure.path}: {undeclared or error}") from error
            for name in measure.reads:
                connection.execute(f"drop view {name}")


def _check_query(
    measure: Measure, connection: duckdb.DuckDBPyConnection, parameters: Mapping[str, object]
) -> None:
    used = used_parameters(measure.query, parameters)
    check_reads_only(connection, measure.query)
    relation = connection.sql(measure.query, params=used)
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
    _as_stored(replace(measure, floor=None), relation)
    if measure.floor is not None:
        try:
            _as_stored(measure, relation)
        except duckdb.Error as error:
            raise DeclarationError(f"floor: {measure.floor}: {error}") from error


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
        bind(connection, lake, tables, [checkpoint])
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
