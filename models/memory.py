"""The memory that models are run in: how much is free, and what is done where it runs out."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, TypeVar

import psutil
import torch

from models.errors import ModelError, sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Row = TypeVar("Row")
Result = TypeVar("Result")

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
"""Options of `mallopt`, by the numbers that they have in glibc."""
_LARGEST_INT = 2**31 - 1


@cache
def keep_freed_memory() -> None:
    """Lets this process keep the memory that it frees, for what it allocates next.

    The logits of a batch over 262,144 tokens are 80 MB and more at each step. The system hands out
    such blocks page by page, each filled with zeros, which takes a quarter of the time of sampling.
    Where the C library is not glibc, nothing changes.
    """
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_MAX, 0)
        library.mallopt(_M_TRIM_THRESHOLD, _LARGEST_INT)


def free_memory(device: torch.device) -> int:
    """Bytes that can be had on a device, those that PyTorch keeps for the next tensors included."""
    if device.type != "cuda":
        return int(psutil.virtual_memory().available)
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0] + kept)


def in_halves(
    work: Callable[[Sequence[Row]], Sequence[Result]], batch: Sequence[Row]
) -> list[Result]:
    """Works on a batch, or on its halves in turn where memory does not hold it whole.

    Args:
        work: Gives a result for each row.
        batch: The rows, at least one.

    Raises:
        ModelError: Memory does not hold a single row.
    """
    try:
        return [*work(batch)]
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        reason = sentence(error)
    # Out of the handler, nothing holds the tensors any more that were there when memory ran out.
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if len(batch) == 1:
        raise ModelError(
            f"memory does not hold the model with one sequence at a time ({reason}); free some, "
            "set `dtype: bfloat16`, or shorten what is read"
        )
    middle = len(batch) // 2
    return [*in_halves(work, batch[:middle]), *in_halves(work, batch[middle:])]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out; on CPUs torch has no class of its own for that."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )
