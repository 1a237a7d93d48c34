"""`summary` against statistics of the rows that measures have in the lake."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from assets.measures.summary import summarise
from tests.assets.measures.lakes import MEASURES, SLICE, Contents, Row
from tests.assets.measures.reference import Pairs, estimated
from tests.assets.measures.test_sentences import measure_of
from warehouse.tables import measure_table

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.whole

Key = tuple[object, ...]
HEADLINES = {"bits_per_byte": 0, "perplexity": 0, "ngram_diversity": 3}


def by_slice(rows: list[Row]) -> dict[Key, dict[str, list[Row]]]:
    """Rows of measures by checkpoint, measure and slice, and by collection, in order of items."""
    slices: dict[Key, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in sorted(rows, key=lambda row: (row["collection"], row["item"])):
        key = (row["checkpoint"], row["measure"], *(row[name] for name in SLICE))
        slices[key][row["collection"]].append(row)
    return slices


def pairs_of(rows: list[Row]) -> Pairs:
    return np.array([(row["numerator"], row["denominator"]) for row in rows])


def check_row(row: Row, statistic: str, collections: Mapping[str, list[Row]]) -> None:
    pairs = {name: pairs_of(rows) for name, rows in collections.items()}
    interval = estimated(statistic, pairs)
    made = [row["value"], row["low"], row["high"]]
    assert made == pytest.approx([interval.value, interval.low, interval.high], rel=1e-9)
    assert row["n_items"] == sum(map(len, pairs.values()))
    floors = [
        [item["floor"] for item in rows if item["floor"] is not None]
        for rows in collections.values()
    ]
    if any(floors):
        assert row["floor"] == pytest.approx(np.mean([np.mean(some) for some in floors]))
    else:
        assert row["floor"] is None


def test_a_summary_has_a_row_for_each_slice_and_collection_and_one_for_all(
    compared: Contents,
) -> None:
    expected = set()
    for key, collections in by_slice(compared.measures).items():
        expected |= {(*key, collection) for collection in (*collections, "*")}
    made = [
        (row["checkpoint"], row["measure"], *(row[name] for name in SLICE), row["collection"])
        for row in compared.summary
    ]
    assert len(made) == len(set(made))
    assert set(made) == expected


def test_a_row_is_the_statistic_of_its_items_with_its_interval(compared: Contents) -> None:
    slices = by_slice(compared.measures)
    several = 0
    for row in compared.summary:
        key = (row["checkpoint"], row["measure"], *(row[name] for name in SLICE))
        collections: Mapping[str, list[Row]] = slices[key]
        if row["collection"] != "*":
            collections = {row["collection"]: collections[row["collection"]]}
        elif len(collections) > 1:
            several += 1
        check_row(row, MEASURES[row["measure"]], collections)
        assert row["headline"] == (row["level"] == HEADLINES[row["measure"]])
    assert several > 4


def test_a_perplexity_over_corpora_is_the_geometric_mean_of_theirs(compared: Contents) -> None:
    values = {
        row["collection"]: row["value"]
        for row in compared.summary
        if (row["checkpoint"], row["measure"]) == ("llama", "perplexity")
        and row["condition"] == "-"
        and row["unit"] == "word"
    }
    assert {*values} == {"tales", "notes", "*"}
    assert values["*"] == pytest.approx(math.sqrt(values["tales"] * values["notes"]))


def test_slices_of_different_collections_and_sizes_are_each_as_alone() -> None:
    random = np.random.default_rng(4)
    layout = {
        ("token", 1): {"a": 5, "b": 3},
        ("token", 2): {"a": 5, "b": 3},
        ("token", 3): {"a": 4, "b": 3},
        ("word", 1): {"a": 5},
        ("word", 2): {"b": 1, "c": 2},
    }
    rows = [
        {
            "decoding": "-",
            "other": "-",
            "condition": "-",
            "unit": unit,
            "level": level,
            "collection": collection,
            "item": f"i{i}",
            "numerator": float(random.gamma(2)),
            "denominator": float(random.integers(1, 9)),
            "floor": float(random.random()) if unit == "token" else None,
        }
        for (unit, level), collections in layout.items()
        for collection, n in collections.items()
        for i in range(n)
    ]
    random.shuffle(rows)
    schema = measure_table("length", "How long.", may_be_empty=False).arrow_schema
    slices = by_slice([row | {"checkpoint": "m", "measure": "length"} for row in rows])
    for statistic in ("mean", "pooled", "exp_pooled"):
        measure = measure_of("number", statistic=statistic, level="n", headline=2)
        made = summarise(measure, pa.Table.from_pylist(rows, schema)).to_pylist()
        assert len(made) == 14
        for row in made:
            collections = slices["m", "length", *(row[name] for name in SLICE)]
            name = row["collection"]
            check_row(row, statistic, collections if name == "*" else {name: collections[name]})
            assert row["headline"] == (row["level"] == 2)
    one = next(r for r in made if (r["unit"], r["level"], r["collection"]) == ("word", 2, "b"))
    assert one["low"] == one["high"] == pytest.approx(one["value"])


def test_of_no_rows_there_is_no_summary() -> None:
    schema = measure_table("length", "How long.", may_be_empty=False).arrow_schema
    assert len(summarise(measure_of("number"), schema.empty_table())) == 0
