"""What the built-in aligner takes for more and longer generations, and on more cores."""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from aligners.anchorlake import WordsFirst
from bench.generations import made_up
from bench.used import cpu_seconds, peak_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aligners import Aligner

_SAMPLES = (10, 25, 50, 100, 200)
_LENGTHS = (500, 1000, 2000, 4000)
_GROWTH = (100, 300, 1000)
_GROWTH_LENGTH = 2000
_PAPER = (80, 100, 2000)
"""Prompts, samples of each, and characters of each."""
_PROMPTS = 4
_REPEAT = 3


def warm_up(aligner: Aligner) -> None:
    """Lets Numba compile."""
    aligner.columns(made_up(3, 200, 0))


def by_size() -> None:
    """Prints seconds of CPU for a prompt by the number and length of its generations."""
    aligner = WordsFirst()
    warm_up(aligner)
    print(
        "\nThe built-in aligner, one made-up prompt, one thread: CPU seconds by characters\n\n"
        f"{'samples':12}" + "".join(f"{n:>10}" for n in _LENGTHS)
    )
    for samples in _SAMPLES:
        print(f"{samples:<12}", end="")
        for length in _LENGTHS:
            texts = made_up(samples, length, 0)
            start = cpu_seconds()
            aligner.columns(texts)
            print(f"{cpu_seconds() - start:10.2f}", end="", flush=True)
        print(flush=True)


def growth() -> None:
    """Prints seconds of CPU and memory for a prompt with more and more generations.

    In random words nothing recurs but by chance, which takes longest.
    """
    for name, recurs in (("sentences recur", 0.5), ("random words", 0.0)):
        print(
            f"\nThe built-in aligner, {_GROWTH_LENGTH} characters, {name}\n\n"
            f"{'samples':12}{'CPU s':>10}{'ms each':>10}{'memory':>12}"
        )
        for samples in _GROWTH:
            seconds, peak = in_a_process(_taken, samples, recurs)
            each = 1000 * seconds / samples
            print(f"{samples:<12}{seconds:10.2f}{each:10.1f}{peak / 1e6:9.0f} MB", flush=True)


def _taken(samples: int, recurs: float) -> tuple[float, float]:
    """Seconds of CPU that a prompt takes, and memory beyond that of the process before."""
    texts = made_up(samples, _GROWTH_LENGTH, 0, recurs)
    aligner = WordsFirst()
    warm_up(aligner)
    idle, start = peak_memory(), cpu_seconds()
    aligner.columns(texts)
    return cpu_seconds() - start, peak_memory() - idle


def at_paper_scale() -> None:
    """Prints seconds on all cores, and what a second thread brings."""
    n_prompts, samples, length = _PAPER
    prompts = [made_up(samples, length, number) for number in range(n_prompts)]
    aligner = WordsFirst()
    warm_up(aligner)
    cores = os.cpu_count() or 1
    idle = peak_memory()
    taken = _seconds_of(aligner, prompts, cores)
    print(
        f"\n{n_prompts} prompts x {samples} samples x {length} characters on {cores} cores: "
        f"{taken:.1f} s; peak memory {peak_memory() / 1e6:.0f} MB, {idle / 1e6:.0f} before",
        flush=True,
    )
    few = prompts[:_PROMPTS]
    ratios = []
    for run in range(1, _REPEAT + 1):
        one, two = (_seconds_of(aligner, few, threads) for threads in (1, 2))
        ratios.append(one / two)
        print(f"run {run}, {len(few)} prompts: 1 thread {one:.2f} s, 2 threads {two:.2f} s")
    print(f"ratio  {statistics.median(ratios):.2f}, the median")


def _seconds_of(aligner: Aligner, prompts: Sequence[Sequence[str]], threads: int) -> float:
    """Seconds that prompts take, each on one of some threads."""
    start = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        for done in pool.map(aligner.columns, prompts):
            del done
    return time.perf_counter() - start


def in_a_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a function where memory holds nothing else."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as child:
        return child.submit(function, *arguments).result()
