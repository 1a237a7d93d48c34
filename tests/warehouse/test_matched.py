"""Measures of cut generations against texts that are cut, and n-grams counted, in plain Python."""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from statistics import median
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets.measures.declared import PLACEHOLDERS, declared_measurements, declared_measures
from warehouse import Lake, Measurement
from warehouse.matched import Sampled, chain, matched_values
from warehouse.tables import GENERATIONS, PROMPTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from warehouse import Table
    from warehouse.measure_headers import Measure

pytestmark = pytest.mark.whole

COUNTED = ("ngram_sharing", "ngram_diversity", "ngram_spread", "majority_ngrams")

Texts = dict[tuple[str, str], list[str]]
"""Of each prompt set and prompt the generations."""
Values = dict[tuple[int, str, str], tuple[float, float]]
"""Of each level, prompt set and prompt the numerator and the denominator."""


@pytest.fixture(scope="module")
def measurements() -> dict[str, Measurement]:
    return {m.table.name: m for m in declared_measurements(PLACEHOLDERS)}


@pytest.fixture(scope="module")
def measures(measurements: dict[str, Measurement]) -> list[Measure]:
    return [m for m in declared_measures(PLACEHOLDERS) if chain(m, measurements) is not None]


def grams(words: list[str], n: int) -> Iterator[tuple[str, ...]]:
    return (tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def n_words_of(ours: list[str], theirs: list[str]) -> int:
    """How many words of each generation of a prompt are left."""
    return math.floor(min(median(len(text.split()) for text in texts) for texts in (ours, theirs)))


def counted(measure: str, texts: list[str]) -> dict[int, tuple[float, float]]:
    """A measure's numerator and denominator of one prompt, by level, from the definitions."""
    samples = [text.split() for text in texts]
    values: dict[int, tuple[float, float]] = {}
    if len(samples) < 2:
        return values  # a generation shares with others, and is alone
    if measure == "ngram_sharing":
        for n in (5, 10, 25, 50):
            held = Counter(gram for words in samples for gram in set(grams(words, n)))
            if held:
                values[n] = max(held.values()), len(samples)
    elif measure == "ngram_diversity":
        for n in range(1, 6):
            every = [gram for words in samples for gram in grams(words, n)]
            if every:
                values[n] = len(set(every)), len(every)
    else:
        held = Counter(gram for words in samples for gram in set(grams(words, 10)))
        of_each = Counter(held.values())
        if measure == "majority_ngrams":
            most = sum(n for shared_by, n in of_each.items() if shared_by > len(samples) / 2)
            return {0: (most, 1)}
        levels: dict[int, int] = defaultdict(int)
        for shared_by in range(1, len(samples) + 1):
            levels[math.ceil(20 * shared_by / len(samples))] += of_each[shared_by]
        values = {level: (n, 1) for level, n in levels.items()}
    return values


def expected_values(measure: str, cut: Texts) -> Values:
    return {
        (level, *prompt): value
        for prompt, texts in cut.items()
        for level, value in counted(measure, texts).items()
    }


def write(lake: Lake, table: Table, checkpoint: str | None, rows: list[dict[str, Any]]) -> None:
    path = lake.path(table, checkpoint)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, table.arrow_schema), path)


def put(lake: Lake, checkpoint: str, decodings: dict[str, Texts]) -> None:
    rows = [
        {
            "decoding": decoding,
            "prompt_set": prompt_set,
            "prompt_id": prompt,
            "sample": i,
            "text": text,
            "token_ids": [*range(len(text))],
            "n_tokens": len(text),
        }
        for decoding, texts in decodings.items()
        for (prompt_set, prompt), some in texts.items()
        for i, text in enumerate(some)
    ]
    write(lake, GENERATIONS, checkpoint, rows)


def put_prompts(lake: Lake, texts: dict[tuple[str, str], str]) -> None:
    rows = [
        {"prompt_set": prompt_set, "prompt_id": prompt, "category": "c", "text": text}
        for (prompt_set, prompt), text in texts.items()
    ]
    write(lake, PROMPTS, None, rows)


def values_in(rows: pa.Table, decoding: str) -> Values:
    assert {*rows["decoding"].to_pylist()} <= {decoding}
    assert {*rows["unit"].to_pylist()} <= {"word"}  # tokens cannot be cut at words
    return {
        (row["level"], row["collection"], row["item"]): (row["numerator"], row["denominator"])
        for row in rows.to_pylist()
    }


def written(source: random.Random, n: int, longest: int) -> list[str]:
    """Texts of few phrases, with all that separates words between them."""
    spaces = [" ", "  ", "\n", "\t", "\u3000", "\u00a0", " \x1d", "\u2028\n"]
    phrases = [[source.choice("abcd") for _ in range(source.randint(1, 9))] for _ in range(4)]
    texts = []
    for _ in range(n):
        words: list[str] = []
        length = source.randint(0, longest)
        while len(words) < length:
            words += source.choice(phrases)
        texts.append("".join(word + source.choice(spaces) for word in words[:length]))
    return texts


@pytest.mark.parametrize("seed", range(4))
def test_measures_are_those_of_texts_cut_to_the_smaller_median_of_each_prompt(
    seed: int, tmp_path: Path, measurements: dict[str, Measurement], measures: list[Measure]
) -> None:
    source = random.Random(seed)
    lake = Lake(tmp_path)
    names = [f"p{i}" for i in range(5)]
    ours: Texts = {
        ("s", name): written(source, source.randint(1, 7), source.choice([3, 30, 90]))
        for name in names
    }
    # The other answers the same texts under other names in another order, but for one.
    theirs: Texts = {
        ("t", f"q{i}"): written(source, source.randint(1, 7), source.choice([3, 30, 90]))
        for i in range(4)
    }
    partner_of = {("s", f"p{i}"): ("t", f"q{3 - i}") for i in range(4)}
    texts = {("s", name): f"What is {name}?" for name in names}
    put_prompts(lake, texts | {partner: texts[prompt] for prompt, partner in partner_of.items()})
    elsewhere: Texts = {prompt: ["x " * 500] for prompt in (*ours, *theirs)}
    put(lake, "new", {"hot": ours, "cold": elsewhere})
    put(lake, "old", {"warm": theirs, "hot": elsewhere})
    cut_ours: Texts = {}
    cut_theirs: Texts = {}
    for prompt, partner in partner_of.items():
        k = n_words_of(ours[prompt], theirs[partner])
        cut_ours[prompt] = [" ".join(text.split()[:k]) for text in ours[prompt]]
        cut_theirs[partner] = [" ".join(text.split()[:k]) for text in theirs[partner]]
    made = matched_values(
        measures, measurements, lake, Sampled("new", "hot"), Sampled("old", "warm"), PLACEHOLDERS
    )
    assert {*made} >= {*COUNTED}
    for measure in COUNTED:
        mine, other = made[measure]
        assert values_in(mine, "hot") == expected_values(measure, cut_ours)
        assert values_in(other, "warm") == expected_values(measure, cut_theirs)


@pytest.fixture
def shares(tmp_path: Path, measurements: dict[str, Measurement], measures: list[Measure]) -> Any:
    """Two checkpoints' sharing of 5-grams by prompt, after their generations were cut."""
    sharing = [m for m in measures if m.name == "ngram_sharing"]
    lake = Lake(tmp_path)

    def share(prompts: dict[tuple[str, str], str], ours: Texts, theirs: Texts) -> Any:
        put_prompts(lake, prompts)
        put(lake, "new", {"-": ours})
        put(lake, "old", {"-": theirs})
        one, two = Sampled("new", "-"), Sampled("old", "-")
        made = matched_values(sharing, measurements, lake, one, two, PLACEHOLDERS)
        return tuple(
            {key[1:]: value for key, value in values_in(rows, "-").items() if key[0] == 5}
            for rows in made["ngram_sharing"]
        )

    return share


def test_half_a_word_is_none(shares: Any) -> None:
    # The medians are 5.5 and 6, or 4.5 and 6: five words are left, or four, too few for a 5-gram.
    five, six, four = "a b c d e", "a b c d e f", "a b c d"
    prompts = {("s", "p"): "Why?"}
    theirs: Texts = {("s", "p"): [six, six]}
    assert shares(prompts, {("s", "p"): [five, six]}, theirs) == (
        {("s", "p"): (2, 2)},
        {("s", "p"): (2, 2)},
    )
    assert shares(prompts, {("s", "p"): [five, four]}, theirs) == ({}, {})


def test_prompts_that_one_of_them_lacks_are_left_out(shares: Any) -> None:
    texts = ["a b c d e"] * 3
    prompts = {("s", "p"): "Why?", ("s", "q"): "How?", ("t", "r"): "When?", ("t", "v"): "Why?"}
    ours, theirs = shares(
        prompts,
        {("s", "p"): texts, ("s", "q"): texts},
        {("t", "r"): texts, ("t", "v"): texts[:2]},
    )
    assert ours == {("s", "p"): (3, 3)}
    assert theirs == {("t", "v"): (2, 2)}


def test_a_text_that_recurs_in_a_set_is_paired_by_its_name_too(shares: Any) -> None:
    long, short = ["a b c d e f g"] * 2, ["a b c d"] * 2
    prompts = {("s", "p"): "Why?", ("s", "q"): "Why?"}
    ours, theirs = shares(
        prompts,
        {("s", "p"): long, ("s", "q"): short},
        {("s", "p"): long, ("s", "q"): long},
    )
    assert ours == theirs == {("s", "p"): (2, 2)}  # and q is cut to four words


def test_only_measures_of_generations_by_sql_alone_are_of_cut_ones(
    measures: list[Measure], measurements: dict[str, Measurement]
) -> None:
    names = {m.name for m in measures}
    assert names >= {*COUNTED}
    assert not names & {"anchor_coverage", "pairwise_match", "perplexity", "self_perplexity"}
    spread = next(m for m in measures if m.name == "ngram_spread")
    led_to = chain(spread, measurements)
    assert led_to is not None
    assert [m.table.name for m in led_to] == ["ngram_spread"]
