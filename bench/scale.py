"""What each table of a study costs as tokens become more, a process for each.

    python -m bench.scale [1 4 16] [--aligned 1] [--memory 4] [--only NAME ...]

Takes millions of tokens, and prints for each table microseconds of processor time and bytes of peak
memory a token, so that what grows with the tokens stays level. `--aligned` says up to how many
millions generations are aligned, `--memory` how many GB a session of DuckDB may use.

Generations are made up, 100 of 512 tokens a prompt, and as many of a base. They are of 50,000
pieces of words, of a Zipf distribution. A prompt has 40 sentences of 16 tokens. A generation takes
32 of them in their order, keeps half of those with one token in ten replaced, and has words of its
own in the place of the others. So n-grams recur within prompts as they do in sampled text, and
between prompts where words are common. How likely tokens are is random numbers.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from aligners import open_aligner
from assets.measures.declared import (
    PLACEHOLDERS,
    declared_measurements,
    declared_measures,
    declared_tables,
)
from assets.measures.summary import summarise
from bench.alignment import cpu_seconds, peak_memory
from warehouse import Lake, Limits, Measurement, Provenance, Table, tables, write_table
from warehouse.beside import BasePair
from warehouse.measure import measure
from warehouse.measure_headers import Measure
from warehouse.measures import measured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SAMPLES, _SLOTS, _SENTENCES, _LENGTH = 100, 32, 40, 16
_WIDTH = _SLOTS * _LENGTH
_TOKENS = _SAMPLES * _WIDTH
"""Of a prompt."""
_PIECES = 50_000
_RECURS, _REPLACED = 0.5, 0.1
_GENERATIONS = [100, 300, 1000]
"""Of one prompt, whose alignment is timed."""
_AGAIN = ", again"
"""Of a table that is read and written anew, as where rows are kept from before."""
_INPUTS = (
    tables.GENERATIONS,
    tables.TOKEN_TEXTS,
    tables.SCORED_TEXTS,
    tables.TOKEN_DISTRIBUTIONS,
)
_TEXT = ("condition", "decoding", "corpus", "text_id")
_DECODING, _SET = "top_p=0.9", "made-up"
_MADE_UP = Provenance("", "", "bench", "")
_PAIR = BasePair("m", _DECODING, "base", _DECODING)


@lru_cache
def pieces() -> np.ndarray:
    """What tokens are written as; three of four begin a word."""
    random = np.random.default_rng(0)
    letters = np.array(list("etaoinshrdlucmfwypvbgkjqxz"))
    words = ["".join(random.choice(letters, size=n)) for n in random.integers(1, 8, _PIECES)]
    return np.array([w if i % 4 == 3 else f" {w}" for i, w in enumerate(words)], dtype=object)


def drawn(prompt: int, samples: int, seed: int) -> np.ndarray:
    """The tokens of a prompt's generations: int [samples, tokens]."""
    random = np.random.default_rng([seed, prompt])
    chances = 1 / np.arange(1, _PIECES + 1)
    chances /= chances.sum()

    def words(*shape: int) -> np.ndarray:
        return random.choice(_PIECES, size=shape, p=chances)

    taken = np.sort(random.random((samples, _SENTENCES)).argsort(axis=1)[:, :_SLOTS])
    sentences = words(_SENTENCES, _LENGTH)[taken]
    recurs = random.random((samples, _SLOTS, 1)) < _RECURS
    replaced = random.random(sentences.shape) < _REPLACED
    tokens = np.where(recurs & ~replaced, sentences, words(*sentences.shape))
    return tokens.reshape(samples, -1)


def made_up(table: Table, prompts: int, seed: int = 0) -> Iterator[pa.RecordBatch]:
    """Rows of a table that models make, a prompt at a time; null in what nothing here reads."""
    random = np.random.default_rng(seed)
    n_masses = len(PLACEHOLDERS["top_k"])  # type: ignore[arg-type]
    for prompt in range(prompts):
        tokens = drawn(prompt, _SAMPLES, seed)
        columns: dict[str, Any] = {
            "decoding": [_DECODING] * _SAMPLES,
            "prompt_set": [_SET] * _SAMPLES,
            "prompt_id": [f"{prompt:06}"] * _SAMPLES,
            "sample": range(_SAMPLES),
            "text": ["".join(row) for row in pieces()[tokens]],
            "token_ids": list(tokens),
            "n_tokens": [_WIDTH] * _SAMPLES,
            "pieces": list(pieces()[tokens]),
            "condition": ["own"] * _SAMPLES,
            "corpus": [_SET] * _SAMPLES,
            "text_id": [f"{prompt:06}/{i}" for i in range(_SAMPLES)],
            "category": ["prompts"] * _SAMPLES,
            "item": [f"{prompt:06}"] * _SAMPLES,
            "n_words": [_WIDTH * 3 // 4] * _SAMPLES,
        }
        columns["n_bytes"] = [len(text) for text in columns["text"]]
        if table is tables.TOKEN_DISTRIBUTIONS:
            columns = {name: np.repeat(columns[name], _WIDTH) for name in _TEXT}
            surprise = random.exponential(2, _TOKENS)
            masses = np.sort(random.random((_TOKENS, n_masses)), axis=1)
            columns |= {
                "position": np.tile(np.arange(_WIDTH), _SAMPLES),
                "token_id": tokens.ravel(),
                "logprob": -surprise,
                "rank": np.exp(surprise / 2).astype(int),
                "entropy": random.exponential(2, _TOKENS),
                "support": random.integers(1, _PIECES, _TOKENS),
                "top_mass": list(masses),
                "top_ids": list(random.integers(_PIECES, size=(_TOKENS, 10))),
                "top_logprobs": list(np.log(masses[:, 9::-1])),
            }
        yield filled(table, columns)


def filled(table: Table, columns: dict[str, Any]) -> pa.RecordBatch:
    """A table's rows, null in what is not given."""
    n = len(columns["decoding"])
    given = [columns.get(field.name, [None] * n) for field in table.arrow_schema]
    types = table.arrow_schema.types
    return pa.RecordBatch.from_arrays(
        [pa.array(c).cast(t) for c, t in zip(given, types, strict=True)], schema=table.arrow_schema
    )


def write(lake: Lake, prompts: int, reads: set[str]) -> None:
    """Makes up what models make, of the tables that are read."""
    prompt_ids = [f"{prompt:06}" for prompt in range(prompts)]
    columns = {"decoding": prompt_ids, "prompt_id": prompt_ids, "prompt_set": [_SET] * prompts}
    write_table(lake, tables.PROMPTS, [filled(tables.PROMPTS, columns)], _MADE_UP)
    for table in _INPUTS:
        if table.name in reads:
            write_table(lake, table, made_up(table, prompts), _MADE_UP, "m")
    write_table(lake, _INPUTS[0], made_up(_INPUTS[0], prompts, 1), _MADE_UP, "base")


def again(lake: Lake, table: Table) -> None:
    """Reads a file, and writes and checks it, as where rows are kept from before."""
    batches = pq.ParquetFile(lake.path(table, "m")).iter_batches()
    write_table(lake, table, batches, _MADE_UP, "m")


def align(lake: Lake) -> None:
    """Aligns every prompt, one after the other."""

    def rows() -> Iterator[pa.RecordBatch]:
        with open_aligner("anchorlake") as aligner:
            for batch in pq.ParquetFile(lake.path(tables.GENERATIONS, "m")).iter_batches(_SAMPLES):
                columns = {name: batch[name] for name in tables.ALIGNMENTS.stored_grain}
                placed = aligner.columns(batch["text"].to_pylist())
                width = max(int(of_text[-1]) + 1 for of_text in placed)
                columns |= {"columns": placed, "width": [width] * len(batch)}
                yield filled(tables.ALIGNMENTS, columns)

    write_table(lake, tables.ALIGNMENTS, rows(), _MADE_UP, "m")


def steps(aligned: bool) -> dict[str, Table | Measurement | Measure]:
    """What is timed, each after what it reads."""
    measurements = declared_measurements(PLACEHOLDERS)
    there = {"prompts", *(table.name for table in _INPUTS)}
    timed: dict[str, Table | Measurement | Measure] = {
        table.name + _AGAIN: table for table in (tables.GENERATIONS, tables.TOKEN_DISTRIBUTIONS)
    }
    if aligned:
        timed["alignments"] = tables.ALIGNMENTS
        there.add("alignments")
    for measurement in measurements:
        if there.issuperset(measurement.reads):
            timed[measurement.table.name] = measurement
            there.add(measurement.table.name)
    for item in declared_measures(PLACEHOLDERS, measurements=measurements):
        if there.issuperset(item.reads):
            timed[item.table.name] = item
    return timed | {"summary": tables.SUMMARY}


def cost(folder: str, name: str, aligned: bool, memory: float) -> tuple[float, float]:
    """Makes a table; gives the seconds of processor time and the bytes that this takes."""
    lake, timed = Lake(Path(folder)), steps(aligned)
    step = timed[name]
    with open_aligner("anchorlake") as aligner:
        aligner.columns(["to compile it", "to compile"])
    options: dict[str, Any] = {"checkpoint": "m", "parameters": PLACEHOLDERS}
    options["limits"] = Limits(memory=int(memory * 1e9))
    seconds, idle = cpu_seconds(), peak_memory()
    if step is tables.ALIGNMENTS:
        align(lake)
    elif step is tables.SUMMARY:
        rows = (
            summarise(measure_of, lake.read(measure_of.table, "m"))
            for measure_of in timed.values()
            if isinstance(measure_of, Measure)
        )
        write_table(lake, step, (b for some in rows for b in some.to_batches()), _MADE_UP, "m")
    elif isinstance(step, Table):
        again(lake, step)
    else:
        known = {table.name: table for table in declared_tables()}
        reads = [known[table] for table in step.reads]
        pair = _PAIR if step.beside_base else None
        compute: Any = measure if isinstance(step, Measurement) else measured
        with compute(step, lake, reads, pair=pair, **options) as batches:
            write_table(lake, step.table, batches, _MADE_UP, "m")
    return cpu_seconds() - seconds, peak_memory() - idle


def align_more(samples: int) -> tuple[float, float]:
    """Aligns one prompt; gives the seconds and the bytes that this takes."""
    texts = ["".join(row) for row in pieces()[drawn(0, samples, 0)]]
    with open_aligner("anchorlake") as aligner:
        aligner.columns(["to compile it", "to compile"])
        seconds, idle = cpu_seconds(), peak_memory()
        aligner.columns(texts)
    return cpu_seconds() - seconds, peak_memory() - idle


def be_quiet() -> None:
    """Writes nothing; DuckDB takes this process for a terminal, and draws its progress."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def in_a_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a function where memory holds nothing else."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, initializer=be_quiet) as child:
        return child.submit(function, *arguments).result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("millions", type=float, nargs="*", default=[1, 4, 16])
    parser.add_argument("--aligned", type=float, default=1, help="up to so many millions")
    parser.add_argument("--memory", type=float, default=4, help="GB of a session")
    parser.add_argument(
        "--generations", type=int, nargs="*", default=_GENERATIONS, help="to align of one prompt"
    )
    parser.add_argument("--only", nargs="+", help="tables")
    options = parser.parse_args()
    print("alignments of one prompt: generations, s, MB")
    for samples in () if options.only else options.generations:
        seconds, peak = in_a_process(align_more, samples)
        print(f"{samples:6}{seconds:10.1f}{peak / 1e6:10.0f}", flush=True)
    for millions in options.millions:
        prompts = max(1, round(millions * 1e6 / _TOKENS))
        aligned = millions <= options.aligned
        chosen = {k: v for k, v in steps(aligned).items() if k in (options.only or [k])}
        read_by = [getattr(step, "reads", (name.removesuffix(_AGAIN),)) for name, step in chosen.items()]
        with tempfile.TemporaryDirectory() as folder:
            in_a_process(write, Lake(Path(folder)), prompts, {name for reads in read_by for name in reads})
            print(f"\n{prompts * _TOKENS:,} tokens{'s':>29}{'us/token':>10}{'MB':>8}{'B/token':>9}")
            for name in chosen:
                seconds, peak = in_a_process(cost, folder, name, aligned, options.memory)
                a_token = 1e6 * seconds / prompts / _TOKENS, peak / prompts / _TOKENS
                print(f"{name:40}{seconds:8.2f}{a_token[0]:10.3f}", end="")
                print(f"{peak / 1e6:8.0f}{a_token[1]:9.1f}", flush=True)


if __name__ == "__main__":
    main()
