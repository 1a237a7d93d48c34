"""Triton kernels that reduce rows of logits on a GPU: what its distribution comes to, and its top.

The model's own output layer makes the logits, so they are the model's in every detail. They are
read twice, the second time from the GPU's cache: once a row's parts are read, their sums say which
logit is the least in the support, and while the next rows are read, its parts are looked at again.

`models.distributions._with_torch` is the plain form of this.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

MOST_TOP = 128
"""The most likely tokens of a row that can be asked for."""
BLOCK = 64
"""Logits of a block: the k largest logits are among those that reach the k-th largest maximum."""

_PART = 4096
"""Logits of a part."""
_BEHIND = 3072
"""Parts by which the second look is behind the first, some times as many as a GPU reads at once.

They are 24 MB of bfloat16, which its cache holds.
"""
_HELD = 4
"""Times as many logits as are asked for that have room before they are put in order."""


class Reduced(NamedTuple):
    """What is made of n rows of logits, on their device.

    Tokens are ordered by their logits, and equal ones by id, the lower first.

    Attributes:
        log_total: float64 [n], logarithm of the sum of the exponentials.
        entropy: float64 [n], of the softmax, in nats.
        rank: int32 [n], the target's place in the order, from 1.
        support: int32 [n], tokens whose probability is over a threshold.
        top: float32 [n, k], the largest logits, in order.
        top_ids: int32 [n, k], their tokens.
    """

    log_total: Tensor
    entropy: Tensor
    rank: Tensor
    support: Tensor
    top: Tensor
    top_ids: Tensor


class Parts(NamedTuple):
    """What is known of rows once their parts were read.

    Attributes:
        maxima: [n, blocks], of each block of `BLOCK` logits.
        sums: float32 [n, 4, parts], of each part: its maximum; the sum of its exponentials, and
            their sum weighted with the binary logarithm of each, relative to it; how many tokens
            are before the target.
        thresholds: float32 [n], the logit over which a token is in the support, where asked for.
        supports: int32 [n, parts], how many tokens of each part are; -1 where it was not looked at
            again.
        sizes: What kernels are told of their shapes.
    """

    maxima: Tensor
    sums: Tensor
    thresholds: Tensor
    supports: Tensor
    sizes: dict[str, int]


def reduce_rows(
    logits: Tensor, rows: Tensor, targets: Tensor, n_top: int, support_above: float
) -> Reduced:
    """Reduces some rows of logits, without waiting for the GPU.

    Exponentials are of float32 and summed in it, part by part; the parts' sums in float64. Where
    logits are not numbers, `log_total` and `entropy` are not finite.

    Args:
        logits: float [any, vocabulary], bfloat16, float16 or float32.
        rows: int64 [n], which of its rows.
        targets: int64 [n], a token for each.
        n_top: How many of the largest logits are wanted, up to `MOST_TOP` and the vocabulary.
        support_above: The probability over which a token is in the support.
    """
    logits = logits if logits.stride(1) == 1 else logits.contiguous()
    n, k = len(rows), triton.next_power_of_2(n_top)
    with torch.cuda.device(logits.device):
        parts = read_parts(logits, rows, targets, support_above)
        totals = logits.new_empty((n, 2), dtype=torch.float64)
        counts = logits.new_empty((n, 2), dtype=torch.int32)
        top = logits.new_empty((n, k), dtype=torch.float32)
        top_ids = logits.new_empty((n, k), dtype=torch.int32)
        _finish[(n,)](
            logits,
            logits.stride(0),
            rows,
            logits.shape[1],
            n_top,
            parts.maxima,
            parts.sums,
            parts.thresholds,
            parts.supports,
            totals,
            counts,
            logits.new_empty((n, parts.sizes["block_lanes"]), dtype=torch.int32),
            logits.new_empty((n, _HELD * k), dtype=torch.int64),
            top,
            top_ids,
            n_held=_HELD * k,
            k=k,
            **parts.sizes,
            num_warps=8,
            maxnreg=64,  # so that more programs run at once
        )
    return Reduced(
        totals[:, 0], totals[:, 1], counts[:, 0], counts[:, 1], top[:, :n_top], top_ids[:, :n_top]
    )


def read_parts(
    logits: Tensor, rows: Tensor, targets: Tensor, support_above: float | None = None
) -> Parts:
    """Reads the parts of rows; only where there is a threshold, they are looked at again."""
    n, vocabulary = len(rows), logits.shape[1]
    n_parts, n_blocks = triton.cdiv(vocabulary, _PART), triton.cdiv(vocabulary, BLOCK)
    sizes = {
        "n_parts": n_parts,
        "part_lanes": triton.next_power_of_2(n_parts),
        "n_blocks": n_blocks,
        "block_lanes": triton.next_power_of_2(n_blocks),
        "size": _PART,
        "block": BLOCK,
    }
    behind = triton.cdiv(_BEHIND, n_parts) if support_above else 0
    parts = Parts(
        maxima=logits.new_empty((n, n_parts * (_PART // BLOCK))),
        sums=logits.new_empty((n, 4, sizes["part_lanes"]), dtype=torch.float32),
        thresholds=logits.new_empty(n, dtype=torch.float32),
        supports=torch.full((n, n_parts), -1, dtype=torch.int32, device=logits.device),
        sizes=sizes,
    )
    _read_parts[((n + behind) * n_parts,)](
        logits,
        logits.stride(0),
        rows,
        targets,
        n,
        vocabulary,
        parts.maxima,
        parts.sums,
        parts.thresholds,
        parts.supports,
        torch.zeros(n, dtype=torch.int32, device=logits.device),
        least=math.log(support_above or 1),
        behind=behind,
        **sizes,
        num_warps=4,
    )
    return parts


@triton.jit(do_not_specialize=["n"])
def _read_parts(
    logits,
    stride,
    rows,
    targets,
    n,
    vocabulary,
    maxima,
    sums,
    thresholds,
    supports,
    arrived,
    least: tl.constexpr,
    behind: tl.constexpr,
    n_parts: tl.constexpr,
    part_lanes: tl.constexpr,
    n_blocks: tl.constexpr,
    block_lanes: tl.constexpr,
    size: tl.constexpr,
    block: tl.constexpr,
):
    """Reads one part of a row, and looks again at the same part of the row `behind` before it.

    The last of a row's parts to arrive tells its threshold. Programs run in about the order of
    their numbers, so that of the earlier row is nearly always there. Where it is not, its part is
    left to `_finish`, as nothing is waited for.
    """
    row = tl.program_id(0) // n_parts
    part = tl.program_id(0) % n_parts
    ids = part * size + tl.arange(0, size)
    start = logits + tl.load(rows + row, mask=row < n, other=0) * stride
    inside = (ids < vocabulary) & (row < n)
    values = tl.load(start + ids, mask=inside, other=float("-inf")).to(tl.float32)
    if behind > 0:
        earlier = row - behind
        again = logits + tl.load(rows + earlier, mask=earlier >= 0, other=0) * stride
        inside = (ids < vocabulary) & (earlier >= 0)
        looked_at = tl.load(
            again + ids, mask=inside, other=float("-inf"), eviction_policy="evict_first"
        )
        if earlier >= 0:  # noqa: SIM102, as both sides of an `and` are evaluated
            if tl.atomic_add(arrived + earlier, 0, sem="acquire") > n_parts:
                threshold = tl.load(thresholds + earlier, cache_modifier=".cg")
                above = tl.sum((looked_at.to(tl.float32) > threshold).to(tl.int32), 0)
                tl.store(supports + earlier * n_parts + part, above)
    if row < n:
        target = tl.load(targets + row).to(tl.int32)
        wanted = tl.load(start + target).to(tl.float32)
        place = maxima + (row.to(tl.int64) * n_parts + part) * (size // block)
        of_part = sums + row * 4 * part_lanes + part
        _sum_part(values, part * size, wanted, target, place, of_part, part_lanes, size, block)
        if behind > 0:
            tl.debug_barrier()
            if tl.atomic_add(arrived + row, 1, sem="acq_rel") == n_parts - 1:
                highest, total, _, _ = sum_row(row, sums, n_parts, part_lanes)
                least_logit = highest.to(tl.float64) + tl.log(total) + least
                tl.store(thresholds + row, _float_below(least_logit))
                tl.debug_barrier()
                tl.atomic_add(arrived + row, 1, sem="release")


@triton.jit
def _sum_part(
    values,
    first,
    wanted,
    target,
    maxima,
    sums,
    part_lanes: tl.constexpr,
    size: tl.constexpr,
    block: tl.constexpr,
):
    """Sums up a part, whose first token is `first`, block by block."""
    n_blocks: tl.constexpr = size // block
    values = tl.reshape(values, [n_blocks, block])
    largest = tl.max(values, 1)
    tl.store(maxima + tl.arange(0, n_blocks), largest.to(maxima.dtype.element_ty))

    # In binary logarithms; what is no number stays none, and where all are -inf nothing is added.
    base = tl.where(largest == float("-inf"), 0.0, largest)
    distance = (values - base[:, None]) * 1.4426950408889634
    distance = tl.maximum(distance, -125.0, propagate_nan=tl.PropagateNan.ALL)
    exponential = tl.exp2(distance)
    total = tl.sum(exponential, 1)
    weighted = tl.sum(exponential * distance, 1)

    if first + size <= target:
        before = tl.sum((values >= wanted).to(tl.int32), 1)
    elif first > target:
        before = tl.sum((values > wanted).to(tl.int32), 1)
    else:
        lower = tl.reshape(first + tl.arange(0, size) < target, [n_blocks, block])
        before = tl.sum(((values > wanted) | ((values == wanted) & lower)).to(tl.int32), 1)

    highest = tl.max(largest, 0)
    offset = tl.maximum((largest - highest) * 1.4426950408889634, -125.0)
    scale = tl.exp2(offset)
    weighted = scale * (weighted + offset * total)
    total, weighted, count = tl.reduce((scale * total, weighted, before.to(tl.float32)), 0, _add)
    tl.store(sums, highest)
    tl.store(sums + part_lanes, total)
    tl.store(sums + 2 * part_lanes, weighted)
    tl.store(sums + 3 * part_lanes, count)


@triton.jit
def _add(a, b, c, other_a, other_b, other_c):
    return a + other_a, b + other_b, c + other_c


@triton.jit
def sum_row(row, sums, n_parts: tl.constexpr, part_lanes: tl.constexpr):
    """Adds up a row's parts in float64.

    Returns its maximum; the sum of the exponentials relative to it, and their sum weighted with the
    natural logarithm of each; and how many tokens are before the target.
    """
    lane = tl.arange(0, part_lanes)
    inside = lane < n_parts
    place = sums + row * 4 * part_lanes + lane
    # Not from the multiprocessor's own cache, which does not know of what others have written.
    highs = tl.load(place, mask=inside, other=float("-inf"), cache_modifier=".cg")
    totals = tl.load(place + part_lanes, mask=inside, other=0.0, cache_modifier=".cg")
    weighted = tl.load(place + 2 * part_lanes, mask=inside, other=0.0, cache_modifier=".cg")
    before = tl.load(place + 3 * part_lanes, mask=inside, other=0.0, cache_modifier=".cg")
    highest = tl.max(highs, 0)
    distance = tl.maximum(highs.to(tl.float64) - highest.to(tl.float64), -1000.0)
    scale = tl.exp(distance)
    totals = totals.to(tl.float64)
    weighted = weighted.to(tl.float64) * 0.6931471805599453 + distance * totals
    total = tl.sum(scale * totals, 0)
    return highest, total, tl.sum(scale * weighted, 0), tl.sum(before.to(tl.int32), 0)


@triton.jit
def _float_below(number):
    """The largest float32 that is not over a float64: a float32 is over both or neither."""
    near = number.to(tl.float32)
    bits = near.to(tl.int32, bitcast=True)
    below = tl.where(near > 0, bits - 1, tl.where(near < 0, bits + 1, -2147483647))
    return tl.where(near.to(tl.float64) > number, below, bits).to(tl.float32, bitcast=True)


@triton.jit
def _finish(
    logits,
    stride,
    rows,
    vocabulary,
    n_top,
    maxima,
    sums,
    thresholds,
    supports,
    totals,
    counts,
    chosen,
    held,
    top,
    top_ids,
    n_held: tl.constexpr,
    k: tl.constexpr,
    n_parts: tl.constexpr,
    part_lanes: tl.constexpr,
    n_blocks: tl.constexpr,
    block_lanes: tl.constexpr,
    size: tl.constexpr,
    block: tl.constexpr,
):
    """Adds up a row's parts, and puts its largest logits in order."""
    row = tl.program_id(0)
    start = logits + tl.load(rows + row) * stride
    highest, total, weighted, before = sum_row(row, sums, n_parts, part_lanes)
    tl.store(totals + 2 * row, highest.to(tl.float64) + tl.log(total))
    tl.store(totals + 2 * row + 1, tl.log(total) - weighted / total)
    tl.store(counts + 2 * row, 1 + before)

    lane = tl.arange(0, part_lanes)
    support = tl.load(supports + row * n_parts + lane, mask=lane < n_parts, other=0)
    n_support = tl.sum(support, 0)
    if tl.min(support, 0) < 0:
        threshold = tl.load(thresholds + row)
        n_support = 0
        for part in range(n_parts):
            values = _part(start, part, vocabulary, size)
            n_support += tl.sum((values > threshold).to(tl.int32), 0)
    tl.store(counts + 2 * row + 1, n_support)

    maxima += row.to(tl.int64) * n_parts * (size // block)
    chosen += row.to(tl.int64) * block_lanes
    bound, n_chosen = choose_blocks(maxima, n_top, chosen, n_blocks, block_lanes)

    # Of these blocks the logits that reach it, each with its token in one number that orders both.
    held += row.to(tl.int64) * n_held
    count = 0
    done = 0
    while (done < n_chosen) & (count <= n_held):
        values, ids, inside = load_blocks(start, chosen, done, n_chosen, vocabulary, 32, block)
        hold = (inside & ((key(values) >> 16) >= bound)).to(tl.int32)
        slot = count + tl.cumsum(hold, 0) - 1
        tl.store(held + slot, _number(values, ids), mask=(hold > 0) & (slot < n_held))
        count += tl.sum(hold, 0)
        done += 32

    # Where there are too many, as many are equal, they are looked for one after another.
    if count > n_held:
        count = n_top
        last = tl.full([], 9223372036854775807, tl.int64)
        for i in range(n_top):
            best = tl.full([], -9223372036854775807, tl.int64)
            for part in range(n_parts):
                values = _part(start, part, vocabulary, size)
                numbers = _number(values, part * size + tl.arange(0, size))
                best = tl.maximum(best, tl.max(tl.where(numbers < last, numbers, best), 0))
            tl.store(held + i, best)
            last = best
    tl.debug_barrier()
    slot = tl.arange(0, n_held)
    numbers = tl.load(held + slot, mask=slot < count, other=-9223372036854775807)
    ordered = tl.sort(numbers, descending=True)
    bits = (ordered >> 32).to(tl.int32)
    bits = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    token = 2147483647 - (ordered & 0x7FFFFFFF).to(tl.int32)
    tl.store(top + row * k + slot, bits.to(tl.float32, bitcast=True), mask=slot < k)
    tl.store(top_ids + row * k + slot, token, mask=slot < k)


@triton.jit
def choose_blocks(maxima, k, chosen, n_blocks: tl.constexpr, block_lanes: tl.constexpr):
    """Lists the blocks that may hold one of a row's k largest logits.

    Returns the bound of 16 bits that the upper halves of these logits' keys reach, and how many
    blocks there are; of fewer than k blocks, all.
    """
    number = tl.arange(0, block_lanes)
    inside = number < n_blocks
    largest = tl.load(maxima + number, mask=inside, other=float("-inf")).to(tl.float32)
    keys = tl.where(inside, key(largest) >> 16, -32768)
    bound = -32768
    for bit in tl.static_range(16):
        higher = bound + (1 << (15 - bit))
        bound = tl.where(tl.sum((keys >= higher).to(tl.int32), 0) >= k, higher, bound)
    reach = inside & (keys >= bound)
    tl.store(chosen + tl.cumsum(reach.to(tl.int32), 0) - 1, number, mask=reach)
    tl.debug_barrier()
    return bound, tl.sum(reach.to(tl.int32), 0)


@triton.jit
def load_blocks(start, chosen, done, n_chosen, vocabulary, n: tl.constexpr, block: tl.constexpr):
    """The logits of the next n listed blocks, their tokens, and which of these there are."""
    some = done + tl.arange(0, n)
    listed = some < n_chosen
    blocks = tl.load(chosen + some, mask=listed, other=0)
    ids = blocks[:, None] * block + tl.arange(0, block)[None, :]
    inside = listed[:, None] & (ids < vocabulary)
    values = tl.load(start + ids, mask=inside, other=float("-inf")).to(tl.float32)
    flat: tl.constexpr = [n * block]
    return tl.reshape(values, flat), tl.reshape(ids, flat), tl.reshape(inside, flat)


@triton.jit
def _part(start, part, vocabulary, size: tl.constexpr):
    ids = part * size + tl.arange(0, size)
    return tl.load(start + ids, mask=ids < vocabulary, other=float("-inf")).to(tl.float32)


@triton.jit
def key(values):
    """Integers in the order of float32 numbers; the two zeros are one."""
    bits = (values + 0.0).to(tl.int32, bitcast=True)
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)


@triton.jit
def _number(values, ids):
    """Integers in the order of logits, those of equal ones with the lower token first."""
    return (key(values).to(tl.int64) << 32) | (2147483647 - ids).to(tl.int64)
