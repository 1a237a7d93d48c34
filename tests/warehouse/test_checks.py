"""A row that repeats another is found wherever it stands in a file, against counting in Python."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from warehouse import Column, Lake, Table, checks
from warehouse.checks import check_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TABLE = Table(
    name="tokens",
    description="Tokens of texts.",
    grain=("checkpoint", "corpus", "text_id", "position"),
    columns=(
        Column("checkpoint", "VARCHAR"),
        Column("corpus", "VARCHAR"),
        Column("text_id", "VARCHAR"),
        Column("position", "INTEGER"),
        Column("value", "DOUBLE"),
    ),
)
N = 5_000
"""Rows of a file; DuckDB goes through them 2,048 at a time."""
Row = dict[str, Any]


@pytest.fixture(autouse=True)
def asked_of_duckdb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_FEW", -1)


def texts(n: int = N) -> list[Row]:
    """Rows as models' are written: a text's after another's, the texts in no order."""
    return [
        {"corpus": "ab"[i // 2_500 % 2], "text_id": f"p/{i // 100}", "position": i % 100}
        for i in range(n)
    ]


def detail(lake: Lake, table: Table, rows: Sequence[Row], group: int = 1_000) -> str:
    """What is found of the rows in a file, that was written in row groups of such a size."""
    lake.root.mkdir(exist_ok=True)
    path = lake.root / "file.parquet"
    pq.write_table(pa.Table.from_pylist(list(rows), table.arrow_schema), path, row_group_size=group)
    found = check_file(table, path, lake)[1]
    assert found.check == "grain_unique_and_not_null"
    assert found.passed == found.detail.startswith("0 ")
    return found.detail


def bad(table: Table, rows: Sequence[Row]) -> int:
    """Rows that repeat another, and rows with a null, by the definition."""
    keys = [tuple(row[name] for name in table.stored_grain) for row in rows]
    times = Counter(map(repr, keys))
    return sum(n - 1 for n in times.values()) + sum(None in key for key in keys)


def changed(place: int, row: Row) -> list[Row]:
    rows = texts()
    rows[place] = row
    return rows


FILES = {
    "as models' are": texts(),
    "in the order of the grain": sorted(texts(), key=lambda row: tuple(row.values())),
    "in no order": random.Random(0).sample(texts(), N),
    "each text backwards": texts()[::-1],
    "position by position": sorted(texts(), key=lambda row: (row["position"], row["text_id"])),
    "a text in two pieces": texts()[50:] + texts()[:50],
    "one row": texts(1),
    "no row": [],
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_without_a_repeated_row_passes_in_whatever_order(lake: Lake, name: str) -> None:
    rows = FILES[name]
    grain = "checkpoint, corpus, text_id, position"
    expected = f"0 of {len(rows)} rows repeat their ({grain}) or have a null in it"
    assert detail(lake, TABLE, rows) == expected


@pytest.mark.parametrize("name", ["as models' are", "in no order"])
@pytest.mark.parametrize(
    ("original", "place"),
    [
        (0, 1),  # beside it
        (0, N),  # the last repeats the first
        (N - 1, 0),
        (N - 1, N),
        (2_047, 2_048),  # where one of DuckDB's vectors ends
        (999, 1_000),  # where a row group ends
        (10, 90),  # within a text
        (10, 100),  # behind its text
        (1_234, 4_321),  # in another text
    ],
)
def test_a_row_that_repeats_one_is_found_wherever_it_is(
    lake: Lake, name: str, original: int, place: int
) -> None:
    rows = list(FILES[name])
    rows.insert(place, rows[original])
    assert detail(lake, TABLE, rows).startswith(f"1 of {N + 1} rows repeat")


@pytest.mark.parametrize("column", ["corpus", "text_id", "position"])
@pytest.mark.parametrize("place", [0, 57, N - 1])
def test_a_null_in_the_grain_is_found_wherever_it_is(lake: Lake, column: str, place: int) -> None:
    row = texts()[place] | {column: None}
    assert detail(lake, TABLE, changed(place, row)).startswith(f"1 of {N} rows repeat")
    # Two that are alike are both bad for the null, and one for repeating the other.
    assert detail(lake, TABLE, [*changed(place, row), row]).startswith(f"3 of {N + 1} rows repeat")


def test_a_whole_file_that_is_written_twice_is_counted(lake: Lake) -> None:
    assert detail(lake, TABLE, texts() * 2).startswith(f"{N} of {2 * N} rows repeat")
    each_twice = [row for row in texts() for _ in range(2)]
    assert detail(lake, TABLE, each_twice).startswith(f"{N} of {2 * N} rows repeat")


@pytest.mark.parametrize("grain", [("position",), ("text_id",), ("text_id", "value"), ("value",)])
def test_grains_of_all_kinds_are_counted_as_python_counts_them(
    lake: Lake, grain: tuple[str, ...]
) -> None:
    source = random.Random(str(grain))
    table = replace(TABLE, grain=("checkpoint", *grain))
    for n_values in [2, 10, 1_000_000]:
        drawn = (source.uniform(-9, 9) for _ in range(min(n_values, 10_000)))
        values = [None, math.nan, math.inf, *drawn]
        rows = [
            {
                "corpus": "c",
                "text_id": f"é{source.randrange(n_values)}",
                "position": source.randrange(n_values) or None,
                "value": source.choice(values),
            }
            for _ in range(3_000 if n_values > 10 else 40)
        ]
        for order in (rows, sorted(rows, key=repr)):
            expected = f"{bad(table, rows)} of {len(rows)} rows repeat"
            assert detail(lake, table, order).startswith(expected)


@pytest.mark.parametrize("seed", range(10))
def test_the_order_of_rows_says_nothing_of_which_repeat(lake: Lake, seed: int) -> None:
    source = random.Random(seed)
    rows = [
        {
            "corpus": source.choice("ab"),
            "text_id": source.choice(["p", "q", None]),
            "position": source.choice([*range(source.choice([3, 30])), None]),
        }
        for _ in range(source.randrange(60))
    ]
    rows.sort(key=lambda row: [str(row[name]) for name in source.sample(sorted(row), 2)])
    expected = f"{bad(TABLE, rows)} of {len(rows)} rows repeat"
    assert detail(lake, TABLE, rows, group=7).startswith(expected)
    in_memory = pa.Table.from_pylist(rows, TABLE.arrow_schema).select([*TABLE.stored_grain])
    assert checks._bad_in_memory(in_memory) == bad(TABLE, rows)


@pytest.mark.whole
def test_memory_does_not_grow_with_rows_in_the_order_that_they_are_made_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts_of_group, positions = 200, 500
    path = tmp_path / "file.parquet"
    schema = TABLE.arrow_schema
    with pq.ParquetWriter(path, schema) as writer:
        for group in range(30):
            ids = [f"p/{group * texts_of_group + i}" for i in range(texts_of_group)]
            n_rows = texts_of_group * positions
            columns = [
                pa.repeat("c", n_rows),
                pa.array(ids).take(pa.array(np.repeat(np.arange(texts_of_group), positions))),
                pa.array(np.tile(np.arange(positions, dtype=np.int32), texts_of_group)),
                pa.nulls(n_rows, pa.float64()),
            ]
            writer.write_table(pa.table(columns, schema=schema))
    monkeypatch.setattr(checks, "_MEMORY", 64 << 20)
    nowhere_to_spill_to = Lake(tmp_path / "none")
    assert check_file(TABLE, path, nowhere_to_spill_to)[1].detail.startswith("0 of 3000000 rows")
