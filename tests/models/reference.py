"""Slow second implementations, written from the definitions, and the statistics to compare with."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from models.cautious import MARKS
from models.distributions import PAPERS, Kept
from models.randomness import trial_uniforms, uniforms

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable

    from models import Decoding, LanguageModel, Request, Rules

ROUNDING = 3e-6
"""Probability that float32 arithmetic over a large vocabulary may move a boundary by."""


def nucleus(
    logits: np.ndarray, top_p: float, temperature: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """The nucleus's tokens, most likely first, and their cumulative probabilities, in float64."""
    scaled = (logits.astype(np.float32) / np.float32(temperature)).astype(np.float64)
    order = np.lexsort((np.arange(len(scaled)), -scaled))
    probability = np.exp(scaled - scaled.max())
    cumulative = np.cumsum((probability / probability.sum())[order])
    size = int((cumulative < top_p).sum()) + 1 if top_p < 1 else len(scaled)
    return order[:size], cumulative[:size]


def left_of(logits: np.ndarray, decoding: Decoding) -> dict[int, float]:
    """The tokens that may be drawn with their probabilities, step by step, in float64.

    The whole vocabulary is sorted, and after each limit what it leaves is made to sum to 1.
    """
    scaled = (logits.astype(np.float32) / np.float32(decoding.temperature)).astype(np.float64)
    tokens = np.array(sorted(range(len(scaled)), key=lambda token: (-scaled[token], token)))
    weights = np.exp(scaled - scaled.max())[tokens]
    if decoding.top_k:
        weights = weights[: decoding.top_k]
    weights = weights / weights.sum()
    if decoding.top_p < 1:
        before = weights.cumsum() - weights
        weights = weights[(before < decoding.top_p) | (before == 0)]
        weights = weights / weights.sum()
    if decoding.min_p:
        weights = weights[weights >= decoding.min_p * weights.max()]
        weights = weights / weights.sum()
    return dict(zip(tokens.tolist(), weights.tolist(), strict=False))


def possible_tokens(
    logits: np.ndarray, top_p: float, temperature: float, uniform: float, slack: float
) -> list[int]:
    """The token at uniform * mass of the nucleus, and those within `slack` of a boundary of it."""
    order, cumulative = nucleus(
        logits, min(1.0, top_p + slack) if top_p < 1 else top_p, temperature
    )
    smaller = nucleus(logits, max(0.0, top_p - slack), temperature)[1]
    first = int((cumulative <= uniform * smaller[-1] - slack).sum())
    last = int((cumulative <= uniform * cumulative[-1] + slack).sum())
    return order[min(first, len(order) - 1) : last + 1].tolist()


def draw(logits: np.ndarray, top_p: float, temperature: float, uniform: float) -> int:
    """Inverse of the nucleus's cumulative distribution at `uniform`."""
    order, cumulative = nucleus(logits, top_p, temperature)
    place = int((cumulative <= uniform * cumulative[-1]).sum())
    return int(order[min(place, len(order) - 1)])


@torch.inference_mode()
def generate(
    model: LanguageModel, request: Request, max_new_tokens: int, seed: int
) -> tuple[tuple[int, ...], str]:
    """One generation without a cache or a batch: the whole prefix is read at every step."""
    random = uniforms(seed, request.prompt_key, request.sample, max_new_tokens)
    decoding = request.decoding
    ids = list(request.prompt_ids)
    for uniform in random:
        seen = torch.tensor([ids], device=model.device)
        logits = model.model(seen, use_cache=False).logits[0, -1].cpu().numpy()
        if decoding.rules:
            logits = logits + rule_scores(model, decoding.rules, ids[len(request.prompt_ids) :])
        if decoding.top_k or decoding.min_p:
            ids.append(pick(left_of(logits, decoding), uniform))
        else:
            ids.append(draw(logits, decoding.top_p, decoding.temperature, uniform))
        if ids[-1] in model.stop_token_ids:
            return tuple(ids[len(request.prompt_ids) :]), "stop"
    return tuple(ids[len(request.prompt_ids) :]), "length"


def pick(left: dict[int, float], uniform: float) -> int:
    """The token at `uniform` of the cumulative distribution of those that may be drawn."""
    place = int((np.cumsum(list(left.values())) <= uniform).sum())
    return list(left)[min(place, len(left) - 1)]


def rule_scores(model: LanguageModel, rules: Rules, said: list[int]) -> np.ndarray:
    """What rules add to each logit after some tokens of a response, in float64.

    Words are looked up in the list of tokens that single characters are.
    """
    scores = np.zeros(model.vocab_size)
    for token in model.stop_token_ids:
        scores[token] += rules.end * len(said)
    for token in set(said):
        scores[token] -= rules.repeat
    for word, shift in rules.words:
        ids = model.tokenizer(word, add_special_tokens=False)["input_ids"]
        if len(ids) == 1:
            scores[ids[0]] += shift
    return scores


@torch.inference_mode()
def generate_cautiously(
    model: LanguageModel, request: Request, max_new_tokens: int, seed: int
) -> tuple[tuple[int, ...], str, int]:
    """One cautious generation, trial by trial, the whole prefix read at every step.

    Returns:
        Its tokens, why it ended, and how many distributions it took.
    """
    cautious = request.decoding.cautious
    assert cautious is not None
    identity = seed, request.prompt_key, request.sample
    ids: list[int] = []
    passes = 0

    def left_after(tokens: list[int]) -> dict[int, float]:
        nonlocal passes
        passes += 1
        seen = torch.tensor([[*request.prompt_ids, *tokens]], device=model.device)
        logits = model.model(seen, use_cache=False).logits[0, -1].cpu().numpy()
        return left_of(logits, request.decoding)

    while len(ids) < max_new_tokens and not (ids and ids[-1] in model.stop_token_ids):
        start = len(ids)
        first = left_after(ids)
        entropy = -math.fsum(p * math.log(p) for p in first.values())
        share = min(1, max(0, (entropy - cautious.low) / (cautious.high - cautious.low)))
        n_trials = 1 + math.floor((cautious.trials - 1) * share)
        if n_trials == 1:
            ids.append(pick(first, uniforms(*identity, max_new_tokens)[start]))
            continue
        trials = []
        for number in range(n_trials):
            random = trial_uniforms(*identity, start, number, max_new_tokens - start)
            trial: list[int] = []
            surprise = 0.0
            for uniform in random:
                left = first if not trial else left_after(ids + trial)
                trial.append(pick(left, uniform))
                surprise -= math.log(left[trial[-1]])
                text = model.tokenizer.decode(trial[-1:])
                if trial[-1] in model.stop_token_ids or any(mark in text for mark in MARKS):
                    break
            trials.append((math.exp(surprise / len(trial)), number, trial))
        ids += min(trials)[2]
    return tuple(ids), "stop" if ids[-1] in model.stop_token_ids else "length", passes


def chi_square(observed: Iterable[float], expected: Iterable[float]) -> float:
    """By how many standard deviations counts are further from what is expected than by chance.

    Pearson's statistic, made normal (Wilson and Hilferty, 1931). Cells that expect fewer than 10
    are one.
    """
    cells = _pool(np.array([list(observed), list(expected)], dtype=float), by=1)
    statistic = ((cells[0] - cells[1]) ** 2 / cells[1]).sum()
    return _as_normal(statistic, cells.shape[1] - 1)


def chi_square_of_two(a: Counter[Any], b: Counter[Any]) -> float:
    """The same for two samples of one size, that ought to come from one distribution."""
    assert a.total() == b.total()
    counts = np.array([[a[key], b[key]] for key in a | b], dtype=float).T
    cells = _pool(np.vstack([counts, counts.sum(0)]), by=2)
    statistic = ((cells[0] - cells[1]) ** 2 / cells[2]).sum()
    return _as_normal(statistic, cells.shape[1] - 1)


def _pool(cells: np.ndarray, by: int) -> np.ndarray:
    small = cells[by] < 10
    pooled = np.column_stack([cells[:, ~small], cells[:, small].sum(1)])
    return pooled[:, pooled[by] > 0]


def _as_normal(statistic: float, freedom: int) -> float:
    spread = 2 / (9 * freedom)
    return (math.cbrt(statistic / freedom) - (1 - spread)) / math.sqrt(spread)


def distribution(logits: torch.Tensor, target: int, kept: Kept = PAPERS) -> dict[str, Any]:
    """What is kept of one distribution, from a softmax over the whole vocabulary in float64."""
    logprobs = logits.double().log_softmax(0).tolist()
    values = logits.tolist()
    order = sorted(range(len(values)), key=lambda token: (-values[token], token))
    possible = [logprob for logprob in logprobs if logprob > -math.inf]
    return {
        "logprob": logprobs[target],
        "rank": order.index(target) + 1,
        "entropy": -math.fsum(math.exp(logprob) * logprob for logprob in possible),
        "support": sum(math.exp(logprob) > kept.support_above for logprob in possible),
        "top_mass": [
            math.fsum(math.exp(logprobs[token]) for token in order[:k]) for k in kept.top_k
        ],
        "top_ids": order[:10],
        "top_logprobs": [logprobs[token] for token in order[:10]],
    }
