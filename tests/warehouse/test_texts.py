"""Measures of generations' texts against the definitions in plain Python."""

from __future__ import annotations

import itertools
import math
import random
import zlib
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from assets.measures.declared import PLACEHOLDERS, declared_measurements, declared_measures
from tests.warehouse.texts import (
    Generations,
    measured_texts,
    random_generations,
    random_text,
    rows_of,
    sentences_of,
)
from warehouse import Lake, Measurement, session
from warehouse.compression import compressed_bytes
from warehouse.matched import Sampled, chain, matched_values
from warehouse.tables import GENERATIONS
from warehouse.vocabulary import load_words

if TYPE_CHECKING:
    from pathlib import Path

    from warehouse.measure_headers import Measure

MEASURES = (
    "compression_ratio",
    "expectation_adjusted_distinct",
    "loops",
    "opening",
    "sentence_repetition",
    "words",
)


@pytest.fixture(scope="module")
def measurements() -> dict[str, Measurement]:
    return {m.table.name: m for m in declared_measurements(PLACEHOLDERS)}


@pytest.fixture(scope="module")
def measures() -> dict[str, Measure]:
    return {m.name: m for m in declared_measures(PLACEHOLDERS)}


@pytest.fixture(scope="module")
def values(measures: dict[str, Measure], measurements: dict[str, Measurement]) -> Any:
    """Gives a measure's values by decoding, prompt set, prompt and level."""

    def of(name: str, generations: Generations, **parameters: Any) -> Any:
        return measured_texts(measures[name], measurements, generations, **parameters)

    return of


def asked(expression: str, text: str | None) -> Any:
    with session() as connection:
        load_words(connection)
        return connection.execute(f"select {expression}", {"text": text}).fetchall()[0][0]


def test_spaced_words_are_the_words_and_joined_the_text() -> None:
    source = random.Random(0)
    texts = [
        "".join(source.choices("  ab日\u3000\t\n\\", k=source.randint(0, 30))) for _ in range(500)
    ]
    texts += [random_text(source, 8) for _ in range(300)]
    with session() as connection:
        load_words(connection)
        connection.register("texts", pa.table({"place": range(len(texts)), "text": texts}))
        cut = connection.sql("select spaced_words(text) from texts order by place").fetchall()
    assert ["".join(words) for (words,) in cut] == [text.rstrip() for text in texts]
    assert [[word.strip() for word in words] for (words,) in cut] == [t.split() for t in texts]


# The measures, of random texts.


def expected_value(measure: str, texts: list[str], n: int = 0) -> tuple[float, float] | None:
    """One prompt's numerator and denominator from the definition; None where it has none."""
    words = [text.split() for text in texts]
    if measure == "words":
        return sum(map(len, words)), len(texts)
    if measure == "opening":
        openings = Counter(tuple(listed[:5]) for listed in words if len(listed) >= 5)
        return (max(openings.values()), len(texts)) if openings and len(texts) > 1 else None
    if measure == "compression_ratio":
        joined = "\n".join(texts).encode()
        compressed = len(zlib.compress(joined, 9))
        return (len(joined), compressed) if any(texts) and len(texts) > 1 else None
    if measure == "loops":
        return sum(map(is_loop, words)), len(texts)
    if measure == "sentence_repetition":
        shares = []
        for sentences in filter(None, map(sentences_of, texts)):
            repeats = sum(a == b for a, b in itertools.pairwise(sentences))
            shares.append(repeats / len(sentences))
        return (pytest.approx(sum(shares)), len(shares)) if shares else None
    grams = [tuple(listed[i : i + n]) for listed in words for i in range(len(listed) - n + 1)]
    if not grams or len(texts) < 2:
        return None
    return len(set(grams)), pytest.approx(expected_distinct(50_257, len(grams)), rel=1e-9)


def is_loop(words: list[str]) -> bool:
    """Whether it ends with the same words three times, however the last round is cut."""
    return any(
        all(words[-i] == words[-i - period] for i in range(1, 2 * period + 1))
        for period in range(1, len(words) // 3 + 1)
    )


def expected_distinct(vocabulary: int, n: int) -> float:
    """V (1 - ((V - 1) / V)^n), by another way that keeps every digit."""
    return -vocabulary * math.expm1(n * math.log1p(-1 / vocabulary))


def levels_of(measure: str) -> range:
    return range(1, 6) if measure == "expectation_adjusted_distinct" else range(1)


@pytest.mark.whole
@pytest.mark.parametrize("measure", MEASURES)
def test_measures_of_random_texts_are_those_of_the_definitions(measure: str, values: Any) -> None:
    for seed in range(12):
        generations = random_generations(random.Random(seed))
        expected = {
            (*prompt, n): value
            for prompt, texts in generations.items()
            for n in levels_of(measure)
            if (value := expected_value(measure, texts, n)) is not None
        }
        assert values(measure, generations) == expected


@pytest.mark.parametrize("measure", MEASURES)
def test_matched_comparisons_are_of_texts_cut_with_their_whitespace(
    measure: str,
    tmp_path: Path,
    measures: dict[str, Measure],
    measurements: dict[str, Measurement],
) -> None:
    assert chain(measures[measure], measurements) is not None
    lines = "one. one.\none. one. two"
    lake = Lake(tmp_path)
    for name, texts in {"new": [lines, lines + " three " * 40], "old": [lines, "b c"]}.items():
        path = lake.path(GENERATIONS, name)
        path.parent.mkdir(parents=True)
        rows = rows_of({("-", "s", "p"): texts}, name)
        pa.parquet.write_table(pa.Table.from_pylist(rows, GENERATIONS.arrow_schema), path)
    made = matched_values(
        [measures[measure]],
        measurements,
        lake,
        Sampled("new", "-"),
        Sampled("old", "-"),
        PLACEHOLDERS,
    )
    # The medians are 25 and 3.5 words: three are left.
    cut = {"new": ["one. one.\none."] * 2, "old": ["one. one.\none.", "b c"]}
    for (name, texts), rows in zip(cut.items(), made[measure], strict=True):
        found = {
            row["level"]: (row["numerator"], row["denominator"])
            for row in rows.to_pylist()
            if row["checkpoint"] == name
        }
        assert found == {
            n: value
            for n in levels_of(measure)
            if (value := expected_value(measure, texts, n)) is not None
        }


# Each by itself.


def test_distinct_words_are_adjusted_to_what_is_to_be_expected(values: Any) -> None:
    # Of a vocabulary of two, two draws give 2 (1 - 1/4) = 1.5 different words, and three 1.75.
    def of(*texts: str) -> float:
        generations: Generations = {("-", "s", "p"): [*texts]}
        adjusted = values("expectation_adjusted_distinct", generations, distinct_vocabulary=2)
        numerator, denominator = adjusted["-", "s", "p", 1]
        return float(numerator / denominator)

    assert of("a", "a") == pytest.approx(1 / 1.5)
    assert of("a", "b") == pytest.approx(2 / 1.5)
    assert of("a b", "a") == pytest.approx(2 / 1.75)


def test_the_adjustment_is_that_of_the_formula_on_100_000_cases() -> None:
    random_cases = np.random.default_rng(0)
    vocabulary = random_cases.integers(2, 10_000_000, size=100_000)
    drawn = np.floor(np.exp(random_cases.uniform(0, np.log(1e8), size=100_000))).astype(int)
    with session() as connection:
        load_words(connection)
        connection.register("cases", pa.table({"v": vocabulary, "c": drawn}))
        computed = connection.sql("select expected_distinct(v, c) from cases").fetchnumpy()
    (ours,) = computed.values()
    theirs = [
        expected_distinct(v, c) for v, c in zip(vocabulary.tolist(), drawn.tolist(), strict=True)
    ]
    np.testing.assert_allclose(ours, theirs, rtol=1e-8)


def test_an_opening_is_held_by_those_that_begin_with_it(values: Any) -> None:
    texts = ["Once upon a time there was", "Once  upon\na time there", "Once upon a time", ""]
    generations: Generations = {("-", "s", "p"): texts, ("-", "s", "single"): texts[:1]}
    assert values("opening", generations) == {("-", "s", "p", 0): (2, 4)}
    assert values("opening", generations, opening_words=4) == {("-", "s", "p", 0): (3, 4)}
    assert values("opening", generations, opening_words=7) == {}


@pytest.mark.parametrize(
    ("text", "loops"),
    [
        ("so it goes on and on and on and on and on", True),
        ("a b c d e f g e f g e f g e", True),  # cut off in the last round
        ("a b c d e f g e f g", False),  # twice
        ("e f g e f g e f g and then it ended", False),
        ("no no no", True),
        ("no no", False),
        ("", False),
    ],
)
def test_a_generation_ends_in_a_loop(text: str, loops: bool, values: Any) -> None:
    measured = values("loops", {("-", "s", "p"): [text, "all is well"]})
    assert measured == {("-", "s", "p", 0): (int(loops), 2)}
    assert is_loop(text.split()) == loops


def test_repeated_sentences_are_counted_in_each_generation_by_itself(values: Any) -> None:
    texts = ["Yes. Yes. Yes. No.", "No. Yes.", "   "]
    measured = values("sentence_repetition", {("-", "s", "p"): texts, ("-", "s", "empty"): [""]})
    assert measured == {("-", "s", "p", 0): (0.5, 2)}


def test_what_repeats_compresses(values: Any) -> None:
    source = random.Random(0)
    different = ["".join(source.choices("abcdefghij", k=500)) for _ in range(6)]
    generations: Generations = {("-", "s", "p"): different, ("-", "s", "q"): different[:1] * 6}
    ratios = {key[2]: a / b for key, (a, b) in values("compression_ratio", generations).items()}
    assert 1.5 < ratios["p"] < 2.5  # 8 bits for what needs log2(10) = 3.3, at most 2.4
    assert ratios["q"] > 5 * ratios["p"]
    assert compressed_bytes("") == 8
    assert asked("compressed_bytes($text)", "ä" * 1000) == len(zlib.compress(b"\xc3\xa4" * 1000, 9))
    assert asked("compressed_bytes($text)", None) is None
