"""The n-gram tables against counts written straight from the definitions."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets.study.thresholds import Thresholds
from warehouse import Lake, Measurement, read_measurements
from warehouse.measure import measure
from warehouse.tables import BASE_TABLES, GENERATIONS

pytestmark = pytest.mark.whole

SQL = Path(__file__).parent.parent.parent / "sql"
PAPERS = Thresholds()


def grams(units: list[Any], n: int) -> list[tuple[Any, ...]]:
    return [tuple(units[i : i + n]) for i in range(len(units) - n + 1)]


def expected_sharing(
    samples: list[list[Any]], lengths: tuple[int, ...]
) -> dict[int, tuple[int, str | None]]:
    """For each n the most generations that hold one n-gram, and the first n-gram so held."""
    expected = {}
    for n in lengths:
        held = Counter(gram for units in samples for gram in dict.fromkeys(grams(units, n)))
        most = max(held.values(), default=0)
        first = next((gram for gram, count in held.items() if count == most), None)
        expected[n] = (most, first and " ".join(map(str, first)))
    return expected


def expected_spread(samples: list[list[Any]], n: int) -> dict[int, int]:
    held = Counter(gram for units in samples for gram in set(grams(units, n)))
    counts = Counter(held.values())
    return {k: counts[k] for k in range(1, len(samples) + 1)}


def expected_diversity(
    samples: list[list[Any]], lengths: tuple[int, ...]
) -> dict[int, tuple[int, int]]:
    every = {n: [gram for units in samples for gram in grams(units, n)] for n in lengths}
    return {n: (len(some), len(set(some))) for n, some in every.items()}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return Lake(tmp_path_factory.mktemp("lake"))


@pytest.fixture(scope="module")
def measurements(lake: Lake) -> dict[str, Measurement]:
    found = read_measurements([SQL], BASE_TABLES, PAPERS.values())
    return {measurement.table.name: measurement for measurement in found}


def run(
    measurement: Measurement, lake: Lake, thresholds: Thresholds = PAPERS
) -> list[dict[str, Any]]:
    parameters = thresholds.values()
    with measure(
        measurement, lake, [GENERATIONS], checkpoint="m", parameters=parameters
    ) as batches:
        return [row for batch in batches for row in batch.to_pylist()]


def put(lake: Lake, prompts: dict[str, list[list[str]]], decoding: str = "greedy") -> None:
    """Writes generations whose words are given; their tokens are numbers, one a different word."""
    code: dict[str, int] = {}
    rows = [
        {
            "decoding": decoding,
            "prompt_set": "s",
            "prompt_id": prompt,
            "sample": i,
            "text": " ".join(words),
            "token_ids": [code.setdefault(word, len(code) + 7) for word in words],
        }
        for prompt, samples in prompts.items()
        for i, words in enumerate(samples)
    ]
    table = pa.Table.from_pylist(rows, GENERATIONS.arrow_schema)
    path = lake.path(GENERATIONS, "m")
    path.parent.mkdir(parents=True, exist_ok=True)
    pa.parquet.write_table(table, path)


words = st.sampled_from(["a", "b", "c"])
# Few different words and parts that are repeated: n-grams are shared, within and between samples.
phrases = st.lists(st.lists(words, min_size=1, max_size=30), min_size=1, max_size=3)
samples = phrases.flatmap(
    lambda pool: st.lists(
        st.lists(st.sampled_from(pool), max_size=6).map(lambda ps: [w for p in ps for w in p]),
        min_size=1,
        max_size=6,
    )
)


# Many prompts at once: each is a case, and asking DuckDB takes as long for all as for one.
prompts = st.dictionaries(st.sampled_from("pqrstuvw"), samples, min_size=1)
few_questions = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@few_questions
@given(prompts)
def test_the_tables_equal_plain_counts(
    lake: Lake, measurements: dict[str, Measurement], prompts: dict[str, list[list[str]]]
) -> None:
    compare(lake, measurements, prompts, PAPERS)


lengths = st.lists(st.integers(1, 60), min_size=1, max_size=4, unique=True).map(sorted)
lengths_of_a_study = st.builds(
    Thresholds,
    ngram_lengths=lengths | st.lists(st.integers(1, 5), min_size=1, unique=True).map(sorted),
    ngram_spread_length=st.integers(1, 8) | st.integers(9, 40),
    ngram_diversity_lengths=lengths,
)


@few_questions
@given(prompts, lengths_of_a_study)
def test_so_they_do_at_lengths_that_a_study_chooses(
    lake: Lake,
    measurements: dict[str, Measurement],
    prompts: dict[str, list[list[str]]],
    thresholds: Thresholds,
) -> None:
    compare(lake, measurements, prompts, thresholds)


@pytest.mark.parametrize("n", range(1, 13))
def test_ngrams_that_differ_in_their_last_unit_alone_are_told_apart(
    lake: Lake, measurements: dict[str, Measurement], n: int
) -> None:
    common = [f"w{i}" for i in range(n - 1)]
    texts = [[*common, "x"], [*common, "y"], [*common, "y", "z"]]
    put(lake, {"p": texts})
    rows = run(measurements["ngram_spread"], lake, Thresholds(ngram_spread_length=n))
    spread = {row["shared_by"]: row["n_ngrams"] for row in rows if row["unit"] == "word"}
    assert spread == expected_spread(texts, n)


def compare(
    lake: Lake,
    measurements: dict[str, Measurement],
    prompts: dict[str, list[list[str]]],
    thresholds: Thresholds,
) -> None:
    """Holds the tables against the plain counts."""
    put(lake, prompts)
    tables = ("ngram_sharing", "ngram_spread", "ngram_diversity")
    rows = {name: run(measurements[name], lake, thresholds) for name in tables}
    for unit in ("word", "token"):
        code: dict[str, int] = {}
        units = {
            prompt: [
                words if unit == "word" else [code.setdefault(w, len(code) + 7) for w in words]
                for words in texts
            ]
            for prompt, texts in prompts.items()
        }
        found: dict[str, dict[int, Any]] = {prompt: {} for prompt in prompts}
        for row in rows["ngram_sharing"]:
            if row["unit"] == unit:
                assert row["n_samples"] == len(prompts[row["prompt_id"]])
                found[row["prompt_id"]][row["n"]] = (row["max_shared"], row["ngram"])
        assert found == {
            prompt: expected_sharing(texts, thresholds.ngram_lengths)
            for prompt, texts in units.items()
        }

        found = {prompt: {} for prompt in prompts}
        for row in rows["ngram_spread"]:
            if row["unit"] == unit:
                assert row["n"] == thresholds.ngram_spread_length
                found[row["prompt_id"]][row["shared_by"]] = row["n_ngrams"]
        assert found == {
            prompt: expected_spread(texts, thresholds.ngram_spread_length)
            for prompt, texts in units.items()
        }

        found = {prompt: {} for prompt in prompts}
        for row in rows["ngram_diversity"]:
            if row["unit"] == unit:
                found[row["prompt_id"]][row["n"]] = (int(row["n_total"]), row["n_distinct"])
        assert found == {
            prompt: expected_diversity(texts, thresholds.ngram_diversity_lengths)
            for prompt, texts in units.items()
        }


@pytest.mark.core
def test_a_known_answer(lake: Lake, measurements: dict[str, Measurement]) -> None:
    ten = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    put(lake, {"p": [[*ten, "x"], ["y", *ten], ten[:9], []]})
    sharing = {
        (row["unit"], row["n"]): (row["n_samples"], row["max_shared"], row["ngram"])
        for row in run(measurements["ngram_sharing"], lake)
    }
    assert sharing["word", 5] == (4, 3, "one two three four five")
    assert sharing["word", 10] == (4, 2, " ".join(ten))
    assert sharing["word", 25] == (4, 0, None)
    assert sharing["token", 5] == (4, 3, "7 8 9 10 11")
    spread = [r["n_ngrams"] for r in run(measurements["ngram_spread"], lake) if r["unit"] == "word"]
    assert spread == [2, 1, 0, 0]  # two 10-grams in one generation each, one in two


def test_ngrams_do_not_cross_generations_prompts_or_decodings(
    lake: Lake, measurements: dict[str, Measurement]
) -> None:
    five = ["a", "b", "c", "d", "e"]
    put(lake, {"p": [five[:3], five[3:]], "q": [five]})
    sharing = {
        (row["prompt_id"], row["n"]): row["max_shared"]
        for row in run(measurements["ngram_sharing"], lake)
    }
    assert sharing["p", 5] == 0
    assert sharing["q", 5] == 1


def test_only_empty_generations_are_data(lake: Lake, measurements: dict[str, Measurement]) -> None:
    put(lake, {"p": [[], []]})
    assert {r["max_shared"] for r in run(measurements["ngram_sharing"], lake)} == {0}
    assert {r["n_ngrams"] for r in run(measurements["ngram_spread"], lake)} == {0}
    diversity = run(measurements["ngram_diversity"], lake)
    assert {(int(r["n_total"]), r["n_distinct"]) for r in diversity} == {(0, 0)}
    assert all(b["n"] - a["n"] in (1, -4) for a, b in pairwise(diversity))


@pytest.mark.parametrize("name", ["ngram_diversity", "ngram_sharing", "ngram_spread"])
def test_blocks_of_prompts_give_the_same_rows_in_the_same_order(
    name: str,
    lake: Lake,
    measurements: dict[str, Measurement],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    draw = random.Random(0)
    prompts = {
        f"p{i:02}": [draw.choices(list("abcd"), k=draw.randrange(30)) for _ in range(4)]
        for i in range(12)
    }
    put(lake, prompts)
    whole = run(measurements[name], lake)
    for characters in (1, 500):
        monkeypatch.setattr("warehouse.measure._BLOCK_CHARACTERS", characters)
        assert run(measurements[name], lake) == whole
    assert [row["prompt_id"] for row in whole] == sorted(row["prompt_id"] for row in whole)
    assert {row["prompt_id"] for row in whole} == set(prompts)
