"""A Triton kernel that draws from the nucleus of each row on a GPU, without sorting or waiting.

It looks for the logit at which the cumulative probability reaches a number as one looks for a word
in a dictionary: is the mass of the logits over a bound enough? Only blocks of logits that may hold
the nucleus are gone through, and more of them where those are not enough.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from models.triton_reduce import choose_blocks, key, load_blocks, read_parts, sum_row

_FIRST = 128
"""Largest logits whose blocks are gone through at first."""
_AT_ONCE = 128
"""Blocks that a program has in its registers."""


def draw_rows(logits: Tensor, top_p: Tensor, uniform: Tensor) -> Tensor:
    """Draws one token a row by inverting the nucleus's cumulative distribution.

    Args:
        logits: float [rows, vocabulary], bfloat16, float16 or float32, on a GPU.
        top_p: float64 [rows], in [0, 1]; 0 takes the most likely token.
        uniform: float64 [rows], in [0, 1).

    Returns:
        int64 [rows], token ids.
    """
    logits = logits if logits.stride(1) == 1 else logits.contiguous()
    n, vocabulary = logits.shape
    rows = torch.arange(n, device=logits.device)
    tokens = torch.zeros_like(rows)
    with torch.cuda.device(logits.device):
        parts = read_parts(logits, rows, tokens)
        sizes = {
            name: parts.sizes[name]
            for name in ("n_parts", "part_lanes", "n_blocks", "block_lanes", "size", "block")
        }
        _draw[(n,)](
            logits,
            logits.stride(0),
            vocabulary,
            parts.maxima,
            parts.sums,
            logits.new_empty((n, sizes["block_lanes"]), dtype=torch.int32),
            top_p.contiguous(),
            uniform.contiguous(),
            tokens,
            n_bits=16 if logits.dtype == torch.bfloat16 else 32,
            first=_FIRST,
            at_once=_AT_ONCE,
            **sizes,
            num_warps=8,
        )
    return tokens


@triton.jit
def _draw(
    logits,
    stride,
    vocabulary,
    maxima,
    sums,
    chosen,
    top_p,
    uniform,
    tokens,
    n_bits: tl.constexpr,
    first: tl.constexpr,
    at_once: tl.constexpr,
    n_parts: tl.constexpr,
    part_lanes: tl.constexpr,
    n_blocks: tl.constexpr,
    block_lanes: tl.constexpr,
    size: tl.constexpr,
    block: tl.constexpr,
):
    row = tl.program_id(0)
    start = logits + row.to(tl.int64) * stride
    maxima += row.to(tl.int64) * n_parts * (size // block)
    chosen += row.to(tl.int64) * block_lanes
    highest, total, _, _ = sum_row(row, sums, n_parts, part_lanes)
    nucleus = tl.load(top_p + row)
    place = tl.load(uniform + row)
    bounded = nucleus < 1
    needed = tl.where(bounded, nucleus, place) * total

    # Blocks that hold all logits over a bound, and enough of these.
    k = first
    bound, n_chosen = choose_blocks(maxima, k, chosen, n_blocks, block_lanes)
    mass, _tied, _n_tied = _mass(
        start, chosen, n_chosen, vocabulary, highest, bound << 16, n_bits, at_once, block
    )
    while (mass <= needed) & (n_chosen < n_blocks):
        k *= 4
        bound, n_chosen = choose_blocks(maxima, k, chosen, n_blocks, block_lanes)
        mass, _tied, _n_tied = _mass(
            start, chosen, n_chosen, vocabulary, highest, bound << 16, n_bits, at_once, block
        )

    # The token that crosses top_p is in the nucleus; all of it is where there is none.
    reached, nth = bound, 1
    if bounded:
        reached, mass, nth = _reach(
            start, chosen, n_chosen, vocabulary, highest, needed, mass, n_bits, at_once, block
        )
        needed = place * mass
    # The first token whose cumulative probability is over what is needed.
    needed *= 1 + 2.220446049250313e-16
    reached, mass, nth = _reach(
        start, chosen, n_chosen, vocabulary, highest, needed, mass, n_bits, at_once, block
    )
    token = _find(start, chosen, n_chosen, vocabulary, reached, nth, n_bits, at_once, block)
    tl.store(tokens + row, token.to(tl.int64))


@triton.jit
def _reach(
    start,
    chosen,
    n_chosen,
    vocabulary,
    highest,
    needed,
    most,
    n_bits: tl.constexpr,
    at_once: tl.constexpr,
    block: tl.constexpr,
):
    """Where the cumulative mass reaches what is needed, or else the most there is.

    Returns the key of the logit there, the cumulative mass with it, and which of the tokens with
    that logit it is, from 1.
    """
    needed = tl.maximum(tl.minimum(needed, most), 1e-300)
    bound = -2147483648
    for i in range(n_bits // 2):
        step = 1 << (30 - 2 * i)
        one, two, three = _masses_over(
            start, chosen, n_chosen, vocabulary, highest, bound, step, at_once, block
        )
        enough = (one >= needed).to(tl.int32) + (two >= needed) + (three >= needed)
        bound += step * enough
    mass, tied, n_tied = _mass(
        start, chosen, n_chosen, vocabulary, highest, bound, n_bits, at_once, block
    )
    weight = tied / n_tied
    above = mass - tied
    nth = tl.minimum(tl.maximum(tl.ceil((needed - above) / weight), 1.0), n_tied)
    return bound, above + nth * weight, nth.to(tl.int32)


@triton.jit
def _masses_over(
    start,
    chosen,
    n_chosen,
    vocabulary,
    highest,
    bound,
    step,
    at_once: tl.constexpr,
    block: tl.constexpr,
):
    """Masses of the listed logits whose key reaches the bound and one, two and three steps."""
    one, two, three = _zero(), _zero(), _zero()
    done = 0
    while done < n_chosen:
        values, _ids, inside = load_blocks(
            start, chosen, done, n_chosen, vocabulary, at_once, block
        )
        keys = key(values)
        weights = _weights(values, highest, inside)
        one += tl.sum(tl.where(keys >= bound + step, weights, 0.0), 0).to(tl.float64)
        two += tl.sum(tl.where(keys >= bound + 2 * step, weights, 0.0), 0).to(tl.float64)
        three += tl.sum(tl.where(keys >= bound + 3 * step, weights, 0.0), 0).to(tl.float64)
        done += at_once
    return one, two, three


@triton.jit
def _mass(
    start,
    chosen,
    n_chosen,
    vocabulary,
    highest,
    bound,
    n_bits: tl.constexpr,
    at_once: tl.constexpr,
    block: tl.constexpr,
):
    """Mass of the listed logits whose key reaches a bound; of those at it, and their number."""
    mass, tied, n_tied = _zero(), _zero(), _zero()
    done = 0
    while done < n_chosen:
        values, _ids, inside = load_blocks(
            start, chosen, done, n_chosen, vocabulary, at_once, block
        )
        keys = key(values)
        weights = _weights(values, highest, inside)
        equal = inside & ((keys >> (32 - n_bits)) == (bound >> (32 - n_bits)))
        mass += tl.sum(tl.where(keys >= bound, weights, 0.0), 0).to(tl.float64)
        tied += tl.sum(tl.where(equal, weights, 0.0), 0).to(tl.float64)
        n_tied += tl.sum(equal.to(tl.int32), 0).to(tl.float64)
        done += at_once
    return mass, tied, n_tied


@triton.jit
def _weights(values, highest, inside):
    """Probabilities relative to the highest one."""
    return tl.where(inside, tl.exp2((values - highest) * 1.4426950408889634), 0.0)


@triton.jit
def _zero():
    return tl.full([], 0.0, tl.float64)


@triton.jit
def _find(
    start,
    chosen,
    n_chosen,
    vocabulary,
    bound,
    nth,
    n_bits: tl.constexpr,
    at_once: tl.constexpr,
    block: tl.constexpr,
):
    """The nth of the tokens whose logit has this key."""
    token = 0
    count = 0
    done = 0
    while done < n_chosen:
        values, ids, inside = load_blocks(start, chosen, done, n_chosen, vocabulary, at_once, block)
        equal = inside & ((key(values) >> (32 - n_bits)) == (bound >> (32 - n_bits)))
        place = count + tl.cumsum(equal.to(tl.int32), 0)
        token += tl.sum(tl.where(equal & (place == nth), ids, 0), 0)
        count += tl.sum(equal.to(tl.int32), 0)
        done += at_once
    return token
