"""`self_reinforcement` on texts whose repeated sentences are known, and against a plain loop."""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from assets.measures.declared import SQL_FOLDER
from warehouse.sessions import session
from warehouse.vocabulary import load_words

if TYPE_CHECKING:
    from collections.abc import Sequence

Values = dict[tuple[str, int], tuple[float, int]]
"""Numerator and denominator by prompt and level."""
POOL = ["It is so.", "Why not?", "“Ah!”", "漢字です。", "It  is\tso.", "No end", "π ≈ 3.14!"]


def measured(texts: dict[str, tuple[Sequence[str], Sequence[float]]], repetitions: int) -> Values:
    """The measure of texts, by `prompt/sample` their pieces and the probabilities of these."""
    keys = [text_id.split("/") for text_id in texts]
    generations = [
        {"checkpoint": "m", "decoding": "greedy", "prompt_set": "set"}
        | {"prompt_id": prompt, "sample": int(sample), "pieces": list(pieces)}
        for (prompt, sample), (pieces, _) in zip(keys, texts.values(), strict=True)
    ]
    tokens = [
        {"checkpoint": "m", "condition": condition, "decoding": "greedy", "corpus": "set"}
        | {"text_id": text_id, "position": position, "logprob": logprob}
        for text_id, (_, probabilities) in texts.items()
        for position, probability in enumerate(probabilities)
        for condition, logprob in (("own", math.log(probability)), ("other", 0.0))
    ]
    query = (SQL_FOLDER / "measures" / "self_reinforcement.sql").read_text(encoding="utf-8")
    with session() as connection:
        load_words(connection, query)
        connection.register("token_texts", pa.Table.from_pylist(generations))
        connection.register("token_distributions", pa.Table.from_pylist(tokens))
        rows = connection.sql(query, params={"repetitions": repetitions}).to_arrow_table()
    return {
        (row["item"], row["level"]): (row["numerator"], row["denominator"])
        for row in rows.to_pylist()
    }


def test_the_probability_of_a_sentence_rises_as_it_was_made_to() -> None:
    pieces = ["It", " is", " so", ".", " It", " is", " so", ".", "\n\n", "It", " is", " so", "."]
    first, second, third = [0.1, 0.2, 0.3, 0.4], [0.5] * 4, [0.8, 0.9, 0.9, 1.0]
    once = (["Other", " words", ".", " It", "."], [0.9] * 5)
    looping = ([*pieces, ""], [*first, *second, 0.01, *third, 0.02])
    found = measured({"p/0": looping, "p/1": once, "q/0": once}, 10)
    assert found.keys() == {("p", 1), ("p", 2), ("p", 3)}  # what comes once is of no level
    assert found["p", 1] == (pytest.approx(0.25), 1)
    assert found["p", 2] == (pytest.approx(0.5), 1)
    assert found["p", 3] == (pytest.approx(0.9), 1)
    assert measured({"p/0": looping}, 2).keys() == {("p", 1), ("p", 2)}


def made_up(source: random.Random) -> tuple[list[str], list[float], list[tuple[str, int, int]]]:
    """Pieces of a text, their probabilities, and its sentences with where each begins and ends."""
    text, spans = "", []
    for _ in range(source.randrange(12)):
        sentence = source.choice(POOL)
        spans.append((sentence, len(text), len(text) + len(sentence)))
        text += sentence + source.choice(["\n", "\n\n  "])
    cuts = sorted(source.choices(range(len(text) + 1), k=len(text) // 2))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    return pieces, [source.uniform(0.01, 1) for _ in pieces], spans


def by_a_plain_loop(texts: dict[str, Any], repetitions: int) -> Values:
    sums: dict[tuple[str, int], list[float]] = defaultdict(list)
    for text_id, (pieces, probabilities, spans) in texts.items():
        times = Counter(sentence for sentence, _, _ in spans)
        seen: Counter[str] = Counter()
        whole = "".join(pieces)
        starts = [len("".join(pieces[:i])) for i in range(len(pieces))]
        for sentence, begin, end in spans:
            seen[sentence] += 1
            own = []
            for piece, start, probability in zip(pieces, starts, probabilities, strict=True):
                if piece and not piece.strip():
                    continue
                rest = whole[start:]
                first = start + len(rest) - len(rest.lstrip())
                if begin <= first < end:
                    own.append(probability)
            if times[sentence] > 1 and seen[sentence] <= repetitions and own:
                sums[text_id.partition("/")[0], seen[sentence]].append(sum(own) / len(own))
    return {key: (sum(values), len(values)) for key, values in sums.items()}


def test_it_is_that_of_a_plain_loop_however_tokens_lie_in_sentences() -> None:
    source = random.Random(4)
    texts = {f"{prompt}/{i}": made_up(source) for prompt in "pqr" for i in range(12)}
    found = measured({name: made[:2] for name, made in texts.items()}, 4)
    expected = by_a_plain_loop(texts, 4)
    assert found.keys() == expected.keys() >= {("p", 1), ("q", 4)}
    for key, (numerator, denominator) in expected.items():
        assert found[key] == (pytest.approx(numerator), denominator)
