"""What a model makes of each token of a text, at about the cost of reading it once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from models.cache import new_cache
from models.distributions import Distributions, reduce
from models.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from models.loading import LanguageModel

_LOGITS_ON_CPU = 256 << 20
"""Bytes of logits at once; more of them bring no more tokens a second."""
_LOGITS_ON_GPU = 4 << 30
_GROUP_TOKENS = 1 << 14
"""Tokens sorted by length together. All that is in memory at once is theirs."""


@dataclass(frozen=True)
class Text:
    """Tokens to score.

    Attributes:
        name: What the caller knows it by.
        context_ids: What they come after, at least one token.
        token_ids: The tokens.
    """

    name: str
    context_ids: Sequence[int]
    token_ids: Sequence[int]


@dataclass(frozen=True)
class Scored:
    """A text with the distributions that the model had over each of its tokens, in order."""

    text: Text
    distributions: Distributions


@dataclass(frozen=True)
class Window:
    """A part of a text that is read in one go.

    Attributes:
        inputs: What is read.
        targets: The tokens that are scored; they come after the last of the inputs.
    """

    inputs: Sequence[int]
    targets: Sequence[int]

    @property
    def skipped(self) -> int:
        """Inputs before the one that the first target comes after."""
        return len(self.inputs) - len(self.targets)


def windows(
    context_ids: Sequence[int], token_ids: Sequence[int], context_length: int
) -> Iterator[Window]:
    """Cuts a text as lm-evaluation-harness does for its rolling log-likelihood.

    Every token is scored once. The first window begins with the context; each further one scores
    as many tokens as a model reads, and the last is filled up with what comes before it.

    Args:
        context_ids: What comes before the text, at least one token.
        token_ids: The text.
        context_length: Tokens that the model reads at most.

    Raises:
        ModelError: The context alone is longer than that.
    """
    if len(context_ids) > context_length:
        raise ModelError(
            f"a prompt of {len(context_ids)} tokens is more than the {context_length} that the "
            "model reads; shorten it, or leave it out"
        )
    everything = [*context_ids, *token_ids]
    done = len(context_ids)
    end = min(context_length + 1, len(everything))
    while done < len(everything):
        start = max(0, end - context_length - 1)
        yield Window(everything[start : end - 1], everything[done:end])
        done, end = end, min(end + context_length, len(everything))


def score(
    model: LanguageModel,
    texts: Iterable[Text],
    *,
    batch_tokens: int | None = None,
    group_tokens: int = _GROUP_TOKENS,
    on_tokens: Callable[[int], None] = lambda scored: None,
) -> Iterator[list[Scored]]:
    """Scores texts, a group of them at a time.

    What is found of a text does not depend on which others are scored with it nor on
    `batch_tokens`, up to floating-point differences of the forward pass.

    Args:
        model: The model.
        texts: Read as they are needed; a text without tokens is passed over.
        batch_tokens: Positions whose logits are in memory at once; by default as many as are fast.
        group_tokens: Tokens, those of contexts included, that are sorted by length together.
        on_tokens: Called with the number of tokens that were scored since the last call.

    Yields:
        Groups of texts, in the order in which they came, with their distributions.

    Raises:
        ModelError: A context is longer than what the model reads, or its logits are not numbers.
    """
    batch_tokens = batch_tokens or _batch_tokens(model)
    group: list[Text] = []
    size = 0
    for text in texts:
        if len(text.token_ids) == 0:
            continue
        group.append(text)
        size += len(text.context_ids) + len(text.token_ids)
        if size >= group_tokens:
            yield _score_group(model, group, batch_tokens, on_tokens)
            group, size = [], 0
    if group:
        yield _score_group(model, group, batch_tokens, on_tokens)


def _score_group(
    model: LanguageModel,
    group: Sequence[Text],
    batch_tokens: int,
    on_tokens: Callable[[int], None],
) -> list[Scored]:
    cut = [
        (number, window)
        for number, text in enumerate(group)
        for window in windows(text.context_ids, text.token_ids, model.context_length)
    ]
    # Windows that skip alike and are of like length share a batch, so that little is read in vain.
    order = sorted(range(len(cut)), key=lambda i: (cut[i][1].skipped, len(cut[i][1].inputs)))
    found: dict[int, Distributions] = {}
    for batch in _batches([cut[i][1] for i in order], batch_tokens):
        some = [cut[order[i]][1] for i in batch]
        for i, distributions in zip(batch, _score_batch(model, some, batch_tokens), strict=True):
            found[order[i]] = distributions
        on_tokens(sum(len(window.targets) for window in some))
    parts: list[list[Distributions]] = [[] for _ in group]
    for i, (number, _) in enumerate(cut):
        parts[number].append(found[i])
    return [Scored(text, Distributions.join(own)) for text, own in zip(group, parts, strict=True)]


def _batch_tokens(model: LanguageModel) -> int:
    """Positions whose logits take the memory that is set aside for them."""
    if model.device.type == "cuda":
        free = torch.cuda.mem_get_info(model.device)[0]
        memory = min(_LOGITS_ON_GPU, free // 8)
    else:
        memory = _LOGITS_ON_CPU
    return max(1, memory // (4 * model.vocab_size))


def _batches(ordered: Sequence[Window], batch_tokens: int) -> Iterator[list[int]]:
    """Neighbours whose inputs, padded to the longest, are no more than `batch_tokens`; or one."""
    batch: list[int] = []
    width = 0
    for i, window in enumerate(ordered):
        width = max(width, len(window.inputs))
        if batch and width * (len(batch) + 1) > batch_tokens:
            yield batch
            batch, width = [], len(window.inputs)
        batch.append(i)
    if batch:
        yield batch


@torch.inference_mode()
def _score_batch(
    model: LanguageModel, batch: Sequence[Window], batch_tokens: int
) -> list[Distributions]:
    """Reads windows side by side, some columns at a time where they are long."""
    width = max(len(window.inputs) for window in batch)
    ids = torch.zeros((len(batch), width), dtype=torch.long)
    targets = torch.full((len(batch), width), -1, dtype=torch.long)
    for row, window in enumerate(batch):
        # Padding stands on the right, where no token before it can see it: no mask is needed.
        ids[row, : len(window.inputs)] = torch.tensor(window.inputs)
        targets[row, window.skipped : len(window.inputs)] = torch.tensor(window.targets)
    ids = ids.to(model.device)
    first_wanted = min(window.skipped for window in batch)
    step = max(1, batch_tokens // len(batch))
    cache = new_cache(model.config) if step < width else None
    parts: list[list[Distributions]] = [[] for _ in batch]
    for start in range(0, width, step):
        end = min(start + step, width)
        keep = max(1, end - max(start, first_wanted))
        logits = model.forward(ids[:, start:end], cache=cache, keep=keep)
        wanted = targets[:, end - keep : end]
        here = wanted >= 0
        if not bool(here.any()):
            continue
        reduced = reduce(logits.flatten(0, 1), _places(here), wanted[here])
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
