"""How far two models that read the same tokens are from each other, over the whole vocabulary.

A distribution over a large vocabulary is a megabyte, so those of two models are never kept side by
side for more than some texts. Where memory holds both models, each batch is read by both. Where it
holds one, the first model's logits of some texts, a piece, are put into a file as they come, and
the second is read against them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from models.distributions import as_numpy, reduce
from models.errors import ModelError
from models.kl import kl_of_rows
from models.memory import in_halves
from models.reading import as_tensors, batches, send, windows
from models.scoring import places, positions_at_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from models.language_model import LanguageModel
    from models.reading import Text, Window


@dataclass(frozen=True)
class Divergences:
    """How a model's distributions over n tokens differ from another's, its base's.

    Attributes:
        kl: float32 [n], the Kullback-Leibler divergence KL(model || base) in nats: the sum over the
            vocabulary of p (log p - log q), p the model's probabilities and q the base's.
        rank: int32 [n], the place that the token which came has with the base, from 1; of equally
            likely ones the lower id comes first.
        logprob: float32 [n], its log-probability with the base, in nats.
    """

    kl: np.ndarray
    rank: np.ndarray
    logprob: np.ndarray

    def __len__(self) -> int:
        return len(self.kl)

    def __getitem__(self, rows: slice) -> Divergences:
        return Divergences(self.kl[rows], self.rank[rows], self.logprob[rows])

    @classmethod
    def empty(cls, n: int) -> Divergences:
        """Room for n of them."""
        return cls(np.empty(n, np.float32), np.empty(n, np.int32), np.empty(n, np.float32))


@dataclass(frozen=True)
class _Placed:
    """A window, and the place of its first target among the tokens of all texts."""

    first: int
    window: Window


@dataclass(frozen=True)
class _Logits:
    """The logits that a model gives some targets.

    Attributes:
        logits: [any, vocabulary].
        rows: int64 [n], which of its rows are before a target.
        targets: int64 [n], the tokens that came after these.
        places: int64 [n], their places among the tokens of all texts.
    """

    logits: Tensor
    rows: Tensor
    targets: Tensor
    places: np.ndarray


def diverge_together(
    model: LanguageModel,
    base: LanguageModel,
    texts: Sequence[Text],
    *,
    batch_tokens: int | None = None,
    on_tokens: Callable[[int], None] = lambda read: None,
) -> list[Divergences]:
    """Reads texts with two models that are both in memory.

    Args:
        model: The model whose text it is.
        base: The other one, with the same tokenizer and number of tokens.
        texts: The texts; a prompt may not be longer than what either model reads.
        batch_tokens: Positions whose logits are in memory at once, of each model; by default as
            many as are fast.
        on_tokens: Called with the number of tokens that both have read since the last call.

    Returns:
        For each text a row for each of its tokens.

    Raises:
        ModelError: The models give a probability to different numbers of tokens, a prompt is too
            long, memory does not hold a window, or logits are not numbers.
    """
    check_alike(model, base)
    found = Divergences.empty(_n_tokens(texts))
    at_once = batch_tokens or min(positions_at_once(model), positions_at_once(base))

    def read(batch: Sequence[_Placed]) -> Sequence[None]:
        both = zip(_logits(model, batch, at_once), _logits(base, batch, at_once), strict=True)
        for ours, theirs in both:
            _compare(ours.logits, ours.rows, theirs, found)
        return [None] * len(batch)

    _read_all(texts, min(model.context_length, base.context_length), at_once, read, on_tokens)
    return _of_texts(found, texts)


def diverge_in_turn(
    load_model: Callable[[], LanguageModel],
    load_base: Callable[[], LanguageModel],
    texts: Sequence[Text],
    path: Path,
    *,
    context_length: int,
    batch_tokens: int | None = None,
    on_tokens: Callable[[int], None] = lambda read: None,
) -> list[Divergences]:
    """Reads texts with one model after the other; the first one's logits are in a file meanwhile.

    It gives what `diverge_together` gives.

    Args:
        load_model: Loads the model whose text it is; nothing else holds it.
        load_base: Loads the other one, and makes room for it first.
        texts: The texts of one piece, whose logits the disk holds.
        path: Where the logits are put, `bytes_of_logits` a token; removed at the end.
        context_length: Tokens that the model with the shorter context reads.
        batch_tokens: As for `diverge_together`.
        on_tokens: As for `diverge_together`.

    Raises:
        ModelError: As `diverge_together`.
    """
    found = Divergences.empty(_n_tokens(texts))
    try:
        kept, dtype = _write_logits(load_model(), texts, path, context_length, batch_tokens)
        _read_against(
            load_base(), texts, kept, dtype, context_length, batch_tokens, found, on_tokens
        )
    finally:
        path.unlink(missing_ok=True)
    return _of_texts(found, texts)


def bytes_of_logits(vocab_size: int, dtype: str) -> int:
    """Bytes that the logits of one token take in a file: those of bfloat16 are kept as they are."""
    return vocab_size * (2 if dtype == "bfloat16" else 4)


def check_alike(model: LanguageModel, base: LanguageModel) -> None:
    """Makes sure that two models give a probability to the same tokens.

    Raises:
        ModelError: They have other tokenizers, or vocabularies of other sizes.
    """
    if model.tokenizer_digest != base.tokenizer_digest:
        raise ModelError("the two models have different tokenizers")
    _check_sizes(model.vocab_size, base.vocab_size)


def _check_sizes(ours: int, theirs: int) -> None:
    if ours != theirs:
        raise ModelError(f"one model gives {ours:,} tokens a probability, and the other {theirs:,}")


def _n_tokens(texts: Sequence[Text]) -> int:
    return sum(len(text.token_ids) for text in texts)


def _of_texts(found: Divergences, texts: Sequence[Text]) -> list[Divergences]:
    ends = np.cumsum([len(text.token_ids) for text in texts])
    return [found[end - len(t.token_ids) : end] for end, t in zip(ends, texts, strict=True)]


def _read_all(
    texts: Sequence[Text],
    context_length: int,
    batch_tokens: int,
    read: Callable[[Sequence[_Placed]], Sequence[None]],
    on_tokens: Callable[[int], None],
) -> None:
    """Has all windows of some texts read, those that are alike side by side."""
    placed: list[_Placed] = []
    first = 0
    for text in texts:
        for window in windows(text.context_ids, text.token_ids, context_length):
            placed.append(_Placed(first, window))
            first += len(window.targets)
    placed.sort(key=lambda one: (one.window.skipped, len(one.window.inputs)))
    for numbers in batches([one.window for one in placed], batch_tokens):
        batch = [placed[number] for number in numbers]
        in_halves(read, batch)
        on_tokens(sum(len(one.window.targets) for one in batch))


@torch.inference_mode()
def _logits(model: LanguageModel, batch: Sequence[_Placed], batch_tokens: int) -> Iterator[_Logits]:
    """A model's logits of the targets of windows side by side, some columns at a time."""
    ids, targets = as_tensors([one.window for one in batch])
    width = ids.shape[1]
    ids = send(ids, model.device)
    # A target in column c of a row is as many tokens after the row's first.
    starts = torch.tensor([one.first - one.window.skipped for one in batch])
    numbers = starts[:, None] + torch.arange(width)
    first_wanted = min(one.window.skipped for one in batch)
    step = max(1, batch_tokens // len(batch))
    past = model.new_cache() if step < width else None
    for start in range(0, width, step):
        end = min(start + step, width)
        keep = max(1, end - max(start, first_wanted))
        logits = model.forward(ids[:, start:end], cache=past, keep=keep)
        wanted = targets[:, end - keep : end]
        here = wanted >= 0
        if bool(here.any()):
            yield _Logits(
                logits.flatten(0, 1),
                places(here),
                wanted[here],
                numbers[:, end - keep : end][here].numpy(),
            )
        del logits  # before the next ones take as much memory


def _compare(ours: Tensor, rows: Tensor, theirs: _Logits, found: Divergences) -> None:
    """Puts what two models' logits of the same targets say in its places.

    Args:
        ours: The model's, [any, vocabulary].
        rows: int64 [n], which of their rows are before a target.
        theirs: The base's.
        found: What is filled in.
    """
    reduced = reduce(theirs.logits, theirs.rows, theirs.targets)
    kl = kl_of_rows(ours.to(theirs.logits.device), rows, theirs.logits, theirs.rows)
    if not np.isfinite(kl).all():
        raise ModelError(
            "the base gives a token no probability that the model gives one, so their divergence "
            "is infinite"
        )
    found.kl[theirs.places] = kl
    found.rank[theirs.places] = reduced.rank
    found.logprob[theirs.places] = reduced.logprob


def _write_logits(
    model: LanguageModel,
    texts: Sequence[Text],
    path: Path,
    context_length: int,
    batch_tokens: int | None,
) -> tuple[np.ndarray, torch.dtype]:
    """Puts a model's logits into a file, a row for each token of the texts.

    Returns:
        The file's rows, and the dtype that their bits are of.
    """
    numbers: type[np.generic] = np.uint16 if model.dtype == "bfloat16" else np.float32
    kept = np.memmap(path, numbers, mode="w+", shape=(_n_tokens(texts), model.vocab_size))
    at_once = batch_tokens or positions_at_once(model)

    def read(batch: Sequence[_Placed]) -> Sequence[None]:
        for some in _logits(model, batch, at_once):
            kept[some.places] = as_numpy(some.logits[some.rows.to(some.logits.device)])
        return [None] * len(batch)

    _read_all(texts, context_length, at_once, read, lambda read: None)
    return kept, torch.bfloat16 if numbers is np.uint16 else torch.float32


def _read_against(
    base: LanguageModel,
    texts: Sequence[Text],
    kept: np.ndarray,
    dtype: torch.dtype,
    context_length: int,
    batch_tokens: int | None,
    found: Divergences,
    on_tokens: Callable[[int], None],
) -> None:
    """Reads texts with the base, against the model's logits in a file."""
    _check_sizes(kept.shape[1], base.vocab_size)
    at_once = batch_tokens or positions_at_once(base)

    def read(batch: Sequence[_Placed]) -> Sequence[None]:
        for theirs in _logits(base, batch, at_once):
            bits = torch.from_numpy(kept[theirs.places])
            ours = bits.view(torch.int16).view(dtype) if dtype == torch.bfloat16 else bits
            _compare(ours, torch.arange(len(ours)), theirs, found)
        return [None] * len(batch)

    _read_all(texts, context_length, at_once, read, on_tokens)
