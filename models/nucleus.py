"""Drawing from the nucleus without sorting the vocabulary.

Sorting 262,144 logits takes several times as long as the forward pass that made them, and nearly
always the nucleus lies in their first few dozen. So only the top part is selected, it is checked to
hold what is needed, and the rows where it does not are tried again with a larger part, in the end
with the whole vocabulary. The result is that of the full sort, always.
"""

from __future__ import annotations

import torch
from torch import Tensor

_BLOCK = 64
"""Logits a block: the k largest logits lie in the k blocks with the largest maxima."""

_CACHED = 1 << 19
"""Logits that a CPU's cache holds."""

_PARTS = (64, 1024, 16384)
"""Sizes of the top part tried in turn, before the whole vocabulary."""


def draw(logits: Tensor, *, top_p: Tensor, temperature: Tensor, uniform: Tensor) -> Tensor:
    """Draws one token a row by inverting the nucleus's cumulative distribution.

    Tokens are ordered by probability, and equally probable ones by id, the lower first; so the
    nucleus, and with it the token, is well defined under ties.

    Args:
        logits: float [rows, vocabulary]. Left unchanged.
        top_p: float64 [rows], in [0, 1]; 0 takes the most likely token.
        temperature: float32 [rows], over 0.
        uniform: float64 [rows], in [0, 1).

    Returns:
        int64 [rows], token ids.
    """
    scaled = logits.float()
    if bool((temperature != 1).any()):
        scaled = scaled / temperature[:, None]
    vocabulary = scaled.shape[1]
    log_z = _log_sum_exp(scaled)
    tokens = torch.empty(len(scaled), dtype=torch.long, device=scaled.device)
    rows = torch.arange(len(scaled), device=scaled.device)
    for part in (*(k for k in _PARTS if k < vocabulary), vocabulary):
        everything = len(rows) == len(scaled)
        values, ids = top(scaled if everything else scaled[rows], part)
        place, certain = _place(values, log_z[rows], top_p[rows], uniform[rows], part == vocabulary)
        tokens[rows] = ids.gather(1, place[:, None])[:, 0]
        rows = rows[~certain]
        if len(rows) == 0:
            break
    return tokens


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


def _log_sum_exp(values: Tensor) -> Tensor:
    """Log of the summed exponentials of each row of [rows, n]."""
    # On a CPU a few rows at a time stay in its cache, which makes this three times faster.
    rows = max(1, _CACHED // values.shape[1]) if values.device.type == "cpu" else len(values)
    return torch.cat([torch.logsumexp(chunk, dim=1) for chunk in torch.split(values, rows)])


def _place(
    values: Tensor, log_z: Tensor, top_p: Tensor, uniform: Tensor, whole: bool
) -> tuple[Tensor, Tensor]:
    """Where in the ordered top part the drawn token stands, and in which rows that is certain.

    Args:
        values: float32 [rows, k], the k largest scaled logits, largest first.
        log_z: float32 [rows], the log of the sum over the whole vocabulary.
        top_p: float64 [rows].
        uniform: float64 [rows].
        whole: Whether the part is the whole vocabulary.

    Returns:
        int64 [rows] and bool [rows].
    """
    k = values.shape[1]
    cumulative = (values - log_z[:, None]).double().exp().cumsum(1)
    # The token that crosses top_p is the first at which the sum reaches it. With top_p = 1 it is
    # the last one of the vocabulary, wherever rounding says that the sum reaches 1.
    crossing = (cumulative < top_p[:, None]).sum(1)
    unbounded = top_p >= 1
    crossing = torch.where(unbounded, k if not whole else k - 1, crossing)
    inside = crossing < k
    last = crossing.clamp(max=k - 1)
    mass = torch.where(unbounded, 1.0, cumulative.gather(1, last[:, None])[:, 0])
    place = (cumulative <= (uniform * mass)[:, None]).sum(1)
    place = torch.where(inside, torch.minimum(place, last), place)
    if whole:
        return place.clamp(max=k - 1), torch.ones_like(inside)
    # A value that equals the part's last may have equals outside the part: which of them comes
    # first is only known from a larger one.
    needed = torch.where(unbounded, place, crossing)
    settled = (needed < k) & (
        values.gather(1, needed.clamp(max=k - 1)[:, None])[:, 0] > values[:, -1]
    )
    return place.clamp(max=k - 1), settled
