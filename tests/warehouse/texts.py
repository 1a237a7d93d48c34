"""Random generations, and a session over them, for tests of what is counted in texts."""

from __future__ import annotations

import re
import unicodedata
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
NAMES = ("a", "We", "Dr", "3.14", "über", "日本", "🙂", "e\u0301")


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


LINE_ENDS = "\n\x0b\x0c\r\x85\u2028\u2029"
_END = re.compile(
    rf"""[{LINE_ENDS}]+|([.!?…]+)(["')\]}}”’»*_]*)(?=\s|\Z)|[。！？]+["')\]}}”’»」』）]*"""
)
_ABBREVIATION = re.compile(
    r"(?:^|[^\w.-]|_)(?:[A-HJ-ZÀ-ÖØ-ÞΑ-ΩА-Я]|Mr|Mrs|Ms|Dr|Prof|St|Mt|Gen|Sen|Gov|Lt|Col|Capt|Sgt"
    r"|Rev|vs|cf|[Ee]\.g|[Ii]\.e)$"
)
_NUMBERED = re.compile(r"\b(?:[Nn]o|[Ff]ig|[Vv]ol|[Ee]q|[Ss]ec|[Cc]h|pp?)$", re.ASCII)


def sentences_of(text: str) -> list[str]:
    """The sentences of a text by their definition, an end after the other."""
    pieces, start = [], 0
    for match in _END.finditer(text):
        if match[1] is None or _ends(text, match):
            pieces.append(text[start : match.end()])
            start = match.end()
    stripped = (piece.strip() for piece in [*pieces, text[start:]])
    return [s for s in stripped if any(unicodedata.category(sign)[0] in "LN" for sign in s)]


def _ends(text: str, match: re.Match[str]) -> bool:
    """Whether a sentence ends with these stops."""
    before, after = text[: match.start()], text[match.end() :]
    line = re.split(f"[{LINE_ENDS}]", before)[-1]
    following = re.match(r"""[\t \xa0]+(["'“‘«(\[*_]*)(.)""", after, re.DOTALL)
    if following and unicodedata.category(following[2]) == "Ll":
        return False
    if match[1] != ".":
        return True
    if _ABBREVIATION.search(before) or re.fullmatch(r"[\t \xa0]*[0-9]+", line):
        return False
    is_numbered = not match[2] and _NUMBERED.search(before)
    return not (is_numbered and re.match(r"[\t \xa0]+[0-9]", after))
