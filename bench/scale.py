"""What each table of a study costs as tokens become more, a process for each.

    python -m bench.scale [1 4 16] [--aligned 1] [--memory 4] [--only NAME ...]

Takes millions of tokens, and prints for each table microseconds of processor time and bytes of peak
memory a token, so that what grows with the tokens stays level. `--aligned` says up to how many
millions generations are aligned, `--memory` how many GB a session of DuckDB may use.

Generations are those of `bench.made_up`, and a base has as many.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from aligners import open_aligner
from assets.measures.declared import (
    PLACEHOLDERS,
    declared_measurements,
    declared_measures,
)
from assets.measures.summary import summarise
from bench.made_up import DECODING, PROMPT_SET, SAMPLES, TOKENS, drawn, filled, made_up, pieces
from bench.used import cpu_seconds, peak_memory
from warehouse import Lake, Limits, Measurement, Provenance, Table, tables, write_table
from warehouse.beside import BasePair
from warehouse.measure import measure
from warehouse.measure_headers import Measure
from warehouse.measures import measured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
_MADE_UP = Provenance("", "", "bench", "")
_PAIR = BasePair("m", DECODING, "base", DECODING)


Step = Table | Measurement | Measure
"""What is made."""


def write(lake: Lake, prompts: int, reads: set[str]) -> None:
    """Makes up what models make, of the tables that are read."""
    prompt_ids = [f"{prompt:06}" for prompt in range(prompts)]
    columns = {
        "decoding": prompt_ids,
        "prompt_id": prompt_ids,
        "prompt_set": [PROMPT_SET] * prompts,
    }
    write_table(lake, tables.PROMPTS, [filled(tables.PROMPTS, columns)], _MADE_UP)
    for table in _INPUTS:
        if table.name in reads:
            write_table(lake, table, made_up(table, prompts), _MADE_UP, "m")
    write_table(lake, _INPUTS[0], made_up(_INPUTS[0], prompts, 1), _MADE_UP, "base")


def again(lake: Lake, table: Table) -> None:
    """Reads a file, and writes and checks it, as where rows are kept from before."""
    # with pre_buffer, pyarrow keeps every row group that it has read
    batches = pq.ParquetFile(lake.path(table, "m"), pre_buffer=False).iter_batches()
    write_table(lake, table, batches, _MADE_UP, "m")


def align(lake: Lake) -> None:
    """Aligns every prompt, one after the other."""

    def rows() -> Iterator[pa.RecordBatch]:
        with open_aligner("anchorlake") as aligner:
            file = pq.ParquetFile(lake.path(tables.GENERATIONS, "m"), pre_buffer=False)
            for batch in file.iter_batches(SAMPLES):
                columns = {name: batch[name] for name in tables.ALIGNMENTS.stored_grain}
                placed = aligner.columns(batch["text"].to_pylist())
                width = max(int(of_text[-1]) + 1 for of_text in placed)
                columns |= {"columns": placed, "width": [width] * len(batch)}
                yield filled(tables.ALIGNMENTS, columns)

    write_table(lake, tables.ALIGNMENTS, rows(), _MADE_UP, "m")


def steps(aligned: bool) -> dict[str, Step]:
    """What is timed, each after what it reads."""
    measurements = declared_measurements(PLACEHOLDERS)
    there = {"prompts", *(table.name for table in _INPUTS)}
    timed: dict[str, Step] = {
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


def cost(folder: str, step: Step, steps: list[Step], memory: float) -> tuple[float, float]:
    """Makes a table; gives the seconds of processor time and the bytes that this takes."""
    lake = Lake(Path(folder))
    if step == tables.ALIGNMENTS:
        compile_aligner()
    seconds, idle = cpu_seconds(), peak_memory()
    if step == tables.ALIGNMENTS:
        align(lake)
    elif step == tables.SUMMARY:
        measures = [item for item in steps if isinstance(item, Measure)]
        rows = (summarise(item, lake.read(item.table, "m")) for item in measures)
        write_table(lake, step, (b for some in rows for b in some.to_batches()), _MADE_UP, "m")
    elif isinstance(step, Table):
        again(lake, step)
    else:
        known = {table.name: table for table in (*_INPUTS, tables.PROMPTS, tables.ALIGNMENTS)}
        known |= {s.table.name: s.table for s in steps if isinstance(s, Measurement)}
        compute: Any = measure if isinstance(step, Measurement) else measured
        with compute(
            step,
            lake,
            [known[name] for name in step.reads],
            checkpoint="m",
            pair=_PAIR if step.beside_base else None,
            parameters=PLACEHOLDERS,
            limits=Limits(memory=int(memory * 1e9)),
        ) as batches:
            write_table(lake, step.table, batches, _MADE_UP, "m")
    return cpu_seconds() - seconds, peak_memory() - idle


def compile_aligner() -> None:
    """Lets Numba compile."""
    with open_aligner("anchorlake") as aligner:
        aligner.columns(["to compile it", "to compile"])


def align_more(samples: int) -> tuple[float, float]:
    """Aligns one prompt; gives the seconds and the bytes that this takes."""
    texts = ["".join(row) for row in pieces()[drawn(0, samples, 0)]]
    compile_aligner()
    seconds, idle = cpu_seconds(), peak_memory()
    with open_aligner("anchorlake") as aligner:
        aligner.columns(texts)
    return cpu_seconds() - seconds, peak_memory() - idle


def be_quiet() -> None:
    """Writes nothing; DuckDB takes this process for a terminal, and draws its progress."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def in_a_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a function where memory holds nothing else."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["bench.growth", "assets.measures.summary"]
    )  # so each begins with what is imported
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
        prompts = max(1, round(millions * 1e6 / TOKENS))
        aligned = millions <= options.aligned
        timed = steps(aligned)
        chosen = {name: timed[name] for name in options.only or timed}
        read_by = [
            getattr(step, "reads", (name.removesuffix(_AGAIN),)) for name, step in chosen.items()
        ]
        with tempfile.TemporaryDirectory() as folder:
            in_a_process(
                write, Lake(Path(folder)), prompts, {name for reads in read_by for name in reads}
            )
            print(f"\n{prompts * TOKENS:,} tokens{'s':>29}{'us/token':>10}{'MB':>8}{'B/token':>9}")
            for name, step in chosen.items():
                seconds, peak = in_a_process(cost, folder, step, [*timed.values()], options.memory)
                a_token = 1e6 * seconds / prompts / TOKENS, peak / prompts / TOKENS
                print(f"{name:40}{seconds:8.2f}{a_token[0]:10.3f}", end="")
                print(f"{peak / 1e6:8.0f}{a_token[1]:9.1f}", flush=True)


if __name__ == "__main__":
    main()
