"""Drawing from the nucleus without sorting the vocabulary.

Sorting 262,144 logits takes several times as long as the forward pass that made them, and nearly
always the nucleus lies in their first few dozen. So only the top part is selected, it is checked to
hold what is needed, and the rows where it does not are tried again with a larger part, in the end
with the whole vocabulary. The result is that of the full sort, always. `models.triton_draw` gives
the same on a GPU.
"""

from __future__ import annotations

import importlib.util

import torch
from torch import Tensor

_BLOCK = 64
"""Logits a block: the k largest logits lie in the k blocks with the largest maxima."""

_CACHED = 1 << 19
"""Logits that a CPU's cache holds."""

_PARTS = (64, 1024, 16384)
"""Sizes of the top part tried in turn, before the whole vocabulary."""


def draw(
    logits: Tensor, *, top_p: Tensor, temperature: Tensor | None = None, uniform: Tensor
) -> Tensor:
    """Draws one token a row by inverting the nucleus's cumulative distribution.

    Tokens are ordered by probability, and equally probable ones by id, the lower first; so the
    nucleus, and with it the token, is well defined under ties.

    Args:
        logits: float [rows, vocabulary]. Left unchanged.
        top_p: float64 [rows], in [0, 1]; 0 takes the most likely token.
        temperature: float32 [rows], over 0; by default 1.
        uniform: float64 [rows], in [0, 1).

    Returns:
        int64 [rows], token ids.
    """
    scaled = logits if temperature is None else logits.float() / temperature[:, None]
    if has_kernels(scaled.device):
        from models.triton_draw import draw_rows

        return draw_rows(scaled, top_p, uniform)
    scaled = scaled.float()
    vocabulary = scaled.shape[1]
    highest = scaled.amax(dim=1)
    total = _summed_exponentials(scaled, highest)
    tokens = torch.empty(len(scaled), dtype=torch.long, device=scaled.device)
    rows = torch.arange(len(scaled), device=scaled.device)
    for part in (*(k for k in _PARTS if k < vocabulary), vocabulary):
        everything = len(rows) == len(scaled)
        values, ids = top(scaled if everything else scaled[rows], part)
        weights = (values - highest[rows, None]).exp().double()
        place, certain = _place(
            weights, total[rows], top_p[rows], uniform[rows], part == vocabulary
        )
        tokens[rows] = ids.gather(1, place[:, None])[:, 0]
        rows = rows[~certain]
        if len(rows) == 0:
            break
    return tokens


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


def _summed_exponentials(values: Tensor, highest: Tensor) -> Tensor:
    """The sum of exp(values - highest) of each row of [rows, n], float64 [rows].

    The exponentials are those of float32, and only their sum is of float64: so the weights of a
    row's tokens, summed in any order, come to this very total.
    """
    # On a CPU a few rows at a time stay in its cache, which makes this three times faster.
    rows = max(1, _CACHED // values.shape[1]) if values.device.type == "cpu" else len(values)
    return torch.cat(
        [
            (chunk - maximum[:, None]).exp().sum(1, dtype=torch.float64)
            for chunk, maximum in zip(
                torch.split(values, rows), torch.split(highest, rows), strict=True
            )
        ]
    )


def _place(
    weights: Tensor, total: Tensor, top_p: Tensor, uniform: Tensor, whole: bool
) -> tuple[Tensor, Tensor]:
    """Where in the ordered top part the drawn token stands, and in which rows that is certain.

    Args:
        weights: float64 [rows, k], the k largest unnormalized probabilities, largest first.
        total: float64 [rows], the sum of all of them in the vocabulary.
        top_p: float64 [rows].
        uniform: float64 [rows].
        whole: Whether the part is the whole vocabulary.

    Returns:
        int64 [rows] and bool [rows].
    """
    k = weights.shape[1]
    cumulative = weights.cumsum(1)
    # The token that crosses top_p is the first at which the sum reaches it; the whole vocabulary
    # reaches 1 at the last token that has any probability.
    unbounded = top_p >= 1
    crossing = (cumulative < (top_p * total)[:, None]).sum(1)
    if whole:
        crossing = torch.where(unbounded, k, crossing).minimum((weights > 0).sum(1) - 1)
    last = crossing.clamp(max=k - 1)
    mass = torch.where(unbounded, total, cumulative.gather(1, last[:, None])[:, 0])
    place = (cumulative <= (uniform * mass)[:, None]).sum(1)
    place = torch.where(unbounded & (not whole), place, torch.minimum(place, last))
    if whole:
        return place, torch.ones_like(unbounded)
    # A value that equals the part's last may have equals outside the part: which of them comes
    # first is only known from a larger one.
    needed = torch.where(unbounded, place, crossing)
    inside = needed.clamp(max=k - 1)
    certain = (needed < k) & (weights.gather(1, inside[:, None])[:, 0] > weights[:, -1])
    return place.clamp(max=k - 1), certain
