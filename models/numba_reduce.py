"""What a row of logits is reduced to on a CPU, at the speed at which a row comes from memory.

A row is read twice. The first time it goes by in chunks that fit into the innermost cache, each of
which gives the maxima of its blocks and sums of exponentials less its own maximum. The second time
only the chunks are read in which something is counted. The maxima of blocks say in which few the
most likely tokens must be. Nothing is copied but a chunk of bfloat16, and nothing large is sorted.
"""

from __future__ import annotations

import numba
import numpy as np
from numba.extending import overload

_BLOCK = 64
_CHUNK = 16 * _BLOCK
"""Logits; as many exponentials are summed in float32, before the sum goes on in float64."""
_LOWEST = np.float32(-1e30)
"""Stands for the maximum of a chunk that has none, as the model rules all of its tokens out."""

VECTOR = {"reassoc", "contract", "nsz"}
"""LLVM may reorder a float32 sum, which is what lets it add sixteen numbers at once, and fuse a
product with a sum; it may not suppose that there are no infinities."""


@numba.njit(nogil=True, cache=True)
def reduce_rows(logits, rows, targets, grid, least_logprob, kept):  # type: ignore[no-untyped-def]  # numba infers
    """Reduces rows of logits, and writes what is kept of each.

    Args:
        logits: float32 [any, vocabulary], or the bits of bfloat16 as uint16.
        rows: int64 [n], which of its rows.
        targets: int64 [n], the token that came after each.
        grid: int64 [masses], rising: numbers of most likely tokens whose mass is kept.
        least_logprob: What a token in the support is above, in nats.
        kept: The fields of `models.distributions.Distributions`, in its order. Where a row's
            probabilities do not sum to a number, its log-probability is no number, and the rest is
            undefined.
    """
    logprob, rank, entropy, support, top_mass, top_ids, top_logprobs = kept
    vocabulary = logits.shape[1]
    n_top = min(max(grid[-1], top_ids.shape[1]), vocabulary)
    n_chunks = (vocabulary + _CHUNK - 1) // _CHUNK
    buffer = np.empty(_CHUNK, np.float32)
    maxima = np.empty((vocabulary + _BLOCK - 1) // _BLOCK, np.float32)
    highest_of = np.empty(n_chunks, np.float32)
    for n in range(rows.shape[0]):
        row = logits[rows[n]]
        highest, total, weighted = _sums(row, buffer, maxima, highest_of)
        log_total = highest + np.log(total)
        if not np.isfinite(log_total):
            logprob[n] = np.nan
            continue
        target = numbers(row[targets[n] : targets[n] + 1], buffer)[0]
        logprob[n] = target - log_total
        entropy[n] = np.log(total) - weighted / total
        support[n] = _supported(row, buffer, highest_of, log_total + least_logprob)
        rank[n] = _rank(row, buffer, highest_of, targets[n], target)
        ids, values = _top(row, buffer, maxima, n_top)
        for i in range(top_ids.shape[1]):
            top_ids[n, i] = ids[i]
            top_logprobs[n, i] = values[i] - log_total
        mass = 0.0
        taken = 0
        for i in range(grid.shape[0]):
            while taken < min(grid[i], vocabulary):
                mass += np.exp(values[taken] - log_total)
                taken += 1
            top_mass[n, i] = min(mass, 1.0)


@numba.njit(nogil=True, cache=True, fastmath=VECTOR)
def widen(bits, row):  # type: ignore[no-untyped-def]
    """bfloat16 is the upper half of float32."""
    for i in range(row.shape[0]):
        row[i] = np.uint32(np.uint32(bits[i]) << np.uint32(16)).view(np.float32)


def numbers(values: np.ndarray, buffer: np.ndarray) -> np.ndarray:
    """Logits as float32: they themselves, or widened into the buffer where they are bfloat16."""
    raise NotImplementedError("numba compiles one of `_numbers` in its place")


@overload(numbers)
def _numbers(values, buffer):  # type: ignore[no-untyped-def]
    if values.dtype == numba.float32:
        return lambda values, buffer: values

    def widened(values, buffer):  # type: ignore[no-untyped-def]
        wide = buffer[: values.shape[0]]
        widen(values, wide)
        return wide

    return widened


@numba.njit(nogil=True, cache=True)
def _sums(row, buffer, maxima, highest_of):  # type: ignore[no-untyped-def]
    """The maximum of a row, and the sums of exp(d) and d exp(d), d = value - maximum.

    Writes the maxima of its blocks and of its chunks.
    """
    totals = np.empty(highest_of.shape[0], np.float32)
    weighted_totals = np.empty(highest_of.shape[0], np.float32)
    for chunk in range(highest_of.shape[0]):
        values = numbers(row[chunk * _CHUNK : (chunk + 1) * _CHUNK], buffer)
        first = chunk * (_CHUNK // _BLOCK)
        blocks = maxima[first : first + _CHUNK // _BLOCK]
        _block_maxima(values, blocks)
        highest_of[chunk] = blocks.max()
        reference = max(highest_of[chunk], _LOWEST)
        totals[chunk], weighted_totals[chunk] = _sum_exponentials(values, reference)
    highest = highest_of.max()
    total = 0.0
    weighted = 0.0
    for chunk in range(highest_of.shape[0]):
        below = np.float64(max(highest_of[chunk], _LOWEST)) - np.float64(highest)
        scale = np.exp(below)
        total += scale * totals[chunk]
        weighted += scale * (weighted_totals[chunk] + below * totals[chunk])
    return highest, total, weighted


@numba.njit(nogil=True, cache=True)
def _block_maxima(values, maxima):  # type: ignore[no-untyped-def]
    """The greatest of every 64 values.

    They are compared by their bits as integers, which are in the same order but for negative
    numbers, whose other bits are turned over: LLVM compares sixteen of those at once.
    """
    bits = values.view(np.int32)
    highest_bits = maxima.view(np.int32)
    others = np.int32(0x7FFFFFFF)
    whole = values.shape[0] // _BLOCK
    for block in range(whole):
        highest = np.int32(-0x80000000)
        for i in range(block * _BLOCK, (block + 1) * _BLOCK):
            highest = max(highest, np.int32(bits[i] ^ ((bits[i] >> np.int32(31)) & others)))
        highest_bits[block] = highest ^ ((highest >> np.int32(31)) & others)
    if whole < maxima.shape[0]:
        maxima[whole] = values[whole * _BLOCK :].max()


@numba.njit(nogil=True, cache=True, fastmath=VECTOR)
def _sum_exponentials(values, highest):  # type: ignore[no-untyped-def]
    """The sums of exp(d) and of d exp(d), d = value - highest.

    Beyond -87 the exponential is 0 in float32, or nearly.
    """
    total = np.float32(0)
    weighted = np.float32(0)
    for i in range(values.shape[0]):
        d = values[i] - highest
        d = np.float32(-87) if d < np.float32(-87) else d  # what is no number stays none
        e = exponential(d)
        total += e
        weighted += e * d
    return total, weighted


@numba.njit(nogil=True, cache=True, fastmath=VECTOR)
def exponential(d):  # type: ignore[no-untyped-def]
    """The exponential of d from -87 to 0, in float32, with an error of 1e-7.

    Cody and Waite's reduction to |r| <= ln(2)/2 with Cephes' polynomial for float32, written out so
    that the loop around it is vectorized.
    """
    k = np.floor(d * np.float32(1.44269504) + np.float32(0.5))
    r = d - k * np.float32(0.693359375)
    r = r + k * np.float32(2.12194440e-4)
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    p = p * r * r + r + np.float32(1)
    return p * np.int32((np.int32(k) + np.int32(127)) << np.int32(23)).view(np.float32)


@numba.njit(nogil=True, cache=True)
def _supported(row, buffer, highest_of, least):  # type: ignore[no-untyped-def]
    """How many values are above the least."""
    threshold = np.float32(least)
    if threshold > least:  # rounded up
        threshold = np.nextafter(threshold, np.float32(-np.inf))
    supported = 0
    for chunk in range(highest_of.shape[0]):
        if highest_of[chunk] > threshold:
            values = numbers(row[chunk * _CHUNK : (chunk + 1) * _CHUNK], buffer)
            supported += _count_above(values, threshold)
    return supported


@numba.njit(nogil=True, cache=True)
def _rank(row, buffer, highest_of, target, value):  # type: ignore[no-untyped-def]
    """The target's place, from 1: after all greater values, and equal ones with a lower id."""
    rank = 1
    for chunk in range(highest_of.shape[0]):
        if highest_of[chunk] >= value:
            values = numbers(row[chunk * _CHUNK : (chunk + 1) * _CHUNK], buffer)
            n_before = min(max(target - chunk * _CHUNK, 0), values.shape[0])
            rank += _count_reaching(values[:n_before], value)
            rank += _count_above(values[n_before:], value)
    return rank


@numba.njit(nogil=True, cache=True, fastmath=VECTOR)
def _count_above(values, least):  # type: ignore[no-untyped-def]
    above = np.int32(0)
    for i in range(values.shape[0]):
        above += np.int32(values[i] > least)
    return above


@numba.njit(nogil=True, cache=True, fastmath=VECTOR)
def _count_reaching(values, least):  # type: ignore[no-untyped-def]
    reaching = np.int32(0)
    for i in range(values.shape[0]):
        reaching += np.int32(values[i] >= least)
    return reaching


@numba.njit(nogil=True, cache=True)
def _top(row, buffer, maxima, k):  # type: ignore[no-untyped-def]
    """At least the k greatest values with their ids, in order; of equal ones the lower id first.

    The k-th greatest maximum of a block is a bound: at least k values reach it, so the k greatest
    do.
    """
    bound = np.float32(-np.inf)
    if k < maxima.shape[0]:
        bound = np.partition(maxima, maxima.shape[0] - k)[maxima.shape[0] - k]
    blocks = np.empty(maxima.shape[0], np.int64)
    n_blocks = 0
    for block in range(maxima.shape[0]):  # written in any case, which is faster than to branch
        blocks[n_blocks] = block
        n_blocks += int(maxima[block] >= bound)
    ids = np.empty(n_blocks * _BLOCK, np.int64)
    candidates = np.empty(n_blocks * _BLOCK, np.float32)
    n = 0
    for block in blocks[:n_blocks]:
        values = numbers(row[block * _BLOCK : (block + 1) * _BLOCK], buffer)
        for i in range(values.shape[0]):
            ids[n] = block * _BLOCK + i
            candidates[n] = values[i]
            n += int(values[i] >= bound)
    # They are in the order of their ids, in which a stable sort leaves equal ones.
    order = np.argsort(-candidates[:n], kind="mergesort")
    return ids[order], candidates[order]
