"""Random generations, and a session over them, for tests of what is counted in texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from assets.measures.declared import PLACEHOLDERS
from warehouse import session
from warehouse.declarations import used_parameters
from warehouse.matched import chain
from warehouse.measures import values_of
from warehouse.tables import GENERATIONS
from warehouse.vocabulary import load_words

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from warehouse import Measurement
    from warehouse.measure_headers import Measure

Generations = dict[tuple[str, str, str], list[str]]
"""Of each decoding, prompt set and prompt the texts."""

SPACES = (" ", " ", " ", "  ", "\n", "\t", "\u3000", "\u00a0", " \x1d", "\u2028\n", "\r\n")
ENDS = (".", ".", "!", "?!", "…", '."', ".)", "。", "！」", "", "", ",")
NAMES = ("a", "b", "c", "Dr", "3.14", "über", "日本", "🙂", "e\u0301")


def random_text(source: random.Random, longest: int) -> str:
    """A text of few sentences, some several times in a row."""
    sentences = [
        " ".join(source.choice(NAMES) for _ in range(source.randint(1, 6))) + source.choice(ENDS)
        for _ in range(3)
    ]
    parts: list[str] = []
    for _ in range(source.randint(0, longest)):
        parts += [source.choice(sentences)] * source.choice([1, 1, 1, 2, 4])
    return "".join(part + source.choice(SPACES) for part in parts)


def random_generations(source: random.Random) -> Generations:
    """Prompts in several sets at two decodings, with single and with empty generations."""
    generations: Generations = {
        (decoding, prompt_set, prompt): [
            random_text(source, source.choice([0, 2, 8])) for _ in range(source.choice([1, 2, 5]))
        ]
        for decoding in ("greedy", "top_p=0.9")
        for prompt_set, prompt in (("s", "p"), ("s", "q"), ("t", "p"))
    }
    generations["greedy", "s", "empty"] = ["", " \n"]
    return generations


def rows_of(generations: Generations, checkpoint: str = "m") -> list[dict[str, Any]]:
    """The rows of `generations`."""
    return [
        {
            "checkpoint": checkpoint,
            "decoding": decoding,
            "prompt_set": prompt_set,
            "prompt_id": prompt,
            "sample": sample,
            "text": text,
        }
        for (decoding, prompt_set, prompt), texts in generations.items()
        for sample, text in enumerate(texts)
    ]


def measured_texts(
    measure: Measure,
    measurements: Mapping[str, Measurement],
    generations: Generations,
    **parameters: Any,
) -> dict[tuple[str, str, str, int], tuple[float, float]]:
    """A measure's numerator and denominator by decoding, prompt set, prompt and level."""
    given = {**PLACEHOLDERS, **parameters}
    schema = pa.schema([("checkpoint", pa.string()), *GENERATIONS.arrow_schema])
    rows = pa.Table.from_pylist(rows_of(generations), schema)
    with session() as connection:
        connection.register("generations", rows)
        load_words(connection)
        for measurement in chain(measure, measurements) or ():
            used = used_parameters(measurement.query, given)
            connection.sql(measurement.query, params=used).create(measurement.table.name)
        values = values_of(measure, connection, given).to_arrow_table().to_pylist()
    return {
        (row["decoding"], row["collection"], row["item"], row["level"]): (
            row["numerator"],
            row["denominator"],
        )
        for row in values
        if row["numerator"] is not None
    }
