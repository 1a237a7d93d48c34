"""The Kullback-Leibler divergence of one model's next-token distribution from another's.

Like `models.distributions`, it goes over each row of logits while that is in the processor's cache.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import torch
from torch import Tensor

from models.distributions import as_numpy
from models.numba_reduce import VECTOR, exponential, widen
from models.reading import send

_CHUNK = 1024
"""Terms summed in float32, before the sum goes on in float64."""
_GPU_ROWS = 64


def kl_of_rows(ours: Tensor, our_rows: Tensor, theirs: Tensor, their_rows: Tensor) -> np.ndarray:
    """The divergence of q from p, for pairs of rows of logits: the sum of p (log p - log q).

    Probabilities are float32 exponentials, summed in float64; on a CPU and on a GPU alike. A p
    below e^-87 of the largest counts as 0.

    Args:
        ours: float [any, vocabulary], the logits of p.
        our_rows: int64 [n], which of its rows.
        theirs: float [any, vocabulary], the logits of q, on the same device.
        their_rows: int64 [n], which of its rows.

    Returns:
        float32 [n], in nats, at least 0; infinite where a q is 0 and its p is not.
    """
    if ours.device.type == "cuda":
        return _on_gpu(ours, send(our_rows, ours.device), theirs, send(their_rows, ours.device))
    ours_bits, theirs_bits = as_numpy(ours), as_numpy(theirs)
    kl = np.empty(len(our_rows), np.float32)
    n_threads = torch.get_num_threads()

    def work(part: np.ndarray) -> None:
        if len(part):
            some = slice(part[0], part[-1] + 1)
            _kl_of_rows(
                ours_bits,
                our_rows.cpu().numpy()[some],
                theirs_bits,
                their_rows.cpu().numpy()[some],
                ours_bits.dtype == np.uint16,
                theirs_bits.dtype == np.uint16,
                kl[some],
            )

    with ThreadPoolExecutor(n_threads) as threads:
        list(threads.map(work, np.array_split(np.arange(len(kl)), n_threads)))
    return kl


@numba.njit(nogil=True, cache=True, fastmath=VECTOR)
def _sums(ours, theirs, our_highest, their_highest):  # type: ignore[no-untyped-def]
    """The sums of exp(a), exp(b) and exp(a) (a - b), a and b the logits less their highest."""
    least = np.float32(-87)
    our_total = np.float32(0)
    their_total = np.float32(0)
    weighted = np.float32(0)
    for i in range(ours.shape[0]):
        a = ours[i] - our_highest
        b = theirs[i] - their_highest
        e = exponential(least if a < least else a)
        our_total += e
        their_total += exponential(least if b < least else b)
        weighted += np.float32(0) if a < least else e * (a - b)
    return our_total, their_total, weighted


@numba.njit(nogil=True, cache=True, fastmath=VECTOR)
def _highest(row):  # type: ignore[no-untyped-def]
    highest = row[0]
    for i in range(row.shape[0]):
        highest = row[i] if row[i] > highest else highest
    return highest


@numba.njit(nogil=True, cache=True)
def _kl_of_rows(ours, our_rows, theirs, their_rows, ours_are_bits, theirs_are_bits, kl):  # type: ignore[no-untyped-def]
    vocabulary = ours.shape[1]
    a = np.empty(vocabulary, np.float32)
    b = np.empty(vocabulary, np.float32)
    for n in range(kl.shape[0]):
        if ours_are_bits:
            widen(ours[our_rows[n]], a)
        else:
            a[:] = ours[our_rows[n]]
        if theirs_are_bits:
            widen(theirs[their_rows[n]], b)
        else:
            b[:] = theirs[their_rows[n]]
        our_highest, their_highest = _highest(a), _highest(b)
        our_total = 0.0
        their_total = 0.0
        weighted = 0.0
        for start in range(0, vocabulary, _CHUNK):
            end = min(start + _CHUNK, vocabulary)
            some = _sums(a[start:end], b[start:end], our_highest, their_highest)
            our_total += some[0]
            their_total += some[1]
            weighted += some[2]
        # log p - log q = (a - log our_total) - (b - log their_total)
        divergence = weighted / our_total + np.log(their_total) - np.log(our_total)
        kl[n] = 0.0 if divergence < 0 else divergence  # by rounding; what is no number stays none


def _on_gpu(ours: Tensor, our_rows: Tensor, theirs: Tensor, their_rows: Tensor) -> np.ndarray:
    parts = [
        _with_torch(ours[some].float(), theirs[others].float())
        for some, others in zip(
            torch.split(our_rows, _GPU_ROWS), torch.split(their_rows, _GPU_ROWS), strict=True
        )
    ]
    kl: np.ndarray = torch.cat(parts).float().cpu().numpy()
    return kl


def _with_torch(ours: Tensor, theirs: Tensor) -> Tensor:
    """The plain form, in PyTorch alone, of float32 [n, vocabulary]."""
    a = ours - ours.amax(dim=1, keepdim=True)
    b = theirs - theirs.amax(dim=1, keepdim=True)
    exponential = a.clamp(min=-87).exp()
    our_total = exponential.sum(dim=1, dtype=torch.float64)
    their_total = b.clamp(min=-87).exp().sum(dim=1, dtype=torch.float64)
    terms = torch.where(a < -87, 0.0, exponential * (a - b))
    weighted = terms.sum(dim=1, dtype=torch.float64)
    return (weighted / our_total + their_total.log() - our_total.log()).clamp(min=0)
