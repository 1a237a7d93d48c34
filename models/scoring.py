"""What a model makes of each token of a text, at about the cost of reading it once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from models.distributions import PAPERS, Distributions, Kept, reduce
from models.reading import GROUP_TOKENS, Text, as_tensors, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence, Set

    from models.loading import LanguageModel
    from models.reading import Window

_LOGITS_ON_CPU = 256 << 20
"""Bytes of logits at once; more of them bring no more tokens a second."""
_LOGITS_ON_GPU = 4 << 30


@dataclass(frozen=True)
class Scored:
    """A text with the distributions that the model had over each of its tokens, in order."""

    text: Text
    distributions: Distributions


def score(
    model: LanguageModel,
    texts: Iterable[Text],
    *,
    batch_tokens: int | None = None,
    group_tokens: int = GROUP_TOKENS,
    finished: Set[str] = frozenset(),
    on_tokens: Callable[[int], None] = lambda scored: None,
    kept: Kept = PAPERS,
) -> Iterator[list[Scored]]:
    """Scores texts, a group of them at a time.

    What is found of a text does not depend on which others are scored with it nor on
    `batch_tokens`, up to floating-point differences of the forward pass.

    Args:
        model: The model.
        texts: Read as they are needed; a text without tokens is passed over.
        batch_tokens: Positions whose logits are in memory at once; by default as many as are fast.
        group_tokens: Tokens, those of contexts included, that are sorted by length together.
        finished: Names of texts that were scored before; groups of these alone are passed over.
        on_tokens: Called with the number of tokens that were scored since the last call.
        kept: What is kept of each distribution.

    Yields:
        Groups of texts, in the order in which they came, with their distributions.

    Raises:
        ModelError: A context is longer than what the model reads, or its logits are not numbers.
    """
    at_once = batch_tokens or positions_at_once(model)
    for group in read(
        texts,
        context_length=model.context_length,
        batch_tokens=at_once,
        read_batch=lambda batch: _score_batch(model, batch, at_once, kept),
        join=Distributions.join,
        group_tokens=group_tokens,
        finished=finished,
        on_tokens=on_tokens,
    ):
        yield [Scored(text, distributions) for text, distributions in group]


def positions_at_once(model: LanguageModel) -> int:
    """Positions whose logits take the memory that is set aside for them."""
    if model.batch_tokens is not None:
        return model.batch_tokens
    if model.device.type == "cuda":
        free = torch.cuda.mem_get_info(model.device)[0]
        memory = min(_LOGITS_ON_GPU, free // 8)
    else:
        memory = _LOGITS_ON_CPU
    return max(1, memory // (4 * model.vocab_size))


@torch.inference_mode()
def _score_batch(
    model: LanguageModel, batch: Sequence[Window], batch_tokens: int, kept: Kept
) -> list[Distributions]:
    """Reads windows side by side, some columns at a time where they are long."""
    ids, targets = as_tensors(batch)
    width = ids.shape[1]
    ids = ids.to(model.device)
    first_wanted = min(window.skipped for window in batch)
    step = max(1, batch_tokens // len(batch))
    cache = model.new_cache() if step < width else None
    parts: list[list[Distributions]] = [[] for _ in batch]
    for start in range(0, width, step):
        end = min(start + step, width)
        keep = max(1, end - max(start, first_wanted))
        logits = model.forward(ids[:, start:end], cache=cache, keep=keep)
        wanted = targets[:, end - keep : end]
        here = wanted >= 0
        if not bool(here.any()):
            continue
        reduced = reduce(logits.flatten(0, 1), _places(here), wanted[here], kept)
        del logits  # before the next ones take as much memory
        begin = 0
        for own, count in zip(parts, here.sum(1).tolist(), strict=True):
            if count:
                own.append(reduced[begin : begin + count])
            begin += count
    return [Distributions.join(own) for own in parts]


def _places(here: Tensor) -> Tensor:
    """Where a mask [rows, columns] is set, as int64 indices into it flattened."""
    return here.flatten().nonzero()[:, 0]
