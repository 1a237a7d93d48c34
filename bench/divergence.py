"""What reading text with two models costs, against their forward passes: together and in turn.

    python -m bench.divergence [--texts 16] [--repeat 3] [--dtype float32]

The base is Gemma 3 270M, and the other one its copy with noise in the weights. Prints the time of
`diverge_together` over that of the forward passes in it, and the time of `diverge_in_turn`, whose
models are in memory already here and are not loaded anew.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import statistics
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers

from bench.scoring import (
    SOURCES,
    Call,
    documents,
    forward_alone,
    median_ratio,
    recorded,
    report,
    texts,
    timed,
)
from models import ModelPool
from models.divergence import diverge_in_turn, diverge_together

if TYPE_CHECKING:
    from models import LanguageModel, Text

BUDGET = 1.3
_CHARACTERS = (600, 1000)
"""Of a text, which are about 150 to 250 tokens."""


def with_noise(model: LanguageModel, scale: float = 0.02) -> LanguageModel:
    """A copy whose weights are moved by a share of their spread, as if it had been trained on."""
    moved = copy.deepcopy(model.model)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weights in moved.parameters():
            noise = torch.randn(weights.shape, generator=generator)
            weights += scale * float(weights.std(correction=0)) * noise.to(weights.dtype)
    return dataclasses.replace(model, model=moved)


def both_alone(model: LanguageModel, base: LanguageModel, calls: list[Call]) -> None:
    """The forward passes of both, and what they give dropped."""
    forward_alone(model, calls)
    forward_alone(base, calls)


def in_turn(model: LanguageModel, base: LanguageModel, some: list[Text]) -> None:
    """Reads with one after the other, logits in a file meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        diverge_in_turn(
            lambda: model,
            lambda: base,
            some,
            Path(folder) / "logits",
            context_length=base.context_length,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--texts", type=int, default=16, help="that are read")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each")
    parser.add_argument("--dtype", default="float32", help="of the weights")
    options = parser.parse_args()
    base = ModelPool().get(SOURCES[0], device="cpu", dtype=options.dtype)
    model = with_noise(base)
    some = list(texts(base, documents(options.texts, _CHARACTERS)))
    tokens = sum(len(text.token_ids) for text in some)
    print(
        f"{SOURCES[0]} and its copy with noise, {base.vocab_size} tokens, {base.dtype}, "
        f"{torch.get_num_threads()} threads; transformers {transformers.__version__}, torch "
        f"{torch.__version__}\n{options.texts} texts\n\n"
        f"{'run':6} {'':24} {'tokens':>7} {'seconds':>8} {'tokens/s':>9}"
    )
    # The model's are the same. What is only set up once is done here.
    calls = recorded(base, diverge_together, model, base, some)
    runs: dict[str, tuple[Any, ...]] = {
        "forward passes alone": (both_alone, model, base, calls),
        "both in memory": (diverge_together, model, base, some),
        "one after the other": (in_turn, model, base, some),
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for run in range(1, options.repeat + 1):
        for name, (function, *work) in runs.items():
            taken = timed(function, *work)[1]
            seconds[name].append(taken)
            report(run, name, tokens, taken)
    for name, measured in seconds.items():
        report("median", name, tokens, statistics.median(measured))
    alone = seconds["forward passes alone"]
    for name in ("both in memory", "one after the other"):
        print(f"ratio  {median_ratio(seconds[name], alone):.2f}, {name}")
    print(f"budget at most {BUDGET} where both are in memory")


if __name__ == "__main__":
    main()
