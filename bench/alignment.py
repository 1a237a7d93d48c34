"""The built-in aligner against MAFFT and CollateX, and what it costs for more generations.

    python -m bench.alignment [INPUT ...] [--prompts N] [--samples N] [--paper-scale]

An INPUT is a JSON Lines file of generations, as a `file:` checkpoint brings them, or a lake's
folder, of which each checkpoint's generations are taken. Without any, texts are made up: random
words, in which sentences recur, and sections under headings that are alike, planted in them. The
aligners take turns at the same prompts, on one thread each.

Prints what alignments agree on, ratios, and whether they meet the budget; then the built-in
aligner's seconds by number and length of generations, and how they and memory grow up to 1,000
generations. `--paper-scale` adds 80 prompts x 100 samples x 2,000 characters on all cores. Where
the program `mafft` or the package `collatex` is not installed, it is left out; CollateX also where
a prompt is too long for it.
"""

from __future__ import annotations

import argparse
import statistics
import time
from contextlib import ExitStack, contextmanager
from dataclasses import astuple, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from aligners import NotInstalledError
from aligners.aligner import open_aligner
from assets.study.errors import InputError
from bench.agreement import Agreement, agreement
from bench.collated import Collated
from bench.generations import inputs, made_up
from bench.growth import at_paper_scale, by_size, growth, in_a_process, warm_up
from bench.used import cpu_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aligners.aligner import Aligner
    from bench.generations import Prompt, Prompts

BUILT_IN = "anchorlake"
MAFFT = "mafft"
COLLATEX = "collatex"

SPEED_BUDGET = 50
"""Times as fast as MAFFT."""

COLLATEX_CHARACTERS = 40_000
"""Of a prompt's generations. It takes time in more than proportion: 33,000 took 21 s."""


@dataclass(frozen=True)
class Turn:
    """A prompt that one of the aligners had."""

    seconds: float
    of_cpu: float  # which other processes on the machine do not lengthen
    agreement: Agreement


@contextmanager
def opened(name: str) -> Iterator[Aligner]:
    """The aligner of this name, CollateX included."""
    if name == COLLATEX:
        yield Collated()
    else:
        with open_aligner(name) as aligner:
            yield aligner


def take_turn(aligner: Aligner, prompt: Prompt) -> Turn:
    """Aligns the generations of a prompt."""
    start, cpu = time.perf_counter(), cpu_seconds()
    columns = aligner.columns(prompt.texts)
    seconds, of_cpu = time.perf_counter() - start, cpu_seconds() - cpu
    return Turn(seconds, of_cpu, agreement(prompt.texts, columns, prompt.anchors))


def compare(name: str, prompts: Prompts, aligners: dict[str, Aligner]) -> None:
    """Prints seconds for each prompt, and what the aligners' alignments have in common."""
    if not prompts:
        print(f"\n{name}: no prompt has 2 generations or more, so there is nothing to align")
        return
    sizes = [len(prompt.texts) for prompt in prompts.values()]
    lengths = [len(text) for prompt in prompts.values() for text in prompt.texts]
    planted = sum(len(a.starts) for prompt in prompts.values() for a in prompt.anchors)
    print(
        f"\n{name}: {len(prompts)} prompts, {statistics.mean(sizes):.0f} generations each, "
        f"{statistics.mean(lengths):.0f} characters on average, {max(lengths)} at most"
        + (f", {planted} anchors planted" if planted else "")
    )
    longest = max(sum(map(len, prompt.texts)) for prompt in prompts.values())
    if COLLATEX in aligners and longest > COLLATEX_CHARACTERS:
        print(f"without CollateX: a prompt has more than {COLLATEX_CHARACTERS:,} characters")
        aligners = {key: aligner for key, aligner in aligners.items() if key != COLLATEX}
    names = "".join(f"{aligner:>12}" for aligner in aligners)
    width = len(names)
    print(f"\n{'':24}{'seconds':>{width}}{'anchored':>{width}}\n{'prompt':24}{names}{names}")
    turns: dict[str, list[Turn]] = {aligner: [] for aligner in aligners}
    for prompt_id, prompt in prompts.items():
        for aligner, taken in turns.items():
            taken.append(take_turn(aligners[aligner], prompt))
        last = [taken[-1] for taken in turns.values()]
        seconds = "".join(f"{turn.seconds:12.2f}" for turn in last)
        anchored = "".join(f"{turn.agreement.anchored:12}" for turn in last)
        print(f"{prompt_id:24.24}{seconds}{anchored}", flush=True)
    print(
        "\nSums over prompts, and means of those marked *.\n\n"
        f"{'aligner':12}{'seconds':>10}{'of CPU':>10}{'pairs':>14}{'in kept':>14}{'in runs':>14}"
        f"{'whole':>8}{'kept*':>9}{'spans*':>9}{'anchored*':>11}"
    )
    for aligner, taken in turns.items():
        counts = list(zip(*(astuple(turn.agreement) for turn in taken), strict=True))
        pairs, in_kept, in_runs, whole = map(sum, counts[:4])
        kept, spans, held = map(statistics.mean, counts[4:])
        print(
            f"{aligner:12}{sum(turn.seconds for turn in taken):10.2f}"
            f"{sum(turn.of_cpu for turn in taken):10.2f}{pairs:14,}{in_kept:14,}{in_runs:14,}"
            f"{whole:8}{kept:9.1f}{spans:9.1f}{held:11.2f}"
        )
    for other in turns.keys() - {BUILT_IN}:
        judge(turns[BUILT_IN], turns[other], other)


def judge(ours: Sequence[Turn], theirs: Sequence[Turn], other: str) -> None:
    """Prints ratios to another aligner, and, if it is MAFFT, whether they meet the budget."""

    def sums(count: str) -> tuple[int, int]:
        us, them = (sum(getattr(t.agreement, count) for t in turns) for turns in (ours, theirs))
        return us, them

    speed = sum(turn.seconds for turn in theirs) / sum(turn.seconds for turn in ours)
    of_cpu = sum(turn.of_cpu for turn in theirs) / max(1e-6, sum(turn.of_cpu for turn in ours))
    pairs, in_kept, whole, anchored = map(sums, ("pairs", "in_kept", "whole", "anchored"))
    met = speed >= SPEED_BUDGET and all(us >= them for us, them in (in_kept, whole, anchored))
    print(
        f"ratio  to {other}: {speed:.1f} times as fast ({of_cpu:.1f} by CPU); "
        f"{in_kept[0] / max(1, in_kept[1]):.3f} times the pairs in kept columns, "
        f"{pairs[0] / max(1, pairs[1]):.3f} in all; whole anchors {whole[0]} and {whole[1]}; "
        f"generations anchored {anchored[0]} and {anchored[1]}"
    )
    if other == MAFFT:
        print(
            f"budget: at least {SPEED_BUDGET} times as fast, with as many pairs in kept columns, "
            f"whole anchors and generations anchored: {'met' if met else 'not met'}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("inputs", type=Path, nargs="*", metavar="INPUT", help="file or lake")
    parser.add_argument("--prompts", type=int, help="at most so many of each input")
    parser.add_argument("--samples", type=int, help="at most so many of each prompt")
    parser.add_argument("--paper-scale", action="store_true", help="also 80 prompts on all cores")
    options = parser.parse_args()
    with ExitStack() as stack:
        aligners: dict[str, Aligner] = {}
        for name in (BUILT_IN, MAFFT, COLLATEX):
            try:
                aligners[name] = stack.enter_context(opened(name))
            except NotInstalledError as error:
                print(f"{name} is left out: {error}")
        print(", ".join(aligner.signature for aligner in aligners.values()))
        warm_up(aligners[BUILT_IN])
        agreement(few := made_up(3, 200, 0), aligners[BUILT_IN].columns(few))
        try:
            for name, found in inputs(options.inputs):
                shown = ((key, prompt.first(options.samples)) for key, prompt in found.items())
                several = ((key, prompt) for key, prompt in shown if len(prompt.texts) >= 2)
                compare(name, dict(islice(several, options.prompts)), aligners)
        except InputError as error:
            parser.error(str(error))
    in_a_process(by_size)
    growth()
    if options.paper_scale:
        in_a_process(at_paper_scale)


if __name__ == "__main__":
    main()
