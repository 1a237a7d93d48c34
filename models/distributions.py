"""What a distribution over next tokens is reduced to, at the speed of the forward pass.

Here is what is kept, and which kernel makes it: `models.numba_reduce` on a CPU,
`models.triton_reduce` on a GPU, plain PyTorch where there are none.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from models import numba_reduce
from models.errors import ModelError
from models.nucleus import has_kernels, top
from models.reading import send

if TYPE_CHECKING:
    from collections.abc import Callable

K_GRID = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 50, 100)
"""Numbers of most likely tokens whose mass is kept."""
N_TOP = 10
"""Most likely tokens that are kept."""
SUPPORT_ABOVE = 1e-8
"""A token is in a distribution's support if it is more probable than this."""


@dataclass(frozen=True)
class Kept:
    """What is kept of a distribution, where there is a choice.

    Attributes:
        top_k: Numbers of most likely tokens whose mass is kept, rising from 1 or more.
        support_above: A token is in the support if it is more probable than this.
    """

    top_k: tuple[int, ...] = K_GRID
    support_above: float = SUPPORT_ABOVE


PAPERS = Kept()
"""What the paper keeps."""

_CUDA_ROWS = 64


@dataclass(frozen=True)
class Distributions:
    """What is kept of n distributions, each over the next token after some text.

    Tokens are ordered by probability, and equally probable ones by id, the lower first.

    Attributes:
        logprob: float32 [n], log-probability of the token that came, in nats.
        rank: int32 [n], its place in that order, from 1.
        entropy: float32 [n], in nats.
        support: int32 [n], tokens with a probability over `support_above`.
        top_mass: float32 [n, len(top_k)], probability of the k most likely tokens together.
        top_ids: int32 [n, 10], the most likely tokens, in order.
        top_logprobs: float32 [n, 10], their log-probabilities, in nats.
    """

    logprob: np.ndarray
    rank: np.ndarray
    entropy: np.ndarray
    support: np.ndarray
    top_mass: np.ndarray
    top_ids: np.ndarray
    top_logprobs: np.ndarray

    def __len__(self) -> int:
        return len(self.logprob)

    def __getitem__(self, rows: slice) -> Distributions:
        return Distributions(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    @classmethod
    def empty(cls, n: int, vocabulary: int, n_masses: int) -> Distributions:
        """Room for n of them; small vocabularies have fewer most likely tokens."""
        shown = min(N_TOP, vocabulary)
        return cls(
            logprob=np.empty(n, np.float32),
            rank=np.empty(n, np.int32),
            entropy=np.empty(n, np.float32),
            support=np.empty(n, np.int32),
            top_mass=np.empty((n, n_masses), np.float32),
            top_ids=np.empty((n, shown), np.int32),
            top_logprobs=np.empty((n, shown), np.float32),
        )

    @classmethod
    def join(cls, parts: list[Distributions]) -> Distributions:
        """One after the other; at least one."""
        return cls(
            *(
                np.concatenate([getattr(part, name) for part in parts])
                for name in cls.__dataclass_fields__
            )
        )


def reduce(logits: Tensor, rows: Tensor, targets: Tensor, kept: Kept = PAPERS) -> Distributions:
    """Reduces some rows of logits.

    Probabilities are float32 exponentials, summed in float64; on a CPU and on a GPU alike.

    Args:
        logits: float [any, vocabulary]. Left unchanged.
        rows: int64 [n], which of its rows.
        targets: int64 [n], the token that came after each.
        kept: What is kept of each.

    Raises:
        ModelError: Logits are not numbers, or the token that came has no probability at all.
    """
    return start_reducing(logits, rows, targets, kept)()


def start_reducing(
    logits: Tensor, rows: Tensor, targets: Tensor, kept: Kept = PAPERS
) -> Callable[[], Distributions]:
    """Starts what `reduce` does, and returns a function that waits for it; both raise what it does.

    Meanwhile a GPU may be given more to do, and the logits may be dropped.
    """
    if logits.device.type == "cuda":
        reduced = _on_gpu(logits, rows, targets, kept)
        return lambda: _checked(reduced())
    distributions = _checked(
        _on_cpu(as_numpy(logits), rows.cpu().numpy(), targets.cpu().numpy(), kept)
    )
    return lambda: distributions


def _checked(distributions: Distributions) -> Distributions:
    if not (np.isfinite(distributions.logprob).all() and np.isfinite(distributions.entropy).all()):
        raise ModelError(
            "the model's logits are not finite numbers, so nothing can be said of its predictions; "
            "set `dtype: float32` or `bfloat16` for this checkpoint, and look whether its weights "
            "are whole"
        )
    return distributions


def as_numpy(logits: Tensor) -> np.ndarray:
    """Logits as float32, or the bits of bfloat16 ones as uint16, which NumPy has no name for."""
    held = logits.detach().cpu().contiguous()
    if held.dtype == torch.bfloat16:
        return held.view(torch.int16).numpy().view(np.uint16)
    return held.float().numpy()


def _on_cpu(logits: np.ndarray, rows: np.ndarray, targets: np.ndarray, kept: Kept) -> Distributions:
    distributions = Distributions.empty(len(rows), logits.shape[1], len(kept.top_k))
    grid = np.array(kept.top_k)
    least_logprob = float(np.log(kept.support_above))
    n_threads = torch.get_num_threads()
    parts = np.array_split(np.arange(len(rows)), n_threads)

    def work(part: np.ndarray) -> None:
        if len(part):
            some = slice(part[0], part[-1] + 1)
            out = distributions[some]
            fields = tuple(getattr(out, name) for name in out.__dataclass_fields__)
            numba_reduce.reduce_rows(logits, rows[some], targets[some], grid, least_logprob, fields)

    if n_threads == 1:
        work(parts[0])
    else:
        with ThreadPoolExecutor(n_threads) as threads:
            list(threads.map(work, parts))
    return distributions


def _on_gpu(
    logits: Tensor, rows: Tensor, targets: Tensor, kept: Kept
) -> Callable[[], Distributions]:
    rows, targets = send(rows, logits.device), send(targets, logits.device)
    n_top = _n_top(logits.shape[1], kept)
    if has_kernels(logits.device):
        from models import triton_reduce

        if n_top <= triton_reduce.MOST_TOP:
            reduced = triton_reduce.reduce_rows(logits, rows, targets, n_top, kept.support_above)
            logprob = logits[rows, targets].double() - reduced.log_total
            return _gathered(
                logprob=logprob,
                entropy=reduced.entropy,
                rank=reduced.rank,
                support=reduced.support,
                top_logprobs=reduced.top.double() - reduced.log_total[:, None],
                top_ids=reduced.top_ids,
                kept=kept,
            )
    places = torch.split(rows, _CUDA_ROWS)
    wanted = torch.split(targets, _CUDA_ROWS)
    parts = [
        _with_torch(logits[some].float(), tokens, kept)
        for some, tokens in zip(places, wanted, strict=True)
    ]
    return lambda: Distributions.join(parts)


def _n_top(vocabulary: int, kept: Kept) -> int:
    return min(max(kept.top_k[-1], N_TOP), vocabulary)


def _gathered(
    *,
    logprob: Tensor,
    entropy: Tensor,
    rank: Tensor,
    support: Tensor,
    top_logprobs: Tensor,
    top_ids: Tensor,
    kept: Kept,
) -> Callable[[], Distributions]:
    """Returns a function that makes of tensors what is kept, once they are copied to the CPU."""
    n_top = top_ids.shape[1]
    shown, n_masses = min(N_TOP, n_top), len(kept.top_k)
    grid = torch.tensor([min(k, n_top) - 1 for k in kept.top_k])
    cumulative = top_logprobs.exp().cumsum(1).clamp(max=1)
    mass = cumulative.index_select(1, send(grid, cumulative.device))
    columns = [logprob[:, None], entropy[:, None], mass, top_logprobs[:, :shown]]
    # The copies start as soon as these are there, and not after all that a GPU is given meanwhile.
    numbers = torch.cat(columns, dim=1).float().to("cpu", non_blocking=True)
    integers = (
        torch.cat([rank[:, None], support[:, None], top_ids[:, :shown]], dim=1)
        .int()
        .to("cpu", non_blocking=True)
    )
    copied = torch.cuda.current_stream(logprob.device).record_event() if logprob.is_cuda else None

    def distributions() -> Distributions:
        if copied:
            copied.synchronize()
        floats, counts = numbers.numpy(), integers.numpy()
        return Distributions(
            logprob=floats[:, 0],
            rank=counts[:, 0],
            entropy=floats[:, 1],
            support=counts[:, 1],
            top_mass=floats[:, 2 : 2 + n_masses],
            top_ids=counts[:, 2:],
            top_logprobs=floats[:, 2 + n_masses :],
        )

    return distributions


def _with_torch(values: Tensor, targets: Tensor, kept: Kept = PAPERS) -> Distributions:
    """The plain form, in PyTorch alone, of float32 [n, vocabulary]."""
    vocabulary = values.shape[1]
    n_top = _n_top(vocabulary, kept)
    highest = values.amax(dim=1, keepdim=True)
    distance = (values - highest).clamp(min=-87)
    exponential = distance.exp()
    total = exponential.sum(dim=1, keepdim=True, dtype=torch.float64)
    weighted = (exponential * distance).sum(dim=1, dtype=torch.float64)
    log_total = highest.double() + total.log()
    wanted = values.gather(1, targets[:, None])
    ids_below = torch.arange(vocabulary, device=values.device) < targets[:, None]
    best, ids = top(values, n_top)
    # Where values equal the last of those kept, which of the equal ones are kept is not defined.
    tied = best[:, min(N_TOP, n_top) - 1] == best[:, -1]
    if n_top < vocabulary and bool(tied.any()):
        best[tied], ids[tied] = (
            part[:, :n_top] for part in values[tied].sort(dim=1, descending=True, stable=True)
        )
    return _gathered(
        logprob=wanted[:, 0].double() - log_total[:, 0],
        entropy=total[:, 0].log() - weighted / total[:, 0],
        rank=1 + (values > wanted).sum(1) + ((values == wanted) & ids_below).sum(1),
        support=(values.double() > log_total + np.log(kept.support_above)).sum(1),
        top_logprobs=best.double() - log_total,
        top_ids=ids,
        kept=kept,
    )()
