"""The divergence of rows of logits, against a float64 softmax over the whole vocabulary."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from models.kl import _with_torch, kl_of_rows


def exactly(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The sum of p (log p - log q), in float64."""
    a, b = ours.astype(np.float64), theirs.astype(np.float64)
    log_p = a - a.max() - math.log(np.exp(a - a.max()).sum())
    log_q = b - b.max() - math.log(np.exp(b - b.max()).sum())
    p = np.exp(log_p)
    return float(np.where(p > 0, p * (log_p - log_q), 0.0).sum())


def logits(n: int, vocabulary: int, scale: float, seed: int, dtype: torch.dtype) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (scale * torch.randn(n, vocabulary, generator=generator)).to(dtype)


ROWS = torch.tensor([2, 0, 4])
OTHER_ROWS = torch.tensor([1, 3, 0])


@pytest.mark.parametrize("vocabulary", [2, 260, 1024, 5001, 262_144])
@pytest.mark.parametrize("scale", [0.01, 3.0, 20.0])
def test_it_is_that_of_a_float64_softmax(vocabulary: int, scale: float, device: str) -> None:
    ours = logits(5, vocabulary, scale, 0, torch.float32)
    theirs = logits(5, vocabulary, scale, 1, torch.float32)
    found = kl_of_rows(ours.to(device), ROWS, theirs.to(device), OTHER_ROWS)
    plain = _with_torch(ours[ROWS], theirs[OTHER_ROWS])
    for n, (one, other) in enumerate(zip(ROWS, OTHER_ROWS, strict=True)):
        expected = exactly(ours[one].numpy(), theirs[other].numpy())
        assert found[n] == pytest.approx(expected, rel=1e-5, abs=1e-6)
        assert float(plain[n]) == pytest.approx(expected, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("dtypes", [("bfloat16", "bfloat16"), ("float32", "bfloat16")])
def test_rows_of_bfloat16_are_taken_as_they_are(dtypes: tuple[str, str]) -> None:
    ours = logits(5, 3000, 4.0, 2, getattr(torch, dtypes[0]))
    theirs = logits(5, 3000, 4.0, 3, getattr(torch, dtypes[1]))
    for one, rows, other, other_rows in (
        (ours, ROWS, theirs, OTHER_ROWS),
        (theirs, OTHER_ROWS, ours, ROWS),
    ):
        found = kl_of_rows(one, rows, other, other_rows)
        for n, (i, j) in enumerate(zip(rows, other_rows, strict=True)):
            expected = exactly(one[i].float().numpy(), other[j].float().numpy())
            assert found[n] == pytest.approx(expected, rel=1e-5)


def test_a_distribution_is_0_from_itself() -> None:
    ours = logits(1, 50_000, 5.0, 4, torch.float32)
    row = torch.tensor([0])
    assert kl_of_rows(ours, row, ours + 100, row)[0] == pytest.approx(0, abs=1e-5)
    assert kl_of_rows(ours, row, ours, row)[0] == 0


def test_known_answers() -> None:
    """p = (1/2, 1/2, 0), q = (1/4, 3/4, 0): ln 2 / 2 + ln(2 / 3) / 2; and a q that is 0."""
    p = torch.log(torch.tensor([[0.5, 0.5, 0.0]]))
    q = torch.log(torch.tensor([[0.25, 0.75, 0.0]]))
    row = torch.tensor([0])
    expected = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    for found in (kl_of_rows(p, row, q, row)[0], _with_torch(p, q)[0]):
        assert float(found) == pytest.approx(expected, abs=1e-7)
    none = torch.log(torch.tensor([[1.0, 0.0, 0.0]]))
    assert kl_of_rows(p, row, none, row)[0] == math.inf
    assert kl_of_rows(none, row, p, row)[0] == pytest.approx(math.log(2), abs=1e-6)
    assert np.isnan(kl_of_rows(p * math.nan, row, q, row)[0])
