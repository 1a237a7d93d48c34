"""Stock phrases, and the measures of generations' words, at the paper's scale.

    python -m bench.texts [--prompts 80] [--samples 100] [--tokens 512]

Prints seconds, processor time, a ratio to plain Python and peak memory. Generations of a checkpoint
and its base are made up as `bench.ngrams` makes them, of as many words as tokens.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from assets.measures.declared import PLACEHOLDERS, declared_measurements, declared_measures
from bench.ngrams import write
from bench.used import peak_memory
from warehouse import Lake, Limits
from warehouse.beside import BasePair
from warehouse.matched import chain
from warehouse.measure import measure
from warehouse.measures import measured
from warehouse.tables import GENERATIONS

if TYPE_CHECKING:
    from collections.abc import Callable

_LIMITS = Limits(memory=1200 << 20, threads=2)
_DECODING = "top_p=0.9"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--prompts", type=int, default=80)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--tokens", type=int, default=512)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder) / "lake")
        for seed, checkpoint in enumerate(("aligned", "base")):
            write(lake, options.prompts, options.samples, options.tokens, checkpoint, seed)
        print(f"{options.prompts} prompts x {options.samples} samples x {options.tokens} words")
        seconds = timed("stock_phrases", lambda: stock_phrases(lake))
        print(f"peak memory: {peak_memory() / 1e9:.2f} GB")
        plain = timed("the same counts in plain Python", lambda: count_plainly(lake))
        print(f"ratio {plain / seconds:.1f}")
        time_measures(lake)


def timed(name: str, work: Callable[[], object]) -> float:
    """Does some work, and prints and gives the seconds that it takes."""
    start, used = time.perf_counter(), time.process_time()
    result = work()
    seconds = time.perf_counter() - start
    print(f"  {name}: {seconds:.2f} s, {time.process_time() - used:.2f} s of processors, {result}")
    return seconds


def stock_phrases(lake: Lake) -> str:
    (table,) = (m for m in declared_measurements(PLACEHOLDERS) if m.table.name == "stock_phrases")
    with measure(
        table,
        lake,
        [GENERATIONS],
        checkpoint="aligned",
        pair=BasePair("aligned", _DECODING, "base", _DECODING),
        parameters=PLACEHOLDERS,
        limits=_LIMITS,
    ) as batches:
        return f"{sum(batch.num_rows for batch in batches):,} rows"


def count_plainly(lake: Lake) -> str:
    """The n-grams of 3 to 5 words of both, and the prompts of the aligned one's."""
    counts: dict[str, Counter[tuple[str, ...]]] = {"aligned": Counter(), "base": Counter()}
    holders: Counter[tuple[str, ...]] = Counter()
    for checkpoint, counter in counts.items():
        by_prompt: dict[str, set[tuple[str, ...]]] = {}
        columns = lake.read(GENERATIONS, checkpoint).select(["prompt_id", "text"])
        for row in columns.to_pylist():
            words = row["text"].split()
            grams = [tuple(words[i : i + n]) for n in (3, 4, 5) for i in range(len(words) - n + 1)]
            counter.update(grams)
            by_prompt.setdefault(row["prompt_id"], set()).update(grams)
        if checkpoint == "aligned":
            for held in by_prompt.values():
                holders.update(held)
    return f"{sum(n >= 8 for n in holders.values()):,} phrases"


def time_measures(lake: Lake) -> None:
    """Prints how long each measure takes that reads nothing but generations."""
    measurements = {m.table.name: m for m in declared_measurements(PLACEHOLDERS)}
    for declared in declared_measures(PLACEHOLDERS):
        if chain(declared, measurements) == []:

            def values(declared: object = declared) -> str:
                with measured(
                    declared,
                    lake,
                    [GENERATIONS],
                    checkpoint="aligned",
                    parameters=PLACEHOLDERS,
                    limits=_LIMITS,
                ) as batches:
                    return f"{pa.Table.from_batches(batches).num_rows} rows"

            timed(declared.name, values)


if __name__ == "__main__":
    main()
