"""What a checkpoint and its base have in common on one prompt, against sets of plain Python."""

from __future__ import annotations

import random
from typing import Any

import pyarrow as pa
import pytest

from assets.measures.declared import PLACEHOLDERS, declared_measures
from tests.warehouse.texts import Generations, random_generations, rows_of
from warehouse import session
from warehouse.beside import BasePair, create_pair
from warehouse.measures import values_of
from warehouse.tables import GENERATIONS, PROMPTS
from warehouse.vocabulary import load_words

PAIR = BasePair("new", "top_p=0.9", "old", "greedy")
Values = dict[tuple[str, str], tuple[float, float]]


def similarity(
    ours: Generations, theirs: Generations, prompts: dict[tuple[str, str], str], n: int
) -> Values:
    """The measure's numerators and denominators, by prompt set and prompt."""
    (measure,) = (m for m in declared_measures(PLACEHOLDERS) if m.name == "ngram_similarity")
    schema = pa.schema([("checkpoint", pa.string()), *GENERATIONS.arrow_schema])
    rows = rows_of(ours, "new") + rows_of(theirs, "old")
    asked: list[dict[str, Any]] = [
        {"prompt_set": prompt_set, "prompt_id": prompt, "text": text}
        for (prompt_set, prompt), text in prompts.items()
    ]
    with session() as connection:
        connection.register("generations", pa.Table.from_pylist(rows, schema))
        connection.register("prompts", pa.Table.from_pylist(asked, PROMPTS.arrow_schema))
        load_words(connection)
        create_pair(connection, PAIR)
        parameters = {**PLACEHOLDERS, "ngram_similarity_length": n}
        made = values_of(measure, connection, parameters).to_arrow_table().to_pylist()
    assert {(row["decoding"], row["other"]) for row in made} <= {("top_p=0.9", "old")}
    return {(r["collection"], r["item"]): (r["numerator"], r["denominator"]) for r in made}


def grams(texts: list[str], n: int) -> set[tuple[str, ...]]:
    split = [text.split() for text in texts]
    return {tuple(words[i : i + n]) for words in split for i in range(len(words) - n + 1)}


@pytest.mark.whole
@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_it_is_jaccards_similarity_of_the_sets_of_ngrams(n: int) -> None:
    for seed in range(3):
        source = random.Random(seed)
        ours, theirs = random_generations(source), random_generations(source)
        # The base knows two of the prompts, one of them in another set and by another name.
        theirs = {
            (decoding, *{("s", "p"): ("s", "p"), ("t", "p"): ("u", "x")}[names]): texts
            for (decoding, *key), texts in theirs.items()
            if (names := (key[0], key[1])) in {("s", "p"), ("t", "p")}
        }
        prompts = {("s", "p"): "Why?", ("s", "q"): "How?", ("t", "p"): "When?", ("u", "x"): "When?"}
        expected: Values = {}
        for mine, base in {("s", "p"): ("s", "p"), ("t", "p"): ("u", "x")}.items():
            both = grams(ours["top_p=0.9", *mine], n), grams(theirs["greedy", *base], n)
            if both[0] | both[1]:
                expected[mine] = len(both[0] & both[1]), len(both[0] | both[1])
        assert similarity(ours, theirs, prompts, n) == expected


def test_a_prompt_whose_text_is_not_known_is_paired_by_its_name() -> None:
    ours: Generations = {("top_p=0.9", "s", "p"): ["a b c d"], ("top_p=0.9", "s", "q"): ["a b c"]}
    theirs: Generations = {("greedy", "s", "p"): ["b c d e", "a b c"], ("greedy", "t", "q"): ["a"]}
    assert similarity(ours, theirs, {}, 3) == {("s", "p"): (2, 3)}
    assert similarity(ours, {}, {}, 3) == {}
