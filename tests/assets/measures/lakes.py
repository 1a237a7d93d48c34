"""A small lake with whatever comparisons can be of, and its rows as plain Python."""

from __future__ import annotations

import random
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from assets.measures.declared import declared_measures
from tests.studies import PROMPTS, Bench, write_jsonl

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from assets.study.study import Study
    from models import Source
    from warehouse.measure_headers import Measure

N_PROMPTS = 9
LACKING = (2, 5)
"""Of these prompts of `new` its base has no generations."""
_CORPORA = {"tales": 5, "notes": 8}
MEASURES = {
    "bits_per_byte": "pooled",
    "ngram_diversity": "mean",
    "perplexity": "exp_pooled",
}
"""The measures that this lake has, and their statistics."""
SLICE = ("decoding", "other", "condition", "unit", "level")

Row = dict[str, Any]


def study_of(bench: Bench, gemma: Source, **changes: Any) -> Study:
    """Models and files of generations that are compared.

    `gemma` and its base `llama` are models of one tokenizer, each with two decodings, of which
    neither's first is the other's. `new` and its base `old` are files with the same tokenizer,
    whose prompts have other ids; one without a tokenizer, `final`, comes after `new` on their
    ladder. `told` is such a file too, of the base `llama` and its prompts.
    """
    folder = bench.folder
    source = random.Random(3)

    def written(prompts: dict[str, str], longest: int) -> list[Row]:
        return [
            {"prompt_id": prompt, "prompt": text, "sample": i, "text": _text(source, longest)}
            for prompt, text in prompts.items()
            for i in range(4)
        ]

    ours = {f"p{i}": f"What is {i}?" for i in range(N_PROMPTS)}
    # The other way round, so that the order of names is not that of texts.
    theirs = {f"q{9 - i}": f"What is {i}?" for i in range(N_PROMPTS) if i not in LACKING}
    studied = {row["prompt_id"]: row["text"] for row in PROMPTS}
    write_jsonl(folder / "new.jsonl", written(ours, 60))
    write_jsonl(folder / "final.jsonl", written(ours, 50))
    write_jsonl(folder / "old.jsonl", written(theirs | {"z": "What else?"}, 30))
    write_jsonl(folder / "told.jsonl", written(studied, 40))
    for corpus, n in _CORPORA.items():
        write_jsonl(folder / f"{corpus}.jsonl", [{"text": _text(source, 25)} for _ in range(n)])
    llama, other = str(bench.llama), str(gemma)
    values: dict[str, Any] = {
        "checkpoints": [
            {"name": "llama", "source": llama, "decodings": [{"top_p": 0.9}, {"top_p": 0.7}]},
            {"name": "gemma", "source": other, "base": "llama"}
            | {"decodings": [{"top_p": 0.7}, {"top_p": 0.9}]},
            {"name": "old", "source": "file:old.jsonl", "tokenizer": llama},
            {"name": "new", "source": "file:new.jsonl", "tokenizer": llama, "base": "old"},
            {"name": "final", "source": "file:final.jsonl", "base": "old"},
            {"name": "told", "source": "file:told.jsonl", "base": "llama"},
        ],
        "ladders": [{"name": "ours", "checkpoints": ["old", "new", "final"]}],
        "corpora": [
            {"name": corpus, "source": f"file:{corpus}.jsonl", "documents": n, "max_words": 25}
            for corpus, n in _CORPORA.items()
        ],
    }
    return bench.study(**values | changes)


def _text(source: random.Random, longest: int) -> str:
    phrases = ["the one and only way to go", "of all that there is", "so", "it ends here and now"]
    words: list[str] = []
    length = source.randint(8, longest)
    while len(words) < length:
        words += source.choice(phrases).split()
    return " ".join(words[:length])


@dataclass(frozen=True)
class Contents:
    """What a lake holds, as Parquet files have it.

    Attributes:
        bench: Its folder, not to be written to.
        measures: The rows of all measures.
        summary: The rows of `summary`.
        comparisons: The rows of `comparisons`.
        texts: The texts of prompts and documents, by collection and item.
    """

    bench: Bench
    measures: list[Row]
    summary: list[Row]
    comparisons: list[Row]
    texts: dict[tuple[str, str], str]


def contents_of(bench: Bench) -> Contents:
    """Reads all that comparisons are about."""
    folder = bench.folder / "lake"
    tables = {"prompts": ("prompt_set", "prompt_id"), "documents": ("corpus", "document_id")}
    return Contents(
        bench,
        rows_of(folder / "measures"),
        rows_of(folder / "summary"),
        rows_of(folder / "comparisons"),
        {
            (row[collection], row[item]): row["text"]
            for table, (collection, item) in tables.items()
            for row in rows_of(folder / table)
        },
    )


def rows_of(folder: Path) -> list[Row]:
    """The rows of a table's folder of partitions, with what their paths say."""
    rows = []
    for path in sorted(folder.rglob("data.parquet")):
        keys = dict(part.split("=") for part in path.parent.parts if "=" in part)
        rows += [row | keys for row in pq.read_table(path, partitioning=None).to_pylist()]
    return rows


@contextmanager
def limited_to(*names: str) -> Iterator[None]:
    """Limits the measures that there are, and has no figures."""

    def declared(*args: Any) -> list[Measure]:
        return [m for m in declared_measures(*args) if m.name in names]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("assets.registry.declared_measures", declared)
        patch.setattr("assets.registry.FIGURES", ())
        yield
