from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from models.distributions import K_GRID, PAPERS, Distributions, Kept, _with_torch, reduce
from models.errors import ModelError
from tests.models.reference import distribution

VOCABULARIES = [
    3,
    10,
    64,
    100,
    260,
    1024,
    1025,
    6400,
    6401,
    pytest.param(50_000, marks=pytest.mark.whole),
]
IMPLEMENTATIONS = [
    "cpu",
    "torch",
    pytest.param(
        "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
    ),
]


def logits_of(kind: str, vocabulary: int, rows: int = 9) -> torch.Tensor:
    generator = torch.Generator().manual_seed(vocabulary)
    random = torch.randn(rows, vocabulary, generator=generator)
    if kind == "flat":
        return random / 100
    if kind == "peaked":
        return random * 12
    if kind == "tied":  # as bfloat16 leaves them, many equal ones
        return (random * 2).round() / 2
    if kind == "equal":
        return torch.zeros(rows, vocabulary)
    if kind == "impossible":  # padding of the vocabulary that a model rules out
        return random.where(torch.arange(vocabulary) % 3 < 2, -torch.inf)
    if kind == "padded":  # whole stretches of it
        return random.where(torch.arange(vocabulary) < 2 + vocabulary // 3, -torch.inf)
    if kind == "far":  # stretches that are next to impossible beside others
        return random - torch.arange(vocabulary) / 10
    return random * 4


def targets_in(vocabulary: int, rows: int, kind: str = "") -> torch.Tensor:
    """Tokens of all parts of a vocabulary, none of them impossible."""
    targets = torch.arange(rows) * 7919 % (vocabulary // 3 + 1 if kind == "padded" else vocabulary)
    return targets - ((targets % 3 == 2) & (targets > 0)).long()


@cache
def plain_statistics(kind: str, vocabulary: int, kept: Kept) -> list[dict]:
    logits = logits_of(kind, vocabulary)
    targets = targets_in(vocabulary, len(logits), kind).tolist()
    return [distribution(row, target, kept) for row, target in zip(logits, targets, strict=True)]


@pytest.mark.parametrize(
    "kind", ["plain", "flat", "peaked", "tied", "equal", "impossible", "padded", "far"]
)
@pytest.mark.parametrize("vocabulary", VOCABULARIES)
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_statistics_are_those_of_a_plain_softmax(kind, vocabulary, implementation):
    compare(kind, vocabulary, implementation, PAPERS)


@pytest.mark.parametrize("kind", ["plain", "peaked", "tied", "impossible"])
@pytest.mark.parametrize("vocabulary", [3, 64, 6401])
@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize(
    "kept",
    [Kept((1,), 1e-3), Kept((1, 4), 0.2), Kept((1, 30, 3000), 1e-40)],
    ids=lambda kept: f"{kept.top_k[-1]}-{kept.support_above}",
)
def test_so_they_are_at_thresholds_that_a_study_chooses(kind, vocabulary, implementation, kept):
    compare(kind, vocabulary, implementation, kept)


def compare(kind: str, vocabulary: int, implementation: str, kept: Kept) -> None:
    """Holds an implementation against a plain softmax."""
    logits = logits_of(kind, vocabulary)
    targets = targets_in(vocabulary, len(logits), kind)
    if implementation == "torch":
        found = _with_torch(logits, targets, kept)
    else:
        found = reduce(logits.to(implementation), torch.arange(len(logits)), targets, kept)
    for row, expected in enumerate(plain_statistics(kind, vocabulary, kept)):
        assert found.logprob[row] == pytest.approx(expected["logprob"], rel=1e-6, abs=1e-6)
        assert found.rank[row] == expected["rank"]
        assert found.entropy[row] == pytest.approx(expected["entropy"], rel=1e-5, abs=2e-6)
        assert found.support[row] == expected["support"]
        assert found.top_mass[row] == pytest.approx(expected["top_mass"], rel=1e-6, abs=1e-6)
        assert found.top_ids[row].tolist() == expected["top_ids"]
        assert found.top_logprobs[row] == pytest.approx(
            expected["top_logprobs"], rel=1e-6, abs=1e-6
        )


def test_the_lower_id_is_the_likelier_of_two_equal_ones(device):
    logits = torch.tensor([[1.0, 5.0, 5.0, 5.0, 0.0]] * 5, device=device)
    found = reduce(logits, torch.arange(5), torch.arange(5))
    assert found.rank.tolist() == [4, 1, 2, 3, 5]
    assert found.top_ids[0].tolist() == [1, 2, 3, 0, 4]


def test_only_the_rows_asked_for_are_reduced(device):
    logits = logits_of("plain", 260).to(device)
    rows, targets = torch.tensor([7, 2, 2]), torch.tensor([5, 0, 259])
    some = reduce(logits, rows, targets)
    every = [
        reduce(logits[[row]], torch.tensor([0]), target[None])
        for row, target in zip(rows.tolist(), targets, strict=True)
    ]
    for name in Distributions.__dataclass_fields__:
        assert np.array_equal(getattr(some, name), getattr(Distributions.join(every), name))
    assert len(reduce(logits, rows[:0], targets[:0])) == 0


@pytest.mark.parametrize("kind", ["plain", "peaked", "tied", "impossible", "padded"])
@pytest.mark.parametrize("vocabulary", [260, 6400, 50_000])
def test_bfloat16_logits_are_what_they_are_as_float32(kind, vocabulary, device):
    logits = logits_of(kind, vocabulary).to(device).bfloat16()
    rows, targets = torch.arange(9), targets_in(vocabulary, 9, kind)
    ours, wider = reduce(logits, rows, targets), reduce(logits.float(), rows, targets)
    for name in Distributions.__dataclass_fields__:
        one, other = getattr(ours, name), getattr(wider, name)
        if device == "cpu" or one.dtype == np.int32:
            assert np.array_equal(one, other)
        else:  # a GPU adds them in another order
            assert np.allclose(one, other, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_statistics_do_not_depend_on_the_number_of_threads(threads):
    logits = logits_of("plain", 6400)
    rows = targets = torch.arange(9)
    one = reduce(logits, rows, targets)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        several = reduce(logits, rows, targets)
    finally:
        torch.set_num_threads(before)
    for name in Distributions.__dataclass_fields__:
        assert np.array_equal(getattr(one, name), getattr(several, name))


def test_mass_grows_with_k_up_to_one():
    for kind in ("plain", "flat", "peaked", "equal"):
        mass = reduce(logits_of(kind, 260), torch.arange(9), torch.arange(9)).top_mass
        assert mass.shape == (9, len(K_GRID))
        assert (np.diff(mass, axis=1) >= 0).all()
        assert (mass <= 1).all()
    few = reduce(logits_of("plain", 7), torch.arange(9), torch.arange(9) % 7)
    assert few.top_mass[:, K_GRID.index(7) :] == pytest.approx(1, abs=1e-6)
    assert few.top_ids.shape == (9, 7)


@pytest.mark.parametrize("broken", [float("nan"), -float("nan"), float("inf")])
@pytest.mark.parametrize("token", [0, 200, 5999])
def test_logits_that_are_no_numbers_are_refused(broken, token, device):
    logits = logits_of("padded", 6000).to(device)
    logits[3, token] = broken
    with pytest.raises(ModelError, match="set `dtype: float32`"):
        reduce(logits, torch.arange(9), torch.arange(9))


def test_a_token_that_cannot_come_is_refused(device):
    logits = logits_of("impossible", 260).to(device)
    with pytest.raises(ModelError, match="finite"):
        reduce(logits, torch.tensor([0]), torch.tensor([2]))
