"""Texts as numbers: their symbols, where each text begins, and the order in which they join."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


def numbers_of(sequences: Sequence[Sequence[str]]) -> tuple[np.ndarray, int]:
    """All symbols, one sequence after another, as numbers; and how many are different."""
    numbers: dict[str, int] = {}
    numbered = [numbers.setdefault(s, len(numbers)) for sequence in sequences for s in sequence]
    return np.array(numbered, dtype=np.int32), len(numbers)


def starts_of(lengths: Sequence[int] | np.ndarray) -> np.ndarray:
    """Where each part begins, and where the last ends; int64 [parts + 1]."""
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)


def longest_first(starts: np.ndarray) -> np.ndarray:
    """The order in which generations join; int64 [generations]."""
    return np.argsort(-np.diff(starts), kind="stable")
