"""What it costs to draw the walk through many prompts.

    python -m bench.drawing [--prompts N ...] [--checkpoints N] [--profile]

Blueprints are made up, as full as blueprints become: up to six anchor spans of up to 200 characters
a prompt, with flows that skip some. Prints the seconds of each step, the bytes of each file and
whether they meet the budget of 200 prompts and of 1,000 prompts of four checkpoints.
"""

from __future__ import annotations

import argparse
import cProfile
import itertools
import pstats
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from assets.drawing.figure import FigureCheckpoint, FigureData
from assets.drawing.figure_asset import drawing_of
from assets.drawing.figure_files import Drawn, write_drawn
from assets.figures.blueprint import FIGURE
from warehouse import Lake, Provenance

BUDGETS = {200: (5.0, 3_000_000), 1000: (20.0, 12_000_000)}
"""For a number of prompts of four checkpoints: seconds, and bytes of the page."""
N_SAMPLES = 100
WORDS = (
    "the",
    "of",
    "it",
    "is",
    "important",
    "consider",
    "several",
    "water",
    "in",
    "your",
    "energy",
)


def made_up(n_prompts: int, n_checkpoints: int) -> FigureData:
    """What the blueprint of so many prompts is drawn from."""
    rng = random.Random(0)
    shown = [
        FigureCheckpoint(
            f"checkpoint-{i}",
            "top_p=0.9",
            "prompts",
            "aligned" if i else "base",
            "checkpoint-0" if i else None,
        )
        for i in range(n_checkpoints)
    ]
    rows: list[dict[str, Any]] = []
    for s in shown:
        for number in range(n_prompts):
            spans = [str(i + 1) for i in range(rng.randint(0, 6))]
            flows: Counter[tuple[str, str]] = Counter()
            holders: Counter[str] = Counter()
            anchored = 0
            for _ in range(N_SAMPLES):
                passed = [span for span in spans if rng.random() < 0.6]
                flows.update(itertools.pairwise(["START", *passed, "END"]))
                holders.update(passed)
                anchored += bool(passed)
            rows.append(
                {
                    "checkpoint": s.checkpoint,
                    "label": s.label,
                    "prompt_id": f"prompt-{number}",
                    "prompt": f"{number}. {text(rng, rng.randint(30, 200))}?",
                    "n_samples": N_SAMPLES,
                    "anchored": anchored,
                    "spans": [
                        {
                            "span": span,
                            "text": text(rng, rng.randint(30, 200)),
                            "n_holders": holders[span],
                        }
                        for span in spans
                    ],
                    "flows": [
                        {"source": source, "target": target, "n_holders": n}
                        for (source, target), n in sorted(flows.items())
                    ],
                }
            )
    prompts = {row["prompt_id"]: row["prompt"] for row in rows}
    return FigureData([row | {"prompt": prompts[row["prompt_id"]]} for row in rows], shown, "word")


def text(rng: random.Random, length: int) -> str:
    """Words, of about so many characters."""
    words: list[str] = []
    while sum(map(len, words)) + len(words) < length:
        words.append(rng.choice(WORDS))
    return " ".join(words)


def draw(n_prompts: int, n_checkpoints: int) -> None:
    """Draws a figure, and prints what that cost."""
    data = made_up(n_prompts, n_checkpoints)
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder))
        started, cpu = time.perf_counter(), time.process_time()
        drawing = drawing_of(FIGURE, data)
        table = FIGURE.table(data) if FIGURE.table else None
        drawn = time.perf_counter()
        provenance = Provenance("made up", "", "", "")
        write_drawn(lake, Drawn(FIGURE, provenance, [], [], [], table, drawing))
        written = time.perf_counter()
        sizes = {p.suffix[1:]: p.stat().st_size for p in (lake.figures / FIGURE.name).iterdir()}
        of_cpu = time.process_time() - cpu
    seconds = written - started
    print(
        f"{n_prompts} prompts x {n_checkpoints} checkpoints: {seconds:.2f} s, {of_cpu:.2f} of CPU "
        f"(drawn in {drawn - started:.2f}, written in {written - drawn:.2f}); "
        + ", ".join(f"{kind} {size / 1e6:.2f} MB" for kind, size in sorted(sizes.items()))
    )
    if n_prompts in BUDGETS and n_checkpoints == 4:
        most_seconds, most_bytes = BUDGETS[n_prompts]
        met = seconds <= most_seconds and sizes["html"] <= most_bytes
        print(
            f"ratio  {seconds / most_seconds:.2f} of {most_seconds:.0f} s, "
            f"{sizes['html'] / most_bytes:.2f} of {most_bytes / 1e6:.0f} MB for the page: "
            f"{'met' if met else 'not met'}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--prompts", type=int, nargs="+", default=[50, *BUDGETS])
    parser.add_argument("--checkpoints", type=int, default=4)
    parser.add_argument("--profile", action="store_true", help="also where the time went")
    options = parser.parse_args()
    draw(1, options.checkpoints)  # loads what is loaded once
    for n_prompts in options.prompts:
        profiler = cProfile.Profile(builtins=False)
        if options.profile:
            profiler.enable()
        draw(n_prompts, options.checkpoints)
        if options.profile:
            profiler.disable()
            pstats.Stats(profiler).sort_stats("cumulative").print_stats(25)


if __name__ == "__main__":
    main()
