"""What probing costs: hidden states against the bare forward pass, and training on them.

    python -m bench.probes [--texts 32] [--repeat 3] [--tokens 100000]

Prints, for both of the demo's models, the time of extracting hidden states to the disk over that of
the forward passes in it, tokens a second of training probes, alone and beside a busy loop on each
core, and the peak memory of all that for some tokens and for as many as a probe is trained on.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import transformers

from bench.scoring import SOURCES, Peak, documents, load, median_ratio, report, texts, timed
from models.probes import KINDS, Examples, train
from models.states import StateFile, hidden_states

if TYPE_CHECKING:
    from collections.abc import Iterator

    from models import LanguageModel, Source, Text
    from models.probes import Kind

BUDGET = 1.1
SHARE = 1.3
"""Of what a process is due beside others."""
_DEPTH = 0.875
_CHARACTERS = (300, 500)
"""Of a text, which are about 100 tokens, as many as a generation of the demo has."""
_FEW = 10_000
"""Tokens whose peak memory that of the most is compared with."""


def recorded(model: LanguageModel, some: list[Text], layer: int) -> list[torch.Tensor]:
    """The inputs of the forward passes that extracting the texts' hidden states takes."""
    inputs: list[torch.Tensor] = []
    read = model.hidden_states

    def record(ids: torch.Tensor, at: int) -> torch.Tensor:
        inputs.append(ids)
        return read(ids, at)

    model.hidden_states = record  # type: ignore[method-assign]
    try:
        for _ in hidden_states(model, some, layer):
            pass
    finally:
        del model.hidden_states
    return inputs


@torch.inference_mode()
def forward_alone(model: LanguageModel, inputs: list[torch.Tensor]) -> None:
    """The same forward passes without the output layer, and what they give dropped."""
    for ids in inputs:
        model.model.base_model(input_ids=ids, use_cache=False)


def extract(model: LanguageModel, some: list[Text], layer: int, path: Path) -> StateFile:
    """Hidden states to the disk."""
    states = StateFile(path, model.config.hidden_size, model.model.dtype)
    for group in hidden_states(model, some, layer):
        for _, found in group:
            states.append(found)
    return states


def against_forward(model: LanguageModel, some: list[Text], repeat: int, folder: Path) -> None:
    """Prints how much longer extraction takes than the forward passes in it."""
    layer = round(_DEPTH * model.n_layers)
    tokens = sum(len(text.token_ids) for text in some)
    inputs = recorded(model, some, layer)
    runs: dict[str, tuple[Any, ...]] = {
        "forward pass alone": (forward_alone, model, inputs),
        "hidden states to disk": (extract, model, some, layer, folder / "states"),
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for run in range(1, repeat + 1):
        for name, (function, *work) in runs.items():
            taken = timed(function, *work)[1]
            seconds[name].append(taken)
            report(run, name, tokens, taken)
    for name, measured in seconds.items():
        report("median", name, tokens, statistics.median(measured))
    ratio = median_ratio(seconds["hidden states to disk"], seconds["forward pass alone"])
    print(f"ratio  {ratio:.2f}, budget at most {BUDGET}\n")


def training(model: LanguageModel, some: list[Text], folder: Path) -> None:
    """Prints tokens a second of training a probe of each kind, one token ahead."""
    states = extract(model, some, round(_DEPTH * model.n_layers), folder / "states")
    tokens = np.concatenate([np.asarray(text.token_ids) for text in some])
    rows = np.arange(len(tokens) - 1)
    last = 4 * len(rows) // 5
    learned, tuned = (
        Examples(states, part, tokens[part + 1]) for part in (rows[:last], rows[last:])
    )
    for kind in KINDS:
        taken = []
        for busy in (0, os.cpu_count() or 1):
            with busy_loops(busy):
                start = perf_counter()
                probe, curve = train(
                    learned, tuned, kind=kind, output_weights=model.output_weights, seed=0
                )
                taken.append(perf_counter() - start)
            epochs, seconds = len(curve.training), taken[-1]
            print(
                f"training {kind:13} beside {busy} busy loops: {epochs:3} epochs of "
                f"{len(learned)} tokens, {len(probe.tokens)} of them different: {seconds:.1f} s, "
                f"{epochs * len(learned) / seconds:,.0f} tokens/s",
                flush=True,
            )
        alone, beside = taken
        # With a busy loop on each core, half of each is left.
        print(f"ratio  {beside / (2 * alone):.2f} of its fair share, budget at most {SHARE}\n")


@contextmanager
def busy_loops(number: int) -> Iterator[None]:
    """Has some other processes compute as much as they are let."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def peak(width: int, n_tokens: int, kind: Kind, folder: str) -> float:
    """Resident memory at most, in bytes, of writing so many states and training a probe on them.

    The model is left out: only what grows with tokens is of interest.
    """
    random = np.random.default_rng(0)
    tokens = np.minimum(random.zipf(1.3, size=n_tokens), 20_000)
    with Peak() as watched:
        states = StateFile(Path(folder) / "states", width, torch.float32)
        for start in range(0, n_tokens, 1000):
            count = min(1000, n_tokens - start)
            states.append(torch.from_numpy(random.normal(size=(count, width))))
        rows = np.arange(n_tokens)
        last = 4 * n_tokens // 5
        learned, tuned = (
            Examples(states, part, tokens[part]) for part in (rows[:last], rows[last:])
        )
        output = torch.from_numpy(random.normal(size=(20_001, width))).float()
        train(learned, tuned, kind=kind, output_weights=output, seed=0)
    return watched.highest


def memory(source: Source, width: int, n_tokens: int) -> None:
    """Prints peak memory for few tokens and for many, each in a process of its own."""
    for kind in KINDS:
        peaks = []
        for n in (_FEW, n_tokens):
            with (
                tempfile.TemporaryDirectory() as folder,
                ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as child,
            ):
                peaks.append(child.submit(peak, width, n, kind, folder).result())
        print(
            f"peak memory of training {kind} on {_FEW} and {n_tokens} states {width} wide: "
            f"{peaks[0] / 1e6:.0f} and {peaks[1] / 1e6:.0f} MB; the states alone are "
            f"{4 * width * n_tokens / 1e6:.0f} MB",
            flush=True,
        )
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--texts", type=int, default=64, help="whose states are extracted")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each")
    parser.add_argument("--tokens", type=int, default=100_000, help="whose memory is measured")
    options = parser.parse_args()
    for source in SOURCES:
        model = load(source)
        some = list(texts(model, documents(options.texts, _CHARACTERS)))
        print(
            f"{source}, {model.vocab_size} tokens, {model.dtype}, {torch.get_num_threads()} "
            f"threads; transformers {transformers.__version__}, torch {torch.__version__}\n"
            f"{options.texts} texts\n\n"
            f"{'run':6} {'':24} {'tokens':>7} {'seconds':>8} {'tokens/s':>9}"
        )
        with tempfile.TemporaryDirectory() as folder:
            against_forward(model, some, options.repeat, Path(folder))
            training(model, some, Path(folder))
        width = model.config.hidden_size
        del model
        memory(source, width, options.tokens)


if __name__ == "__main__":
    main()
