"""The built-in aligner against MAFFT, and what it costs for more and longer generations.

    python -m bench.alignment [INPUT ...] [--prompts N] [--paper-scale]

An INPUT is a JSON Lines file of generations, as a `file:` checkpoint brings them, or a lake's
folder, of which each checkpoint's generations are taken. Without any, texts are made up: random
words, in which sentences recur. Both aligners take turns at the same prompts, on one thread each.

Prints what alignments agree on, ratios, and whether they meet the budget; then the built-in
aligner's seconds by number and length of generations, and peak memory. `--paper-scale` adds 80
prompts x 100 samples x 2,000 characters on all cores. Where the program `mafft` is not installed,
it is left out.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import re
import resource
import statistics
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import astuple, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numba
import numpy as np

from aligners import NotInstalledError
from aligners.aligner import open_aligner
from assets.sources.generation_files import read_generations
from assets.study.errors import InputError
from warehouse import Lake
from warehouse.tables import GENERATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from aligners.aligner import Aligner

    Prompts = dict[str, list[str]]

BUILT_IN = "anchorlake"
MAFFT = "mafft"

SPEED_BUDGET = 25
"""Times as fast as MAFFT."""

MADE_UP_PROMPTS = 2
MADE_UP_SAMPLES = 100
MADE_UP_LENGTH = 1000
SAMPLES = (10, 25, 50, 100, 200)
LENGTHS = (500, 1000, 2000, 4000)
PAPER = (80, 100, 2000)
"""Prompts, samples of each, and characters of each."""
THREADS_PROMPTS = 4
THREADS_REPEAT = 3

# What alignments are compared by, as the tables define it.
_KEPT = 5
_RUN = 10
_WINDOW = 30
_FREQUENT = 5
"""One generation of so many has to have a window that is frequent."""

_VOCABULARY = 2000
_RECURS = 0.5


@dataclass(frozen=True)
class Agreement:
    """What generations agree on in an alignment.

    Attributes:
        pairs: Pairs of generations with the same character in a column, of all columns.
        in_runs: Those in runs of 10 or more, consecutive in both generations.
        kept: Columns with one same character in at least 5 generations.
        spans: Frequent spans.
        anchored: Generations that have any of them.
    """

    pairs: int
    in_runs: int
    kept: int
    spans: int
    anchored: int


@dataclass(frozen=True)
class Turn:
    """A prompt that one of the aligners had."""

    seconds: float
    of_cpu: float  # which other processes on the machine do not lengthen
    agreement: Agreement


def agreement(texts: Sequence[str], columns: Sequence[np.ndarray]) -> Agreement:
    """Counts what an alignment has in common.

    Args:
        texts: The generations of a prompt.
        columns: For each the columns of its characters, as `Aligner.columns` gives them.
    """
    encoded = "".join(texts).encode("utf-32-le", "surrogatepass")
    codes = np.frombuffer(encoded, dtype="<u4").astype(np.int64)
    placed = np.concatenate([np.asarray(c, dtype=np.int64) for c in columns])
    starts = np.cumsum([0, *map(len, texts)])
    assert all((np.diff(c) > 0).all() for c in columns)
    n_codes = sys.maxunicode + 1
    characters, holders = np.unique(placed * n_codes + codes, return_counts=True)
    spans, anchored = frequent_spans(texts, columns)
    return Agreement(
        pairs=int((holders * (holders - 1) // 2).sum()),
        in_runs=pairs_in_runs(codes, placed, starts, _RUN),
        kept=len(np.unique(characters[holders >= _KEPT] // n_codes)),
        spans=spans,
        anchored=anchored,
    )


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def pairs_in_runs(codes: np.ndarray, columns: np.ndarray, starts: np.ndarray, least: int) -> int:
    """Pairs of equal characters in one column, in runs that are consecutive in both generations.

    Args:
        codes: int64 [characters], every generation's characters, one generation after another.
        columns: int64 [characters], the column of each.
        starts: int64 [generations + 1], where each generation begins.
        least: Pairs of two generations that a run has to have.
    """
    total = 0
    for a in range(starts.size - 1):
        for b in range(a + 1, starts.size - 1):
            i, j = starts[a], starts[b]
            last_i, last_j, run = -2, -2, 0
            while i < starts[a + 1] and j < starts[b + 1]:
                if columns[i] < columns[j]:
                    i += 1
                    continue
                if columns[i] > columns[j]:
                    j += 1
                    continue
                if codes[i] == codes[j]:
                    if i != last_i + 1 or j != last_j + 1:
                        total += run if run >= least else 0
                        run = 0
                    run += 1
                    last_i, last_j = i, j
                i += 1
                j += 1
            total += run if run >= least else 0
    return total


def frequent_spans(texts: Sequence[str], columns: Sequence[np.ndarray]) -> tuple[int, int]:
    """How many frequent spans there are, and how many generations have any."""
    places: dict[tuple[int, str], dict[int, int]] = {}
    for sample, (text, placed) in enumerate(zip(texts, columns, strict=True)):
        for place, column in enumerate(placed[: max(0, len(text) - _WINDOW + 1)].tolist()):
            window = column, text[place : place + _WINDOW]
            places.setdefault(window, {})[sample] = place
    frequent = [
        held for held in places.values() if len(held) >= 2 and _FREQUENT * len(held) >= len(texts)
    ]
    # A window goes on with another's span where it comes directly after it in all that have either.
    following = {frozenset((sample, place + 1) for sample, place in h.items()) for h in frequent}
    n_spans = sum(frozenset(held.items()) not in following for held in frequent)
    return n_spans, len({sample for held in frequent for sample in held})


def made_up(samples: int, length: int, seed: int) -> list[str]:
    """Generations of a prompt: random words, in which sentences recur.

    Args:
        samples: How many.
        length: Their characters, on average.
        seed: Of the words, and of which sentences recur.
    """
    random = np.random.default_rng(seed)
    weights = 1 / np.arange(1, _VOCABULARY + 1)
    weights /= weights.sum()
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = ["".join(random.choice(letters, size=n)) for n in random.integers(2, 11, _VOCABULARY)]

    def sentence() -> str:
        drawn = random.choice(_VOCABULARY, size=random.integers(6, 20), p=weights)
        return " ".join(words[number] for number in drawn).capitalize() + ". "

    recurring = [sentence() for _ in range(length // 50)]
    texts = []
    for characters in random.integers(length * 4 // 5, length * 6 // 5 + 1, size=samples):
        text = ""
        for common in recurring:
            text += common if random.random() < _RECURS else sentence()
        while len(text) < characters:
            text += sentence()
        texts.append(text[:characters])
    return texts


def inputs(paths: Sequence[Path]) -> Iterator[tuple[str, Prompts]]:
    """What is aligned, and what it is called."""
    if not paths:
        yield (
            f"made up, {MADE_UP_LENGTH} characters",
            {
                f"made-up-{number}": made_up(MADE_UP_SAMPLES, MADE_UP_LENGTH, number)
                for number in range(MADE_UP_PROMPTS)
            },
        )
    for path in paths:
        if path.is_dir():
            lake = Lake(path)
            if not lake.partitions(GENERATIONS):
                raise InputError(f"{path} holds no generations; it should be a lake's folder")
            for checkpoint in lake.partitions(GENERATIONS):
                yield checkpoint, of_checkpoint(lake, checkpoint)
        else:
            prompts: Prompts = {}
            for generation in read_generations(path):
                prompts.setdefault(generation.prompt_id, []).append(generation.text)
            yield path.name, prompts


def of_checkpoint(lake: Lake, checkpoint: str) -> Prompts:
    """A checkpoint's generations, of the decoding that it has most of, which is not greedy."""
    columns = ["decoding", "prompt_set", "prompt_id", "text"]
    rows = lake.read(GENERATIONS, checkpoint).select(columns).to_pylist()
    decodings = Counter(row["decoding"] for row in rows if row["decoding"] != "greedy")
    chosen = dict(decodings.most_common(1))
    prompts: Prompts = {}
    for row in rows:
        if row["decoding"] in chosen:
            prompt = f"{row['prompt_id']} of {row['prompt_set']}"
            prompts.setdefault(prompt, []).append(row["text"])
    return prompts


def take_turn(aligner: Aligner, texts: Sequence[str]) -> Turn:
    """Aligns the generations of a prompt."""
    start, cpu = time.perf_counter(), cpu_seconds()
    columns = aligner.columns(texts)
    seconds, of_cpu = time.perf_counter() - start, cpu_seconds() - cpu
    return Turn(seconds, of_cpu, agreement(texts, columns))


def cpu_seconds() -> float:
    """Of this process so far, and of those that it ran."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def compare(name: str, prompts: Prompts, aligners: dict[str, Aligner]) -> None:
    """Prints seconds for each prompt, and what the aligners' alignments have in common."""
    sizes = [len(texts) for texts in prompts.values()]
    lengths = [len(text) for texts in prompts.values() for text in texts]
    if not prompts:
        print(f"\n{name}: no prompt has 2 generations or more, so there is nothing to align")
        return
    print(
        f"\n{name}: {len(prompts)} prompts, {statistics.mean(sizes):.0f} generations each, "
        f"{statistics.mean(lengths):.0f} characters on average, {max(lengths)} at most\n"
    )
    names = "".join(f"{aligner:>12}" for aligner in aligners)
    width = len(names)
    print(f"{'':24}{'seconds':>{width}}{'anchored':>{width}}\n{'prompt':24}{names}{names}")
    turns: dict[str, list[Turn]] = {aligner: [] for aligner in aligners}
    for prompt_id, texts in prompts.items():
        for aligner, taken in turns.items():
            taken.append(take_turn(aligners[aligner], texts))
        last = [taken[-1] for taken in turns.values()]
        seconds = "".join(f"{turn.seconds:12.2f}" for turn in last)
        anchored = "".join(f"{turn.agreement.anchored:12}" for turn in last)
        print(f"{prompt_id:24.24}{seconds}{anchored}", flush=True)
    print(
        "\nSums over prompts, and means of those marked *.\n\n"
        f"{'aligner':12}{'seconds':>10}{'of CPU':>10}{'pairs':>14}{'in runs':>14}"
        f"{'kept*':>9}{'spans*':>9}{'anchored*':>11}"
    )
    for aligner, taken in turns.items():
        pairs, in_runs, *others = zip(*(astuple(turn.agreement) for turn in taken), strict=True)
        kept, spans, held = (statistics.mean(counts) for counts in others)
        print(
            f"{aligner:12}{sum(turn.seconds for turn in taken):10.2f}"
            f"{sum(turn.of_cpu for turn in taken):10.2f}{sum(pairs):14,}"
            f"{sum(in_runs):14,}{kept:9.1f}{spans:9.1f}{held:11.2f}"
        )
    if MAFFT in turns:
        judge(turns[BUILT_IN], turns[MAFFT])


def judge(ours: Sequence[Turn], theirs: Sequence[Turn]) -> None:
    """Prints ratios, and whether they meet the budget."""
    speed = sum(turn.seconds for turn in theirs) / sum(turn.seconds for turn in ours)
    of_cpu = sum(turn.of_cpu for turn in theirs) / max(1e-6, sum(turn.of_cpu for turn in ours))
    pairs, their_pairs = (sum(turn.agreement.pairs for turn in t) for t in (ours, theirs))
    anchored, their_anchored = (sum(turn.agreement.anchored for turn in t) for t in (ours, theirs))
    met = speed >= SPEED_BUDGET and pairs >= their_pairs and anchored >= their_anchored
    print(
        f"ratio  {speed:.1f} times as fast ({of_cpu:.1f} by CPU), budget at least {SPEED_BUDGET}; "
        f"{pairs / max(1, their_pairs):.3f} times the pairs, at least 1; "
        f"{anchored} generations anchored, at least {their_anchored}: "
        f"{'met' if met else 'not met'}"
    )


def seconds_of(aligner: Aligner, prompts: Sequence[Sequence[str]], threads: int) -> float:
    """Seconds that prompts take, each on one of some threads."""
    start = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        for done in pool.map(aligner.columns, prompts):
            del done
    return time.perf_counter() - start


def peak_memory() -> float:
    """Of this process, so far; in bytes."""
    # On Linux `ru_maxrss` starts at what the process had that this one was started by.
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s*(\d+) kB", status.read_text()) if status.exists() else None
    if found:
        return int(found[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024)


def warm_up(aligner: Aligner) -> None:
    """Lets Numba compile."""
    texts = made_up(3, 200, 0)
    agreement(texts, aligner.columns(texts))


def by_size() -> None:
    """Prints the built-in aligner's seconds of CPU for a prompt, and peak memory."""
    with open_aligner(BUILT_IN) as aligner:
        warm_up(aligner)
        idle = peak_memory()
        print(
            "\nThe built-in aligner, one made-up prompt, one thread: CPU seconds by characters\n\n"
            f"{'samples':12}" + "".join(f"{n:>10}" for n in LENGTHS) + f"{'peak memory':>15}"
        )
        for samples in SAMPLES:
            print(f"{samples:<12}", end="")
            for length in LENGTHS:
                texts = made_up(samples, length, 0)
                start = cpu_seconds()
                aligner.columns(texts)
                print(f"{cpu_seconds() - start:10.2f}", end="", flush=True)
            print(f"{peak_memory() / 1e6:12.0f} MB", flush=True)
        print(f"peak memory before: {idle / 1e6:.0f} MB")


def at_paper_scale() -> None:
    """Prints seconds, and what a second thread brings."""
    n_prompts, samples, length = PAPER
    prompts = [made_up(samples, length, number) for number in range(n_prompts)]
    with open_aligner(BUILT_IN) as aligner:
        warm_up(aligner)
        cores = os.cpu_count() or 1
        idle = peak_memory()
        taken = seconds_of(aligner, prompts, cores)
        print(
            f"\n{n_prompts} prompts x {samples} samples x {length} characters on {cores} cores: "
            f"{taken:.1f} s; peak memory {peak_memory() / 1e6:.0f} MB, {idle / 1e6:.0f} before",
            flush=True,
        )
        few = prompts[:THREADS_PROMPTS]
        ratios = []
        for run in range(1, THREADS_REPEAT + 1):
            one, two = (seconds_of(aligner, few, threads) for threads in (1, 2))
            ratios.append(one / two)
            print(f"run {run}, {len(few)} prompts: 1 thread {one:.2f} s, 2 threads {two:.2f} s")
        print(f"ratio  {statistics.median(ratios):.2f}, the median")


def in_a_process(function: Callable[[], None]) -> None:
    """Calls a function where memory holds nothing else."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as child:
        child.submit(function).result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("inputs", type=Path, nargs="*", metavar="INPUT", help="file or lake")
    parser.add_argument("--prompts", type=int, help="at most so many of each input")
    parser.add_argument("--paper-scale", action="store_true", help="also 80 prompts on all cores")
    options = parser.parse_args()
    with ExitStack() as stack:
        aligners: dict[str, Aligner] = {}
        for name in (BUILT_IN, MAFFT):
            try:
                aligners[name] = stack.enter_context(open_aligner(name))
            except NotInstalledError:
                print("mafft is not installed, so it is left out; Debian and Homebrew have it")
        print(", ".join(aligner.signature for aligner in aligners.values()))
        warm_up(aligners[BUILT_IN])
        try:
            for name, found in inputs(options.inputs):
                several = ((key, texts) for key, texts in found.items() if len(texts) >= 2)
                compare(name, dict(islice(several, options.prompts)), aligners)
        except InputError as error:
            parser.error(str(error))
    in_a_process(by_size)
    if options.paper_scale:
        in_a_process(at_paper_scale)


if __name__ == "__main__":
    main()
