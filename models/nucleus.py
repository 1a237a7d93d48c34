"""Drawing from the most likely tokens without sorting the vocabulary.

Sorting 262,144 logits takes several times as long as the forward pass that made them, and nearly
always the nucleus lies in their first few dozen. So only the top part is selected, it is checked to
hold what is needed, and the rows where it does not are tried again with a larger part, in the end
with the whole vocabulary. The result is that of the full sort, always. `models.triton_draw` gives
the same on a GPU, where the nucleus is the only limit.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from models.decoding import Decoding

_BLOCK = 64
"""Logits a block: the k largest logits lie in the k blocks with the largest maxima."""

_CACHED = 1 << 19
"""Logits that a CPU's cache holds."""

_PARTS = (64, 1024, 16384)
"""Sizes of the top part tried in turn, before the whole vocabulary."""


class Limits(NamedTuple):
    """Which tokens may be drawn in each row, as `models.decoding.Decoding` says.

    Attributes:
        top_p: float64 [rows], in [0, 1]; 0 leaves the most likely token.
        top_k: int64 [rows], from 1; 0 leaves all tokens. None where all rows have 0.
        min_p: float64 [rows], in [0, 1]. None where all rows have 0.
    """

    top_p: Tensor
    top_k: Tensor | None = None
    min_p: Tensor | None = None

    @classmethod
    def of(cls, decodings: Sequence[Decoding], device: torch.device) -> Limits:
        """Those of some decodings, a row each."""
        top_p = torch.tensor([d.top_p for d in decodings], dtype=torch.float64, device=device)
        top_k = min_p = None
        if any(d.top_k for d in decodings):
            top_k = torch.tensor([d.top_k for d in decodings], device=device)
        if any(d.min_p for d in decodings):
            min_p = torch.tensor([d.min_p for d in decodings], dtype=torch.float64, device=device)
        return cls(top_p, top_k, min_p)

    def rows(self, rows: Tensor) -> Limits:
        """Those of some rows, int64 [some]."""
        top_p, *others = self
        return Limits(top_p[rows], *(None if limit is None else limit[rows] for limit in others))


def draw(
    logits: Tensor, *, limits: Limits, temperature: Tensor | None = None, uniform: Tensor
) -> Tensor:
    """Draws one token a row by inverting the cumulative distribution of those that may be drawn.

    Tokens are ordered by probability, and equally probable ones by id, the lower first; so the
    tokens that may be drawn, and with them the token, are well defined under ties.

    Args:
        logits: float [rows, vocabulary]. Left unchanged.
        limits: Which tokens may be drawn.
        temperature: float32 [rows], over 0; by default 1.
        uniform: float64 [rows], in [0, 1).

    Returns:
        int64 [rows], token ids.
    """
    scaled = logits if temperature is None else logits.float() / temperature[:, None]
    if has_kernels(scaled.device) and limits.top_k is None and limits.min_p is None:
        from models.triton_draw import draw_rows

        return draw_rows(scaled, limits.top_p, uniform)
    tokens = torch.empty(len(scaled), dtype=torch.long, device=scaled.device)
    for rows, ids, _, chosen in _tries(scaled.float(), limits, uniform):
        tokens[rows] = _at(ids, chosen.place + 1)
    return tokens


class Measured(NamedTuple):
    """What was drawn in each row, and how likely it was among what may be drawn.

    Attributes:
        tokens: int64 [rows], token ids.
        logprobs: float64 [rows], each token's log-probability in nats.
        entropies: float64 [rows], of what it is drawn from, in nats.
    """

    tokens: Tensor
    logprobs: Tensor
    entropies: Tensor


def draw_measured(
    logits: Tensor, *, limits: Limits, temperature: Tensor | None = None, uniform: Tensor
) -> Measured:
    """Draws what `draw` does, and says of what: after the temperature and the limits.

    Args:
        logits: As in `draw`.
        limits: As in `draw`.
        temperature: As in `draw`.
        uniform: As in `draw`.
    """
    scaled = (logits if temperature is None else logits.float() / temperature[:, None]).float()
    highest = scaled.amax(dim=1)
    tokens = torch.empty(len(scaled), dtype=torch.long, device=scaled.device)
    logprobs, entropies = torch.empty_like(uniform), torch.empty_like(uniform)
    for rows, ids, weights, chosen in _tries(scaled, limits, uniform):
        tokens[rows] = _at(ids, chosen.place + 1)
        logprobs[rows] = _at(weights, chosen.place + 1).log() - chosen.mass.log()
        # Of weights w with the sum W the entropy is log W - sum(w log w) / W.
        products = _at(torch.xlogy(weights, weights).cumsum(1), chosen.left)
        beyond = chosen.left > weights.shape[1]
        if beyond.any():
            few = rows[beyond]
            products[beyond] = _summed(scaled[few], highest[few], lambda w: torch.xlogy(w, w))
        entropies[rows] = (chosen.mass.log() - products / chosen.mass).clamp(min=0)
    return Measured(tokens, logprobs, entropies)


class _Chosen(NamedTuple):
    """What is drawn from an ordered part of the vocabulary.

    Attributes:
        place: int64 [rows], where the drawn token stands, from 0.
        left: int64 [rows], how many tokens may be drawn.
        mass: float64 [rows], the sum of their weights.
        is_certain: bool [rows], whether the part holds what is needed to know all that.
    """

    place: Tensor
    left: Tensor
    mass: Tensor
    is_certain: Tensor


def _tries(
    scaled: Tensor, limits: Limits, uniform: Tensor
) -> Iterator[tuple[Tensor, Tensor, Tensor, _Chosen]]:
    """Places the drawn tokens in larger and larger parts of the vocabulary, until all are certain.

    Args:
        scaled: float32 [rows, vocabulary].
        limits: Which tokens may be drawn.
        uniform: float64 [rows].

    Yields:
        Those rows whose place was not certain before; of each the ids of the part and float64 their
        weights, the largest first; and where its token stands. A row's last place is the right one.
    """
    vocabulary = scaled.shape[1]
    highest = scaled.amax(dim=1)
    total = _summed(scaled, highest, lambda weights: weights)
    rows = torch.arange(len(scaled), device=scaled.device)
    for part in _parts(vocabulary, limits.top_k):
        everything = len(rows) == len(scaled)
        values, ids = top(scaled if everything else scaled[rows], part)
        weights = (values - highest[rows, None]).exp().double()
        chosen = _place(weights, total[rows], limits.rows(rows), uniform[rows], vocabulary)
        yield rows, ids, weights, chosen
        rows = rows[~chosen.is_certain]
        if len(rows) == 0:
            break


def _parts(vocabulary: int, top_k: Tensor | None) -> Iterator[int]:
    """Sizes of the top part to try: the first has room for the smallest top_k and one more."""
    least = 0
    if top_k is not None:
        least = int(torch.where(top_k > 0, top_k, vocabulary).min())
        least = -(-(least + 1) // _BLOCK) * _BLOCK
        if least < vocabulary:
            yield least
    yield from (part for part in _PARTS if least < part < vocabulary)
    yield vocabulary


def has_kernels(device: torch.device) -> bool:
    """Whether what is done with logits on a device is done by Triton's kernels."""
    return device.type == "cuda" and importlib.util.find_spec("triton") is not None


def top(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest values of each row, largest first, equal ones by index, the lower first.

    Where values equal to the k-th lie beyond it, which of them are returned is not defined.

    Args:
        values: float [rows, n].
        k: From 1 to n.

    Returns:
        float [rows, k] and int64 [rows, k], the values and their indices.
    """
    rows, n = values.shape
    whole_blocks = n // _BLOCK
    if k == n:
        best, ids = values.sort(dim=1, descending=True, stable=True)
        return best, ids
    if whole_blocks <= 2 * k:
        best, ids = values.topk(k, dim=1, sorted=False)
    else:
        blocks = values[:, : whole_blocks * _BLOCK].reshape(rows, whole_blocks, _BLOCK)
        chosen = blocks.amax(2).topk(k, dim=1, sorted=False).indices
        inside = torch.arange(_BLOCK, device=values.device)
        candidates = (chosen[:, :, None] * _BLOCK + inside).flatten(1)
        rest = torch.arange(whole_blocks * _BLOCK, n, device=values.device)
        candidates = torch.cat([candidates, rest.expand(rows, -1)], dim=1)
        best, at = values.gather(1, candidates).topk(k, dim=1, sorted=False)
        ids = candidates.gather(1, at)
    ids, order = ids.sort(dim=1)
    best, order = best.gather(1, order).sort(dim=1, descending=True, stable=True)
    return best, ids.gather(1, order)


def _summed(values: Tensor, highest: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """The sum of a function of exp(values - highest) over each row of [rows, n], float64 [rows].

    The exponentials are those of float32, and only their sum is of float64: so the weights of a
    row's tokens, summed in any order, come to this very total.
    """
    # On a CPU a few rows at a time stay in its cache, which makes this three times faster.
    rows = max(1, _CACHED // values.shape[1]) if values.device.type == "cpu" else len(values)
    return torch.cat(
        [
            function((chunk - maximum[:, None]).exp()).sum(1, dtype=torch.float64)
            for chunk, maximum in zip(
                torch.split(values, rows), torch.split(highest, rows), strict=True
            )
        ]
    )


def _place(
    weights: Tensor, total: Tensor, limits: Limits, uniform: Tensor, vocabulary: int
) -> _Chosen:
    """Where in the ordered top part the drawn token stands.

    Each limit leaves some tokens from the first, so all of them together leave as many as the
    narrowest does.

    Args:
        weights: float64 [rows, k], the k largest unnormalized probabilities, largest first, the
            first of them 1.
        total: float64 [rows], the sum of all of them in the vocabulary.
        limits: Which tokens may be drawn.
        uniform: float64 [rows].
        vocabulary: How many tokens there are.
    """
    k = weights.shape[1]
    whole = k == vocabulary
    cumulative = weights.cumsum(1)
    top_p, top_k, min_p = limits
    # How many tokens are left; over k where more are than the part holds.
    left = torch.full_like(uniform, vocabulary, dtype=torch.long)
    mass, is_known = total, torch.ones_like(uniform, dtype=torch.bool)
    if top_k is not None:
        left = torch.where(top_k > 0, top_k.clamp(max=vocabulary), left)
        is_known = (left <= k) | (left == vocabulary)
        mass = torch.where(left < vocabulary, _at(cumulative, left), total)
    # The token that crosses top_p is the first at which the sum reaches it.
    crossing = (cumulative < (top_p * mass)[:, None]).sum(1) + 1
    left = torch.where(top_p < 1, left.minimum(crossing), left)
    is_known |= top_p >= 1
    if min_p is not None:
        likely = (weights >= min_p[:, None]).sum(1)
        left = torch.where((min_p > 0) & (likely < k), left.minimum(likely), left)
        # Beyond the part nobody has looked.
        is_known &= (min_p == 0) | (likely < k) | (left <= k) | whole
    if whole:  # a token without any probability is never drawn
        left = left.minimum((weights > 0).sum(1))
    unlimited = left == vocabulary
    mass = torch.where(unlimited, total, _at(cumulative, left))
    place = (cumulative <= (uniform * mass)[:, None]).sum(1)
    place = torch.where(unlimited, place, place.minimum(left - 1))
    if whole:
        return _Chosen(place.clamp(max=k - 1), left, mass, torch.ones_like(is_known))
    # A value that equals the part's last may have equals outside the part: which of them comes
    # first is only known from a larger one.
    needed = torch.where(unlimited, place, left - 1)
    certain = is_known & (needed < k) & (_at(weights, needed + 1) > weights[:, -1])
    return _Chosen(place.clamp(max=k - 1), left, mass, certain)


def _at(values: Tensor, number: Tensor) -> Tensor:
    """Of each row its value of this number, from 1; the last where there are not so many."""
    return values.gather(1, (number - 1).clamp(max=values.shape[1] - 1)[:, None])[:, 0]
