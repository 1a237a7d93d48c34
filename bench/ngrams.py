"""The n-gram tables at the paper's scale, against plain Python and against `diversity`.

    python -m bench.ngrams [--prompts 80] [--samples 100] [--tokens 512] [--diversity]

Prints seconds, ratios and peak memory. Generations are made up: words of a Zipf distribution, with
anchors of 10 to 60 words that most generations of a prompt share. `--diversity` needs that package,
which `make bench` installs.
"""

from __future__ import annotations

import argparse
import importlib.util
import runpy
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from assets.measures.declared import STUDY_PARAMETERS, declared_measurements
from assets.study.thresholds import Thresholds
from bench.used import peak_memory
from warehouse import Lake, Limits, Measurement, Provenance, write_table
from warehouse.measure import measure
from warehouse.tables import GENERATIONS

_VOCABULARY = 50_000
_MEMORY = 1500 << 20
_THRESHOLDS = Thresholds().values()
_MADE_UP = Provenance("", "", "bench", "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--prompts", type=int, default=80)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--memory", type=int, default=_MEMORY, help="of a session, in bytes")
    parser.add_argument("--diversity", action="store_true", help="compare with that package")
    parser.add_argument("--tables-only", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder) / "lake")
        write(lake, options.prompts, options.samples, options.tokens)
        total = options.prompts * options.samples * options.tokens
        print(f"{options.prompts} prompts x {options.samples} samples x {options.tokens} tokens")
        seconds = time_tables(lake, options.memory)
        print(f"all tables, tokens and words: {seconds:.1f} s, {total / seconds:,.0f} tokens/s")
        print(f"peak memory: {peak_memory() / 1e9:.2f} GB")
        if options.tables_only:
            return
        plain = time_plain(lake)
        print(f"plain Python, the same counts: {plain:.1f} s; ratio {plain / seconds:.1f}")
        if options.diversity:
            compare_with_diversity(Path(folder), options)


def write(
    lake: Lake, prompts: int, samples: int, tokens: int, checkpoint: str = "m", seed: int = 0
) -> None:
    """Makes generations up, a prompt at a time."""
    random = np.random.default_rng(seed)
    weights = 1 / np.arange(1, _VOCABULARY + 1)
    weights /= weights.sum()

    def batches():  # type: ignore[no-untyped-def]
        for prompt in range(prompts):
            drawn = random.choice(_VOCABULARY, size=(samples, tokens), p=weights)
            for length in random.integers(10, 60, size=6):
                anchor = random.choice(_VOCABULARY, size=min(length, tokens), p=weights)
                for row in np.flatnonzero(random.random(samples) < 0.6):
                    start = random.integers(0, tokens - len(anchor) + 1)
                    drawn[row, start : start + len(anchor)] = anchor
            yield from pa.Table.from_pylist(
                [
                    {
                        "decoding": "top_p=0.9",
                        "prompt_set": "made-up",
                        "prompt_id": f"{prompt:06d}",
                        "sample": i,
                        "text": " ".join(map("w{}".format, row)),
                        "token_ids": row,
                    }
                    for i, row in enumerate(drawn.tolist())
                ],
                GENERATIONS.arrow_schema,
            ).to_batches()

    write_table(lake, GENERATIONS, batches(), _MADE_UP, checkpoint)


def _measurements() -> list[Measurement]:
    parameters = {**dict.fromkeys(STUDY_PARAMETERS, 0), **_THRESHOLDS}
    return declared_measurements(parameters)


def time_tables(lake: Lake, memory: int) -> float:
    """Seconds that the n-gram tables take, one after the other."""
    total = 0.0
    for measurement in _measurements():
        if measurement.table.name.startswith("ngram_"):
            rows, seconds = time_table(lake, measurement, memory)
            total += seconds
            print(f"  {measurement.table.name}: {seconds:.2f} s, {len(rows):,} rows")
    return total


def time_table(
    lake: Lake, measurement: Measurement, memory: int
) -> tuple[list[dict[str, Any]], float]:
    """A table's rows, and the seconds that they took."""
    start = time.perf_counter()
    with measure(
        measurement,
        lake,
        [GENERATIONS],
        checkpoint="m",
        parameters=_THRESHOLDS,
        limits=Limits(memory=memory, threads=2),
    ) as batches:
        rows = pa.Table.from_batches(batches)
    return rows.to_pylist(), time.perf_counter() - start


def read_units(lake: Lake, unit: str) -> dict[str, list[list[object]]]:
    """The tokens or words of every generation, by prompt."""
    column = "token_ids" if unit == "token" else "text"
    units: dict[str, list[list[object]]] = {}
    for row in lake.read(GENERATIONS, "m").select(["prompt_id", column]).to_pylist():
        listed = row[column].split() if unit == "word" else row[column]
        units.setdefault(row["prompt_id"], []).append(listed)
    return units


def time_plain(lake: Lake) -> float:
    """Seconds that the same counts take with sets and a Counter, reading included."""
    start = time.perf_counter()
    for unit in ("token", "word"):
        for samples in read_units(lake, unit).values():
            for n in (5, 10, 25, 50):
                held = Counter(gram for units in samples for gram in set(grams(units, n)))
                max(held.values(), default=0)
                if n == 10:
                    Counter(held.values())
            for n in range(1, 6):
                every = [gram for units in samples for gram in grams(units, n)]
                len(set(every))
    return time.perf_counter() - start


def grams(units: list[object], n: int) -> list[tuple[object, ...]]:
    return [tuple(units[i : i + n]) for i in range(len(units) - n + 1)]


def compare_with_diversity(folder: Path, options: argparse.Namespace) -> None:
    """The package joins all texts, so the two agree where a prompt has one long generation."""
    # The package's own import needs much more than this one module of it does.
    package = importlib.util.find_spec("diversity")
    assert package is not None
    assert package.submodule_search_locations
    path = Path(package.submodule_search_locations[0]) / "ngram_diversity.py"
    score = runpy.run_path(str(path))["ngram_diversity_score"]
    lake = Lake(folder / "joined")
    write(lake, options.prompts, 1, options.samples * options.tokens)
    start = time.perf_counter()
    rows = lake.read(GENERATIONS, "m").select(["text"]).to_pylist()
    theirs = [score([row["text"]], num_n=4) for row in rows]
    their_seconds = time.perf_counter() - start
    (measurement,) = (m for m in _measurements() if m.table.name == "ngram_diversity")
    rows, our_seconds = time_table(lake, measurement, options.memory)
    ours: dict[str, float] = {}
    for row in rows:
        if row["unit"] == "word" and row["n"] <= 4:
            share = float(row["n_distinct"] / row["n_total"])
            ours[row["prompt_id"]] = ours.get(row["prompt_id"], 0.0) + share
    gap = max(abs(a - b) for a, b in zip(ours.values(), theirs, strict=True))
    print(
        f"diversity.ngram_diversity_score, words to n = 4: {their_seconds:.1f} s; ngram_diversity, "
        f"tokens and words to n = 5: {our_seconds:.1f} s; ratio {their_seconds / our_seconds:.1f}; "
        f"largest difference of scores {gap:.4f} (theirs are rounded to 0.001)"
    )


if __name__ == "__main__":
    main()
