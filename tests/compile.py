"""Compiles the kernels, which numba then finds in its cache: `python -m tests.compile`."""

from __future__ import annotations

import multiprocessing


def _aligner() -> None:
    from aligners import open_aligner

    with open_aligner("anchorlake") as aligner:
        aligner.columns(["ab cd", "ab  d"])


def _scorer() -> None:
    import torch

    from models.distributions import reduce
    from models.kl import kl_of_rows

    rows = torch.arange(3)
    logits = {dtype: torch.randn(3, 260).to(dtype) for dtype in (torch.float32, torch.bfloat16)}
    for ours in logits.values():
        reduce(ours, rows, rows)
        for theirs in logits.values():
            kl_of_rows(ours, rows, theirs, rows)


def main() -> None:
    """Calls every kernel with the types that it is called with, those of each module at once."""
    processes = [multiprocessing.Process(target=target) for target in (_aligner, _scorer)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()


if __name__ == "__main__":
    main()
