"""Bootstrap intervals, permutation tests and Holm's rule against their slow definitions."""

from __future__ import annotations

import math
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.measures import statistics
from assets.measures.statistics import Comparison, Estimate, Items, compare, estimate, holm
from tests.assets.measures.reference import (
    STATISTICS,
    Difference,
    Interval,
    Pairs,
    Whole,
    compared,
    estimated,
    exact_p,
    independent_draws,
    statistic_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

CLOSE = 1e-10
SIZES = [1, 2, 16, 17, 100]
MANY = 5_000


def items_of(n: int, seed: int = 0, shift: float = 0.0) -> Pairs:
    """Items whose ratios are skewed, and larger where their denominators are."""
    random = np.random.default_rng([n, seed])
    denominators = random.integers(1, 30, size=n).astype(float)
    numerators = denominators * random.gamma(2, 0.3, size=n) + 0.01 * denominators**2 + shift
    return np.stack([numerators, denominators], axis=-1)


def several(*sizes: int, seed: int = 0, shift: float = 0.0) -> dict[str, Pairs]:
    """Collections of these sizes."""
    return {f"set {i}": items_of(n, seed + i, shift) for i, n in enumerate(sizes)}


def given_to(collections: Mapping[str, Pairs]) -> dict[str, Items]:
    """One slice as the functions take it."""
    return {name: Items(pairs[:, :1], pairs[:, 1:]) for name, pairs in collections.items()}


def stacked(slices: list[dict[str, Pairs]]) -> dict[str, Items]:
    """Several slices as the functions take them."""
    return {
        name: Items(
            np.stack([part[name][:, 0] for part in slices], axis=1),
            np.stack([part[name][:, 1] for part in slices], axis=1),
        )
        for name in slices[0]
    }


def interval_of(made: Estimate, i: int = 0) -> list[float]:
    return [float(made.value[i]), float(made.low[i]), float(made.high[i])]


def numbers(interval: Interval) -> list[float]:
    return [interval.value, interval.low, interval.high]


def check_comparison(made: Comparison, expected: Difference, i: int = 0) -> None:
    assert made.value[i] == pytest.approx(expected.value, rel=CLOSE)
    assert made.other[i] == pytest.approx(expected.other, rel=CLOSE)
    assert interval_of(made.difference, i) == pytest.approx(
        numbers(expected.difference), rel=CLOSE, abs=CLOSE
    )
    assert interval_of(made.ratio, i) == pytest.approx(numbers(expected.ratio), rel=CLOSE)


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A tenth of the draws and swaps, for what takes long and does not depend on their number."""
    statistics._remembered.cache_clear()
    monkeypatch.setattr(statistics, "RESAMPLES", 1_000)
    monkeypatch.setattr(statistics, "SWAPS", 1_000)
    yield
    statistics._remembered.cache_clear()


# Estimates and comparisons.


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("sizes", [*((n,) for n in SIZES), (3, 40), (17, 1, 100)], ids=str)
def test_an_estimate_is_the_statistic_with_quantiles_of_resampled_ones(
    statistic: str, sizes: tuple[int, ...]
) -> None:
    collections = several(*sizes)
    made = estimate(statistic, given_to(collections))
    assert interval_of(made) == pytest.approx(numbers(estimated(statistic, collections)), rel=CLOSE)


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("sizes", [*((n,) for n in SIZES), (3, 40), (17, 1, 100)], ids=str)
def test_a_comparison_resamples_the_same_items_of_both(
    statistic: str, sizes: tuple[int, ...]
) -> None:
    ours, theirs = several(*sizes), several(*sizes, seed=50, shift=0.7)
    made = compare(statistic, given_to(ours), given_to(theirs))
    check_comparison(made, compared(statistic, ours, theirs))


@pytest.mark.whole
@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.usefixtures("few_draws")
def test_draws_of_more_items_than_memory_holds_are_those_of_the_definition(statistic: str) -> None:
    assert MANY * statistics.RESAMPLES > statistics._AT_ONCE
    ours, theirs = several(MANY), several(MANY, seed=50, shift=0.7)
    made = compare(statistic, given_to(ours), given_to(theirs))
    check_comparison(made, compared(statistic, ours, theirs))
    alone = estimated(statistic, ours)
    assert interval_of(estimate(statistic, given_to(ours))) == pytest.approx(
        numbers(alone), rel=CLOSE
    )


def test_there_are_as_many_draws_as_is_published() -> None:
    assert statistics.RESAMPLES == statistics.SWAPS == 10_000


def test_statistics_of_two_items_are_those_of_a_pocket_calculator() -> None:
    # Ratios 1/2 and 3/4; sums 4 and 6. A second collection has the one ratio 2.
    one = {"a": np.array([[1.0, 2.0], [3.0, 4.0]])}
    both = {**one, "b": np.array([[6.0, 3.0]])}
    values = {s: float(estimate(s, given_to(one)).value[0]) for s in STATISTICS}
    assert values == pytest.approx({"mean": 5 / 8, "pooled": 4 / 6, "exp_pooled": math.exp(4 / 6)})
    values = {s: float(estimate(s, given_to(both)).value[0]) for s in STATISTICS}
    expected = {"mean": (5 / 8 + 2) / 2, "pooled": (4 / 6 + 2) / 2}
    geometric = math.sqrt(math.exp(4 / 6) * math.exp(2))
    assert values == pytest.approx({**expected, "exp_pooled": geometric})


def test_the_interval_of_one_item_is_its_value() -> None:
    for statistic in STATISTICS:
        value, low, high = interval_of(estimate(statistic, given_to(several(1))))
        assert [low, high] == pytest.approx([value, value], rel=1e-12)


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("sizes", [(100,), (17, 60)], ids=str)
def test_intervals_are_those_of_other_draws_within_monte_carlo_error(
    statistic: str, sizes: tuple[int, ...]
) -> None:
    ours, theirs = several(*sizes), several(*sizes, seed=50, shift=0.7)
    made = compare(statistic, given_to(ours), given_to(theirs))
    other = compared(statistic, ours, theirs, independent_draws)
    alone = estimated(statistic, ours, independent_draws)
    for found, expected in (
        (made.difference, other.difference),
        (made.ratio, other.ratio),
        (estimate(statistic, given_to(ours)), alone),
    ):
        # An end's standard error is 0.027 standard deviations, of the interval's 3.9.
        allowed = 4 * math.sqrt(2) * 0.027 / 3.92 * (expected.high - expected.low)
        assert interval_of(found) == pytest.approx(numbers(expected), abs=allowed)


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.usefixtures("few_draws")
def test_blocks_of_draws_do_not_change_results(
    statistic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = several(5, 19), several(5, 19, seed=50, shift=0.05)

    def at_once(size: int) -> tuple[Comparison, Estimate]:
        monkeypatch.setattr(statistics, "_AT_ONCE", size)
        made = compare(statistic, given_to(ours), given_to(theirs))
        return made, estimate(statistic, given_to(ours))

    comparison, alone = at_once(1 << 22)
    assert 0.01 < comparison.p[0] < 0.9  # there is something to get wrong
    for size in (1, 50, 777, 10_000):
        made, made_alone = at_once(size)
        for one, two in (
            (comparison.difference, made.difference),
            (comparison.ratio, made.ratio),
            (alone, made_alone),
        ):
            assert interval_of(one) == pytest.approx(interval_of(two), rel=1e-12, abs=1e-12)
        assert comparison.p == made.p


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("sizes", [(8,), (30,), (5, 20)], ids=str)
def test_slices_at_once_are_each_as_alone(statistic: str, sizes: tuple[int, ...]) -> None:
    ours = [several(*sizes, seed=10 * i) for i in range(5)]
    theirs = [several(*sizes, seed=10 * i + 500, shift=0.3 * i) for i in range(5)]
    together = compare(statistic, stacked(ours), stacked(theirs))
    estimates = estimate(statistic, stacked(ours))
    for i in range(5):
        alone = compare(statistic, given_to(ours[i]), given_to(theirs[i]))
        for one, two in ((together.difference, alone.difference), (together.ratio, alone.ratio)):
            assert interval_of(one, i) == pytest.approx(interval_of(two), rel=1e-12, abs=1e-12)
        assert together.p[i] == alone.p[0]
        own = interval_of(estimate(statistic, given_to(ours[i])))
        assert interval_of(estimates, i) == pytest.approx(own, rel=1e-12)


def test_collections_of_like_names_and_sizes_have_the_same_draws_and_others_have_not() -> None:
    pairs = items_of(30)
    first, again, other = (
        interval_of(estimate("mean", given_to({name: pairs}))) for name in ("a", "a", "b")
    )
    assert first == again
    assert first[0] == other[0]
    assert first[1:] != other[1:]


def test_what_is_beyond_a_double_is_infinite_or_no_number() -> None:
    large = {"a": np.array([[800.0, 1.0], [1.0, 1.0], [800.0, 1.0]])}
    assert interval_of(estimate("exp_pooled", given_to(large)))[2] == math.inf
    zero = {"a": np.array([[0.0, 1.0], [0.0, 1.0]])}
    made = compare("mean", given_to({"a": items_of(2)}), given_to(zero))
    assert not np.isfinite(made.ratio.value[0])
    assert np.isfinite(made.difference.value[0])
    infinite = {"a": np.array([[800.0, 1.0], [800.0, 1.0]])}
    assert np.isnan(compare("exp_pooled", given_to(infinite), given_to(infinite)).p[0])


def test_a_draw_whose_ratio_is_of_two_zeros_counts_as_more_than_any() -> None:
    # Of 12 items 5 have something, in both: in 0.16% of draws there are none of them.
    pairs = np.array([[float(max(0, i)), 1.0] for i in range(-6, 6)])
    twice = pairs * [2.0, 1.0]
    made = compare("mean", given_to({"a": twice}), given_to({"a": pairs}))
    assert interval_of(made.ratio) == pytest.approx([2, 2, 2])


# Permutation tests.

whole_items = st.tuples(st.integers(0, 4), st.integers(1, 4))
matched_items = st.lists(st.tuples(whole_items, whole_items), min_size=1, max_size=5)


def p_of(
    statistic: str, collections: Sequence[Whole], others: Sequence[Whole]
) -> tuple[float, float]:
    one, two = (
        {f"set {i}": np.array(items, dtype=float) for i, items in enumerate(side)}
        for side in (collections, others)
    )
    made = compare(statistic, given_to(one), given_to(two))
    return float(made.p[0]), made.p_least


@pytest.mark.parametrize("statistic", STATISTICS)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(matched_items, min_size=1, max_size=2))
def test_p_is_the_share_of_all_swaps_in_exact_arithmetic(
    statistic: str, items: list[list[tuple[tuple[int, int], tuple[int, int]]]]
) -> None:
    # Few different values, so that many swaps give the very difference that there is.
    ours = [[a for a, _ in some] for some in items]
    theirs = [[b for _, b in some] for some in items]
    n = sum(map(len, items))
    p, least = p_of(statistic, ours, theirs)
    assert p == float(exact_p(statistic, ours, theirs))
    assert least == 2 / 2**n


@pytest.mark.parametrize("statistic", ["mean", "pooled"])
def test_p_of_collections_of_different_sizes_is_exact(statistic: str) -> None:
    n = 11
    random = np.random.default_rng(n)
    ours, theirs = (
        [(int(random.integers(high)), int(random.integers(1, 7))) for _ in range(n)]
        for high in (6, 9)
    )
    expected = exact_p(statistic, [ours[:4], ours[4:]], [theirs[:4], theirs[4:]])
    assert p_of(statistic, [ours[:4], ours[4:]], [theirs[:4], theirs[4:]])[0] == float(expected)
    assert 0 < expected < 1


def test_p_of_sixteen_items_counts_all_swaps() -> None:
    # Swaps turn the sign of each difference: the values of 2 ** 16 signed sums of whole numbers.
    moved = [3, -1, 4, 1, -5, 9, 2, -6, 5, 3, -5, 8, 9, -7, 9, 3]
    sums = {0: 1}
    for step in moved:
        counts: dict[int, int] = {}
        for total, count in sums.items():
            for sign in (step, -step):
                counts[total + sign] = counts.get(total + sign, 0) + count
        sums = counts
    as_large = sum(count for total, count in sums.items() if abs(total) >= abs(sum(moved)))
    p, least = p_of("mean", [[(step, 3) for step in moved]], [[(0, 3) for _ in moved]])
    assert p == as_large / 2**16
    assert least == 2 / 2**16


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("n", [1, 2, 16, 17, 40])
def test_p_of_what_is_equal_is_one(statistic: str, n: int) -> None:
    same: list[Whole] = [[(i % 5, 1 + i % 3) for i in range(n)]]
    assert p_of(statistic, same, same)[0] == 1
    constant: list[Whole] = [[(1, 3)] * n]
    multiple: list[Whole] = [[(2, 6)] * n]
    assert p_of(statistic, constant, constant)[0] == 1
    assert p_of("mean", constant, multiple)[0] == 1


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("n", [1, 2, 5, 16, 40, 100])
def test_the_least_p_is_that_of_all_items_differing_alike(statistic: str, n: int) -> None:
    p, least = p_of(statistic, [[(1, 10)] * n], [[(2, 10)] * n])
    assert p == least
    assert least == (2 / 2**n if n <= 16 else 1 / 10_001)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_p_beyond_sixteen_items_is_that_of_all_swaps_within_monte_carlo_error(
    statistic: str,
) -> None:
    n = 17
    swaps = ((np.arange(1 << n)[:, None] >> np.arange(n)) & 1).astype(bool)[..., None]
    for shift in (0.3, 1.0):
        ours, theirs = items_of(n, 1), items_of(n, 2, shift)
        made = compare(statistic, given_to({"a": ours}), given_to({"a": theirs}))
        expected = _share_as_large(statistic, ours, theirs, swaps)
        assert 0.01 < expected < 0.99
        assert made.p[0] == pytest.approx(expected, abs=_allowed(expected, 10_000))
        assert made.p_least == 1 / 10_001


@pytest.mark.parametrize("statistic", STATISTICS)
def test_p_is_that_of_other_swaps_within_monte_carlo_error(statistic: str) -> None:
    random = np.random.Generator(np.random.MT19937(9))
    for n, shift in ((40, 0.2), (100, 0.1)):
        ours, theirs = items_of(n, 1), items_of(n, 2, shift)
        made = compare(statistic, given_to({"a": ours}), given_to({"a": theirs}))
        swaps = random.random((20_000, n, 1)) < 0.5
        expected = _share_as_large(statistic, ours, theirs, swaps)
        allowed = _allowed(expected, 10_000) + _allowed(expected, 20_000)
        assert 0.001 < expected < 0.99
        assert made.p[0] == pytest.approx(expected, abs=allowed)


def _share_as_large(statistic: str, ours: Pairs, theirs: Pairs, swaps: np.ndarray) -> float:
    swapped_ours, swapped_theirs = np.where(swaps, theirs, ours), np.where(swaps, ours, theirs)
    differences = statistic_of(statistic, [swapped_ours]) - statistic_of(
        statistic, [swapped_theirs]
    )
    observed = statistic_of(statistic, [ours]) - statistic_of(statistic, [theirs])
    return float((np.abs(differences) >= abs(observed) * (1 - 1e-12)).mean())


def _allowed(p: float, n: int) -> float:
    return 4 * math.sqrt(p * (1 - p) / n) + 1e-4


@pytest.mark.usefixtures("few_draws")
def test_fewer_swaps_are_as_many_as_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "SWAPS", 199)  # fewer than resamples
    assert p_of("mean", [[(1, 10)] * 40], [[(2, 10)] * 40]) == (1 / 200, 1 / 200)


@pytest.mark.whole
@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("n", [12, 40])
def test_p_is_uniform_where_nothing_differs(statistic: str, n: int) -> None:
    sets = 400
    random = np.random.default_rng([n, len(statistic)])
    # Items differ from each other, and both checkpoints alike from the item.
    level = random.gamma(2, 1, size=(n, sets))
    one, two = (
        Items(level * random.gamma(3, 0.3, size=(n, sets)), length)
        for length in random.integers(5, 60, size=(2, n, sets)).astype(float)
    )
    scale = 20.0 if statistic == "mean" else 1.0
    one, two = (Items(scale * side.numerators, side.denominators) for side in (one, two))
    p = compare(statistic, {"a": one}, {"a": two}).p
    ordered = np.sort(p)
    # Kolmogorov and Smirnov's distance, under what one in a thousand such samples exceeds.
    ranks = np.arange(sets + 1) / sets
    distance = max((ranks[1:] - ordered).max(), (ordered - ranks[:-1]).max())
    assert distance < 1.95 / math.sqrt(sets)
    for level_of_test in (0.01, 0.05, 0.2):
        allowed = 3.3 * math.sqrt(level_of_test * (1 - level_of_test) / sets)
        assert (p <= level_of_test).mean() == pytest.approx(level_of_test, abs=allowed)


# What intervals cover.


def coverage(kind: str, n: int, sets: int) -> float:
    """How many of the intervals of means of n simulated values hold the true mean."""
    random = np.random.default_rng([n, len(kind)])
    covered = 0
    for start in range(0, sets, 500):
        size = (n, min(500, sets - start))
        values = random.normal(0, 1, size) if kind == "normal" else random.exponential(1, size)
        made = estimate("mean", {f"{kind} {start}": Items(values, np.ones(size))})
        truth = 0.0 if kind == "normal" else 1.0
        covered += int(((made.low <= truth) & (truth <= made.high)).sum())
    return covered / sets


@pytest.mark.whole
@pytest.mark.parametrize(("kind", "sets"), [("normal", 4_000), ("exponential", 2_000)])
def test_intervals_of_a_hundred_items_cover_the_mean_in_95_of_100(kind: str, sets: int) -> None:
    assert 0.93 <= coverage(kind, 100, sets) <= 0.97


@pytest.mark.whole
@pytest.mark.parametrize(
    ("kind", "n", "share"),
    [
        ("normal", 20, 0.927),
        ("exponential", 20, 0.905),
        ("normal", 8, 0.888),
        ("exponential", 8, 0.845),
    ],
)
def test_intervals_of_few_items_cover_less_by_as_much_as_is_documented(
    kind: str, n: int, share: float
) -> None:
    assert estimate.__doc__ is not None
    assert f"{share:.1%}" in estimate.__doc__
    sets = 2_000
    allowed = 3.3 * math.sqrt(share * (1 - share) / sets)
    assert coverage(kind, n, sets) == pytest.approx(share, abs=allowed)


# Holm's rule.


def test_holm_multiplies_the_least_p_by_all_and_the_next_by_one_less() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1, 1]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([0.0001, 0.01, 0.012, 0.03, 0.05, 0.2, 0.6, 1.0]), max_size=7))
def test_holm_rejects_what_each_family_that_holds_it_rejects_after_bonferroni(
    p_values: list[float],
) -> None:
    # The closed test of Marcus, Peritz and Gabriel (1976), of which Holm's is the shortcut.
    places = range(len(p_values))
    families = [f for size in places for f in combinations(places, size + 1)]
    expected = [
        max(min(1, len(f) * min(p_values[i] for i in f)) for f in families if place in f)
        for place in places
    ]
    assert holm(p_values) == pytest.approx(expected)
