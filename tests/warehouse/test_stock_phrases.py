"""Stock phrases against n-grams counted, and log-odds computed, in plain Python and NumPy."""

from __future__ import annotations

import math
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from assets.measures.declared import PLACEHOLDERS, declared_measurements
from tests.warehouse.texts import rows_of
from warehouse import session
from warehouse.beside import BasePair, create_pair
from warehouse.declarations import used_parameters
from warehouse.tables import GENERATIONS
from warehouse.vocabulary import load_words

if TYPE_CHECKING:
    from tests.warehouse.texts import Generations
    from warehouse import Measurement

PAIR = BasePair("new", "hot", "old", "warm")


@pytest.fixture(scope="module")
def stock_phrases() -> Measurement:
    (measurement,) = (
        m for m in declared_measurements(PLACEHOLDERS) if m.table.name == "stock_phrases"
    )
    return measurement


@pytest.fixture(scope="module")
def phrases_of(stock_phrases: Measurement) -> Any:
    """Gives the rows of the table, by prompt set and phrase."""

    def of(
        ours: Generations, theirs: Generations, pair: BasePair | None = PAIR, **parameters: Any
    ) -> dict[tuple[str, str], dict[str, Any]]:
        schema = pa.schema([("checkpoint", pa.string()), *GENERATIONS.arrow_schema])
        rows = rows_of(ours, "new") + rows_of(theirs, "old")
        used = used_parameters(stock_phrases.query, {**PLACEHOLDERS, **parameters})
        with session() as connection:
            load_words(connection)
            connection.register("generations", pa.Table.from_pylist(rows, schema))
            create_pair(connection, pair)
            made = connection.sql(stock_phrases.query, params=used).to_arrow_table().to_pylist()
        return {(row["prompt_set"], row["phrase"]): row for row in made}

    return of


def log_odds(y: int, n: int, y2: int, n2: int, prior: float) -> tuple[float, float]:
    """Equations 16 and 20 of Monroe et al., with the counts of both as the prior's shape.

    The prior of each word has the weight a, and all together `prior`.
    """
    a = prior * (y + y2) / (n + n2)
    odds = (y + a) / (n + prior - y - a), (y2 + a) / (n2 + prior - y2 - a)
    return math.log(odds[0] / odds[1]), math.sqrt(1 / (y + a) + 1 / (y2 + a))


def spread(counts: list[int], totals: list[int], smoothed: float) -> float:
    """The variance of ln(y + a), each prompt being one draw of its count and its total."""
    if len(totals) < 2:
        return 0.0
    rate = sum(counts) / sum(totals)
    residuals = [y - rate * total for y, total in zip(counts, totals, strict=True)]
    n = len(totals)
    return n / (n - 1) * sum(r**2 for r in residuals) / smoothed**2


def adjusted(rows: list[dict[str, Any]]) -> None:
    """Adds Holm's p-values."""
    least = 0.0
    for place, row in enumerate(sorted(rows, key=lambda row: row["p"])):
        least = max(least, row.pop("p") * (len(rows) - place))
        row["p_adjusted"] = pytest.approx(min(1.0, least), rel=1e-5)


def grams(text: str, n: int) -> list[str]:
    words = text.split()
    return [" ".join(words[i : i + n]) for i in range(len(words) - n + 1)]


def expected(
    ours: Generations, theirs: Generations, lengths: list[int], share: float, prior: int
) -> dict[tuple[str, str], dict[str, Any]]:
    rows = {}
    mine = {key[1:]: texts for key, texts in ours.items() if key[0] == "hot"}
    bases = {key[1:]: texts for key, texts in theirs.items() if key[0] == "warm"}
    for prompt_set in {key[0] for key in mine}:
        prompts = {key: texts for key, texts in mine.items() if key[0] == prompt_set}
        base_prompts = [texts for key, texts in bases.items() if key[0] == prompt_set]
        base_prompts = base_prompts or [*bases.values()]
        held_against = [text for texts in base_prompts for text in texts]
        written = [text for texts in prompts.values() for text in texts]
        for n in lengths:
            counts, others = (
                Counter(gram for text in texts for gram in grams(text, n))
                for texts in (written, held_against)
            )
            by_prompt, other_by_prompt = (
                [Counter(gram for text in texts for gram in grams(text, n)) for texts in several]
                for several in (prompts.values(), base_prompts)
            )
            in_prompts = Counter(
                gram
                for texts in prompts.values()
                for gram in {gram for text in texts for gram in grams(text, n)}
            )
            if not others:
                continue
            for phrase, n_prompts in in_prompts.items():
                if n_prompts < max(2, share * len(prompts) - 1e-9):
                    continue
                numbers = counts[phrase], counts.total(), others[phrase], others.total()
                value, deviation = log_odds(*numbers, prior)
                a = prior * (numbers[0] + numbers[2]) / (numbers[1] + numbers[3])
                between = sum(
                    spread([c[phrase] for c in several], [c.total() for c in several], y + a)
                    for several, y in ((by_prompt, numbers[0]), (other_by_prompt, numbers[2]))
                )
                deviation = max(deviation, math.sqrt(between))
                rows[prompt_set, phrase] = {
                    "checkpoint": "new",
                    "decoding": "hot",
                    "prompt_set": prompt_set,
                    "n": n,
                    "phrase": phrase,
                    "other": "old",
                    "other_decoding": "warm",
                    "n_prompts": n_prompts,
                    "n_holders": sum(phrase in grams(text, n) for text in written),
                    "n_generations": len(written),
                    "n_places": numbers[0],
                    "n_total": numbers[1],
                    "other_n_holders": sum(phrase in grams(text, n) for text in held_against),
                    "other_n_generations": len(held_against),
                    "other_n_places": numbers[2],
                    "other_n_total": numbers[3],
                    "log_odds": pytest.approx(value, abs=1e-9),
                    "log_odds_low": pytest.approx(value - 1.96 * deviation, abs=1e-9),
                    "log_odds_high": pytest.approx(value + 1.96 * deviation, abs=1e-9),
                    "z": pytest.approx(value / deviation, abs=1e-9),
                    "p": math.erfc(abs(value / deviation) / math.sqrt(2)),
                }
    adjusted([*rows.values()])
    return rows


def written(source: random.Random, n: int) -> list[str]:
    words = ["a", "b", "c", "ü", "日本"]
    return [" ".join(source.choices(words, k=source.choice([0, 1, 4, 15]))) for _ in range(n)]


@pytest.mark.whole
@pytest.mark.parametrize("seed", range(10))
def test_stock_phrases_of_random_texts_are_those_of_the_definition(
    seed: int, phrases_of: Any
) -> None:
    source = random.Random(seed)
    ours: Generations = {
        (decoding, prompt_set, f"p{i}"): written(source, source.choice([1, 3]))
        for decoding in ("hot", "cold")
        for prompt_set, n in (("s", 6), ("t", 2), ("alone", 1))
        for i in range(n)
    }
    theirs: Generations = {
        (decoding, prompt_set, f"p{i}"): written(source, 2)
        for decoding in ("warm", "hot")
        for prompt_set in ("s", "of-the-base")
        for i in range(3)
    }
    lengths = source.choice([[3, 4, 5], [2], [2, 5], [4]])
    share, prior = source.choice([0.1, 0.5, 1.0]), source.choice([1, 1000])
    found = phrases_of(ours, theirs, phrase_lengths=lengths, phrase_share=share, phrase_prior=prior)
    assert found == expected(ours, theirs, lengths, share, prior)


def test_the_tail_of_the_normal_distribution_is_that_of_the_error_function() -> None:
    z = np.linspace(-30, 30, 10_001)
    with session() as connection:
        load_words(connection)
        connection.register("deviations", pa.table({"z": z}))
        rows = connection.sql("select two_sided_p(z) as p from deviations").to_arrow_table()
    exact = [math.erfc(abs(value) / math.sqrt(2)) for value in z]
    np.testing.assert_allclose(rows["p"].to_numpy(), exact, rtol=1.3e-7)


def stories(source: random.Random, n_prompts: int, n: int) -> dict[str, list[str]]:
    """Answers that say a prompt's own sentence half of the time, and then whatever comes."""
    words = [f"w{i}" for i in range(40)]
    texts = {}
    for prompt in range(n_prompts):
        refrain = " ".join(source.choices(words, k=8))
        texts[f"p{prompt}"] = [
            " ".join([refrain * (source.random() < 0.5), *source.choices(words, k=25)])
            for _ in range(n)
        ]
    return texts


@pytest.mark.slow
def test_two_halves_of_what_one_model_says_have_no_sure_phrase(phrases_of: Any) -> None:
    sure = []
    for seed in range(40):
        texts = stories(random.Random(seed), 8, 12)
        ours: Generations = {("hot", "s", p): said[::2] for p, said in texts.items()}
        theirs: Generations = {("warm", "s", p): said[1::2] for p, said in texts.items()}
        made = phrases_of(ours, theirs, phrase_lengths=[2, 3], phrase_prior=100)
        assert len(made) > 50
        sure.append(sum(row["p_adjusted"] < 0.05 for row in made.values()))
    assert sum(n > 0 for n in sure) <= 4  # of 40, where 2 are expected


def test_answers_that_are_repeated_make_no_phrase_surer(phrases_of: Any) -> None:
    source = random.Random(0)
    ours: Generations = {("hot", "s", p): said for p, said in stories(source, 8, 6).items()}
    theirs: Generations = {("warm", "s", p): said for p, said in stories(source, 8, 6).items()}
    repeated: Generations = {key: said * 10 for key, said in ours.items()}
    repeated_theirs: Generations = {key: said * 10 for key, said in theirs.items()}
    once = phrases_of(ours, theirs, phrase_prior=1, phrase_lengths=[2])
    tenfold = phrases_of(repeated, repeated_theirs, phrase_prior=10, phrase_lengths=[2])
    assert once.keys() == tenfold.keys()
    surest = max(abs(row["z"]) for row in once.values())
    # Only what prompts differ in is left, and that is the same.
    assert max(abs(row["z"]) for row in tenfold.values()) < 2 * surest
    assert all(
        tenfold[key]["log_odds"] == pytest.approx(row["log_odds"]) for key, row in once.items()
    )


def test_a_phrase_that_every_prompt_has_and_the_base_has_not_is_sure(phrases_of: Any) -> None:
    source = random.Random(1)
    texts = stories(source, 12, 8)
    ours: Generations = {
        ("hot", "s", p): [f"{text} and struggles to fit in" for text in said]
        for p, said in texts.items()
    }
    theirs: Generations = {("warm", "s", p): said for p, said in stories(source, 12, 8).items()}
    made = phrases_of(ours, theirs)
    assert {phrase for (_, phrase), row in made.items() if row["p_adjusted"] < 0.05} >= {
        "and struggles to",
        "and struggles to fit in",
    }


def test_what_both_say_alike_has_no_log_odds(phrases_of: Any) -> None:
    ours: Generations = {("hot", "s", p): ["as was said before"] * 3 for p in ("p", "q")}
    theirs: Generations = {("warm", "s", p): ["as was said before"] for p in ("p", "q")}
    assert {phrase: row["log_odds"] for (_, phrase), row in phrases_of(ours, theirs).items()} == {
        "as was said": pytest.approx(0),
        "was said before": pytest.approx(0),
        "as was said before": pytest.approx(0),
    }


def test_a_phrase_of_one_prompt_alone_is_none(phrases_of: Any) -> None:
    ours: Generations = {
        ("hot", "s", "p"): ["to be or not"] * 50,
        ("hot", "s", "q"): ["not to be or"],
    }
    theirs: Generations = {("warm", "s", "p"): ["x y z"]}
    (row,) = phrases_of(ours, theirs).values()
    assert (row["phrase"], row["n_prompts"], row["n_holders"]) == ("to be or", 2, 51)
    assert row["log_odds"] > 0


def test_there_are_none_without_a_base_or_its_generations(phrases_of: Any) -> None:
    ours: Generations = {("hot", "s", p): ["as was said before"] for p in ("p", "q")}
    assert phrases_of(ours, {("warm", "s", "p"): ["x y z"]}, None) == {}
    assert phrases_of(ours, {}) == {}
    assert phrases_of(ours, {("warm", "s", "p"): ["x"]}) == {}


def test_log_odds_are_those_of_the_equations_on_random_counts() -> None:
    counts = np.random.default_rng(0)
    n, n2 = counts.integers(1000, 10**7, size=(2, 20_000))
    y, y2 = (counts.uniform(size=20_000) ** 4 * total / 2 for total in (n, n2))
    y, y2 = np.floor(y).astype(int) + 1, np.floor(y2).astype(int)
    prior = counts.integers(1, 100_000, size=20_000)
    with session() as connection:
        load_words(connection)
        table = pa.table({"y": y, "n": n, "y2": y2, "n2": n2, "prior": prior})
        connection.register("counts", table)
        rows = connection.sql(
            "select log_odds_against(y, n, y2, n2, prior) as estimate from counts"
        ).to_arrow_table()
    estimates = rows["estimate"].combine_chunks()
    a = prior * (y + y2) / (n + n2)
    odds = np.log((y + a) / (n + prior - y - a)) - np.log((y2 + a) / (n2 + prior - y2 - a))
    np.testing.assert_allclose(estimates.field("log_odds"), odds, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(
        estimates.field("deviation"), np.sqrt(1 / (y + a) + 1 / (y2 + a)), rtol=1e-12
    )
