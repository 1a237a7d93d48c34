"""Tables of generations: JSON Lines, CSV, Parquet, and datasets of the hub or on the disk."""

from __future__ import annotations

import csv
import json
import math
import re
import sys
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.imports.found import Dropped, Found, reason
from assets.study.errors import InputError, names_of
from assets.study.files import check_is_file, read_jsonl, unreadable_said

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from assets.imports.found import Options

FIELDS = ("prompt_id", "prompt", "sample", "text")
_REQUIRED = ("prompt", "text")
_NO_TEXT_IN_CSV = 'without text (an empty text is "" in CSV)'  # many programs write neither
_LONGEST_LINE = 1 << 30  # bytes
_LINES_WITH_EVERY_KEY = 100
"""Lines of a file that are looked at for the keys that it has."""
_WHOLE = re.compile(r"[0-9]{1,15}(\.0+)?")


def read_json_lines(source: str, options: Options) -> Iterator[Found | Dropped]:
    """Finds the generations of a file of JSON Lines, an object a line.

    Args:
        source: The file.
        options: `columns`, `where` and `split_by` name keys of its objects.

    Raises:
        InputError: It is no such file, or its first lines lack a column.
    """
    path = Path(source)
    lines = read_jsonl(path, {})
    first = list(islice(lines, _LINES_WITH_EVERY_KEY))
    names = list(dict.fromkeys(name for _, row in first for name in row))
    columns = _columns(source, names, options)
    rows = ((f"{path}, line {number}", row) for number, row in chain(first, lines))
    yield from _generations(rows, columns, options)


def read_csv(source: str, options: Options) -> Iterator[Found | Dropped]:
    """Finds the generations of a CSV file with a header; one whose name ends in .tsv has tabs.

    A field with nothing in it is none, one with two quotes is an empty text, as databases write
    them.

    Args:
        source: The file.
        options: `columns` says what is where.

    Raises:
        InputError: It is no such file, or lacks a column.
    """
    import duckdb

    path = Path(source)
    delimiter = "\t" if path.suffix == ".tsv" else ","
    names = _checked_header(path, delimiter)
    columns = _columns(source, names, options)
    types = dict.fromkeys(names, "VARCHAR")  # a text may look like a number or a date
    with duckdb.connect() as connection:
        try:
            result = connection.sql(
                "select * from read_csv(?, columns = ?, delim = ?, auto_detect = false, "
                "header = true, quote = '\"', escape = '\"', nullstr = '', max_line_size = ?, "
                "allow_quoted_nulls = false, parallel = false)",
                params=[_literally(path), types, delimiter, _LONGEST_LINE],
            )
            batches = result.to_arrow_reader(1_000)
            rows = (row for batch in batches for row in batch.to_pylist())
            yield from _generations(
                _numbered(source, rows), columns, options, no_text=_NO_TEXT_IN_CSV
            )
        except duckdb.Error as error:
            raise InputError(
                f"{path} cannot be read as CSV: {reason(error)}; look whether all its lines end "
                "in the same way, and its quotes are doubled within quotes"
            ) from None


def _literally(path: Path) -> str:
    """A path in which nothing stands for other files."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in str(path.absolute()))


def _checked_header(path: Path, delimiter: str) -> list[str]:
    """The names of the columns, once every line is known to have them all.

    DuckDB takes a file that ends within quotes, as one does that was cut, for a shorter one.
    """
    before = csv.field_size_limit(sys.maxsize)
    line = 1
    try:
        with unreadable_said(path), path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, delimiter=delimiter, strict=True)
            names = next(rows, [])
            for row in rows:
                if row and len(row) != len(names):
                    raise InputError(
                        f"{path}, line {line + 1}: has {len(row)} fields, and the first line has "
                        f"{len(names)}; put texts with commas or quotes in quotes"
                    )
                line = rows.line_num
    except csv.Error as error:
        raise InputError(
            f"{path}, line {line + 1}: {error}; look whether a quote is missing or the file was cut"
        ) from None
    finally:
        csv.field_size_limit(before)
    if not names:
        raise InputError(f"{path} is empty; its first line must name the columns")
    if len({name.lower() for name in names}) < len(names):
        raise InputError(f"{path} has two columns of one name; rename one of them")
    return names


def read_parquet(source: str, options: Options) -> Iterator[Found | Dropped]:
    """Finds the generations of a Parquet file.

    Args:
        source: The file.
        options: `columns` says what is where.

    Raises:
        InputError: It is no such file, or lacks a column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    check_is_file(Path(source))
    try:
        # with pre_buffer, pyarrow keeps every row group that it has read
        with pq.ParquetFile(source, pre_buffer=False) as file:
            columns = _columns(source, file.schema_arrow.names, options)
            wanted = sorted({*columns.values(), *_further(options)})
            batches = file.iter_batches(batch_size=1_000, columns=wanted)
            rows = (row for batch in batches for row in batch.to_pylist())
            yield from _generations(_numbered(source, rows), columns, options)
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise InputError(
            f"{source} cannot be read as Parquet: {reason(error)}; look whether it is whole"
        ) from None


def read_dataset(source: str, options: Options) -> Iterator[Found | Dropped]:
    """Finds the generations of a dataset.

    Args:
        source: A folder that `save_to_disk` wrote, a folder of data files, or a dataset of the hub,
            `org/name`.
        options: `columns` says what is where, `config` and `split` choose what is read.

    Raises:
        InputError: There is no such dataset, it lacks a column, or has several splits.
    """
    if Path(source).is_dir():
        names, rows = _rows_of_folder(Path(source), options)
    else:
        names, rows = _rows_of_hub(source, options)
    columns = _columns(source, names, options)
    try:
        yield from _generations(_numbered(source, rows), columns, options)
    except InputError:
        raise
    except Exception as error:  # the library's have no common type
        raise _no_dataset(source, error) from error


def _rows_of_folder(folder: Path, options: Options) -> tuple[list[str], Iterable[dict[str, Any]]]:
    import datasets

    saved = any((folder / n).is_file() for n in ("state.json", "dataset_dict.json"))
    try:
        if saved:
            dataset = datasets.load_from_disk(str(folder))
        else:
            dataset = datasets.load_dataset(str(folder), options.config, streaming=True)
    except Exception as error:
        raise _no_dataset(str(folder), error) from error
    if isinstance(dataset, dict):
        dataset = dataset[_split(str(folder), list(dataset), options)]
    elif options.split is not None:
        raise InputError(f"{folder} has no splits; leave out --split")
    names = dataset.column_names or list(next(iter(dataset), {}))
    read = {options.columns.get(field, field) for field in FIELDS} | _further(options)
    wanted = [name for name in names if name in read]
    # Other columns may hold images or sounds, which take long to decode.
    return names, dataset.select_columns(wanted) if wanted else dataset


def _rows_of_hub(name: str, options: Options) -> tuple[list[str], Iterable[dict[str, Any]]]:
    from assets.study.datasets import DatasetSource

    try:
        source = DatasetSource.parse(f"hf:{name}", Path.cwd())
    except ValueError:
        raise InputError(f"{name} is neither a folder nor a dataset of the hub, org/name") from None
    split = _split(name, source.splits(options.config), options)
    rows = (row for _, row in source.rows(config=options.config, split=split))
    first = next(rows, {})
    return list(first), _chained(first, rows)


def _chained(first: dict[str, Any], rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    if first:
        yield first
    yield from rows


def _split(source: str, there: list[str], options: Options) -> str:
    if options.split is None and len(there) == 1:
        return there[0]
    if options.split in there:
        return str(options.split)
    wrong = "" if options.split is None else f"no split {options.split!r}; it has "
    raise InputError(f"{source} has {wrong}the splits {', '.join(there)}; choose one with --split")


def _no_dataset(source: str, error: Exception) -> InputError:
    return InputError(
        f"{source} cannot be read as a dataset: {reason(error)}; look whether its files, "
        "--config and --split are as they must be"
    )


def _further(options: Options) -> set[str]:
    """The columns that are read beside those of the fields."""
    return {*options.where, *([] if options.split_by is None else [options.split_by])}


def _columns(source: str, there: list[str], options: Options) -> dict[str, str]:
    """The column of each field that has one."""
    columns = {}
    for field in FIELDS:
        name = options.columns.get(field, field)
        if name in there and name:
            columns[field] = name
        elif field in _REQUIRED or (field in options.columns and name):
            raise InputError(
                f"{source} has no column {name!r}; it has {names_of(map(repr, there)) or 'none'}; "
                f"name the right one with --column {field}=COLUMN"
            )
    for name in sorted(_further(options) - set(there)):
        flag = f"--where {name}=..." if name in options.where else f"--split-by {name}"
        raise InputError(
            f"{flag}: {source} has no column {name!r}; it has {names_of(map(repr, there))}"
        )
    return columns


def _numbered(source: str, rows: Iterable[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows with what messages call them."""
    return ((f"{source}, row {number}", row) for number, row in enumerate(rows, start=1))


def _written(value: object) -> str:
    """A value as a user writes it: a text as it is, anything else as JSON has it."""
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _generations(
    rows: Iterable[tuple[str, dict[str, Any]]],
    columns: dict[str, str],
    options: Options,
    *,
    no_text: str = "without text",
) -> Iterator[Found | Dropped]:
    for where, row in rows:
        if other := [n for n, value in options.where.items() if _written(row.get(n)) != value]:
            yield Dropped(f"where {other[0]} is not {options.where[other[0]]}")
            continue
        model = None
        if options.split_by is not None:
            if row.get(options.split_by) is None:
                yield Dropped(f"without a {options.split_by}")
                continue
            model = _written(row[options.split_by])
        values = {field: row.get(column) for field, column in columns.items()}
        prompt, texts = values["prompt"], values["text"]
        if isinstance(texts, list) and "sample" in columns:
            raise InputError(
                f"{where}: {columns['text']!r} holds a list of texts, which are numbered in order; "
                "leave the numbers out with --column sample="
            )
        if prompt is None:
            yield Dropped("without a prompt")
            continue
        if not isinstance(prompt, str):
            raise _no_text(where, "prompt", columns["prompt"], prompt)
        prompt_id = _name(values.get("prompt_id"), where, columns)
        sample = _number(values.get("sample"), where, columns)
        for text in (texts or [None]) if isinstance(texts, list) else [texts]:
            if text is None:
                yield Dropped(no_text)
            elif isinstance(text, str):
                yield Found(where, prompt, text, prompt_id, sample, model)
            else:
                raise _no_text(where, "text", columns["text"], text)


def _no_text(where: str, field: str, column: str, value: object) -> InputError:
    return InputError(
        f"{where}: {column!r} is {value!r:.40}, and must be a text; name another column with "
        f"--column {field}=COLUMN"
    )


def _name(value: object, where: str, columns: dict[str, str]) -> str | None:
    """A prompt's name; numbers are names too, and where there is none one is made."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value)
    raise InputError(
        f"{where}: {columns['prompt_id']!r} is {value!r:.40}, and must be a text or a whole number"
    )


def _number(value: object, where: str, columns: dict[str, str]) -> int | None:
    """A sample's number; in CSV it is a text, and pandas makes fractions of it."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(float(value))
    if isinstance(value, int | float) and not isinstance(value, bool) and value % 1 == 0:
        return int(value)
    raise InputError(
        f"{where}: {columns['sample']!r} is {value!r:.40}, and must be a whole number; leave the "
        "numbers out with --column sample="
    )
