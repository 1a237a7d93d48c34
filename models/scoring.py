"""What a model makes of each token of a text, at about the cost of reading it once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from models.distributions import PAPERS, Distributions, Kept, start_reducing
from models.memory import free_memory
from models.reading import GROUP_TOKENS, Text, Window, as_tensors, groups, read, send
from models.shards import run
from models.shared_prompts import batches, read_shared_prompts, share_prompts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence, Set

    from models.language_model import LanguageModel

_LOGITS_ON_CPU = 256 << 20
"""Bytes of logits at once; more of them bring no more tokens a second."""
_LOGITS_ON_GPU = 8 << 30
_BATCHES = 4
"""Batches of a group at least, so that a GPU is seldom waited for."""


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
    group_tokens: int | None = None,
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
        group_tokens: Tokens, those of contexts included, that are sorted by length together; by
            default some batches' worth.
        finished: Names of texts that were scored before; groups of these alone are passed over.
        on_tokens: Called with the number of tokens that were scored since the last call.
        kept: What is kept of each distribution.

    Yields:
        Groups of texts with their distributions, in the order in which they came; of a model in
        several processes, as soon as they are there.

    Raises:
        ModelError: A context is longer than what the model reads, or its logits are not numbers.
    """

    def cut(at_once: int) -> Iterator[list[Text]]:
        return groups(texts, group_tokens or max(GROUP_TOKENS, _BATCHES * at_once), finished)

    yield from run(model, _Scoring(kept, batch_tokens), cut, on_tokens)


@dataclass(frozen=True)
class _Scoring:
    """Scoring texts, a group a piece."""

    kept: Kept
    batch_tokens: int | None

    def room(self, model: LanguageModel) -> int:
        """Positions at once."""
        return self.batch_tokens or positions_at_once(model)

    def results(
        self,
        model: LanguageModel,
        room: int,
        pieces: Iterable[list[Text]],
        told: Callable[..., None],
    ) -> Iterator[list[Scored]]:
        for group in read(
            pieces,
            context_length=model.context_length,
            cut=lambda windows: batches(model, windows, room),
            read_batch=lambda batch: _start_batch(model, batch, room, self.kept),
            join=Distributions.join,
            on_tokens=told,
            ahead=model.device.type == "cuda",
        ):
            yield [Scored(text, distributions) for text, distributions in group]


def positions_at_once(model: LanguageModel) -> int:
    """Positions whose logits take the memory that is set aside for them.

    On a GPU a power of two, so that memory that varies a little from run to run changes no batch.
    """
    if model.batch_tokens is not None:
        return model.batch_tokens
    if model.device.type != "cuda":
        return max(1, _LOGITS_ON_CPU // (4 * model.vocab_size))
    memory = min(_LOGITS_ON_GPU, free_memory(model.device) // 8)
    positions = max(1, memory // int(model.model.dtype.itemsize * model.vocab_size))
    return 1 << (positions.bit_length() - 1)


@torch.inference_mode()
def _start_batch(
    model: LanguageModel, batch: Sequence[Window], batch_tokens: int, kept: Kept
) -> list[Callable[[], Distributions]]:
    """Starts to read windows side by side, some columns at a time where they are long."""
    read_more: Callable[..., Tensor] | None = None
    if share_prompts(model, batch):
        read_more = read_shared_prompts(model, batch)
        batch = [Window(window.inputs[window.skipped :], window.targets) for window in batch]
    ids, targets = as_tensors(batch)
    width = ids.shape[1]
    ids = send(ids, model.device)
    first_wanted = min(window.skipped for window in batch)
    step = max(1, batch_tokens // len(batch))
    if read_more is None:
        read_more = partial(model.forward, cache=model.new_cache() if step < width else None)
    started: list[tuple[list[int], Callable[[], Distributions]]] = []
    for start in range(0, width, step):
        end = min(start + step, width)
        keep = max(1, end - max(start, first_wanted))
        logits = read_more(ids[:, start:end], keep=keep)
        wanted = targets[:, end - keep : end]
        here = wanted >= 0
        if not bool(here.any()):
            continue
        reduced = start_reducing(logits.flatten(0, 1), places(here), wanted[here], kept)
        started.append((here.sum(1).tolist(), reduced))
        del logits  # before the next ones take as much memory

    @cache
    def of_windows() -> list[Distributions]:
        parts: list[list[Distributions]] = [[] for _ in batch]
        for counts, wait in started:
            distributions = wait()
            begin = 0
            for of_window, count in zip(parts, counts, strict=True):
                if count:
                    of_window.append(distributions[begin : begin + count])
                begin += count
        return [Distributions.join(of_window) for of_window in parts]

    return [partial(_of_window, of_windows, i) for i in range(len(batch))]


def _of_window(of_windows: Callable[[], list[Distributions]], number: int) -> Distributions:
    return of_windows()[number]


def places(here: Tensor) -> Tensor:
    """Where a mask [rows, columns] is set, as int64 indices into it flattened."""
    return here.flatten().nonzero()[:, 0]
