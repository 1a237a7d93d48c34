"""Memory that runs out: what is read side by side is halved, until it fits."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, TypeVar

import torch

from models.errors import ModelError, sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Row = TypeVar("Row")
Result = TypeVar("Result")


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
