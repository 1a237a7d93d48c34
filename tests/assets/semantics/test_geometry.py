from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from assets.semantics.geometry import (
    first_alike,
    mean_cosine,
    medoid,
    principal_plane,
    unit,
    vendi_score,
)


def drawn(n: int, width: int, seed: int = 0) -> np.ndarray:
    """Vectors of length 1 that lie on one side, as those of texts do."""
    return unit(np.random.default_rng(seed).normal(0.4, 1, (n, width)))


def of_kernel(kernel: np.ndarray) -> np.ndarray:
    """Vectors whose products are a matrix of similarities."""
    values, axes = np.linalg.eigh(kernel)
    return axes * np.sqrt(np.maximum(values, 0))


@pytest.mark.parametrize(("n", "width"), [(2, 5), (30, 7), (7, 30)])
def test_the_mean_cosine_is_that_of_all_pairs(n: int, width: int) -> None:
    vectors = drawn(n, width)
    pairs = [a @ b for a, b in combinations(vectors, 2)]
    assert mean_cosine(vectors) == pytest.approx(np.mean(pairs), abs=1e-12)


def test_one_text_has_no_pairs() -> None:
    assert mean_cosine(drawn(1, 4)) is None


@pytest.mark.parametrize(("n", "width"), [(30, 7), (7, 30), (1, 3), (12, 12)])
def test_vendi_is_the_same_of_both_matrices(n: int, width: int) -> None:
    vectors = drawn(n, width)
    values = np.linalg.eigvalsh(vectors @ vectors.T / n)
    values = values[values > 1e-15]
    assert vendi_score(vectors) == pytest.approx(np.exp(-np.sum(values * np.log(values))), abs=1e-9)


def test_vendi_counts_what_is_the_same_once_and_what_is_at_right_angles_each() -> None:
    assert vendi_score(np.tile(drawn(1, 6), (9, 1))) == pytest.approx(1)
    assert vendi_score(np.eye(6)) == pytest.approx(6)
    assert vendi_score(np.repeat(np.eye(3), 50, axis=0)) == pytest.approx(3)


_NUMBERS = np.array([0, 0, 10, 10, 20, 20])


@pytest.mark.parametrize(
    ("vectors", "published"),
    [
        (of_kernel(np.exp(-np.abs(_NUMBERS[:, None] - _NUMBERS))), 2.9999),
        (of_kernel(np.array([[1, 0.9, 0], [0.9, 1, 0], [0, 0, 1]])), 2.1573),
    ],
)
def test_vendi_has_the_values_that_its_authors_give(vectors: np.ndarray, published: float) -> None:
    assert vendi_score(vectors) == pytest.approx(published, abs=1e-4)


@pytest.mark.parametrize(("n", "threshold"), [(600, 0.4), (600, 0.9), (40, 0.2), (0, 0.5)])
def test_classes_are_those_of_a_loop_over_texts_in_their_order(n: int, threshold: float) -> None:
    vectors = drawn(n, 6) if n else np.zeros((0, 6))
    firsts: list[int] = []
    expected = []
    for i in range(n):
        alike = [f for f in firsts if vectors[f] @ vectors[i] >= threshold]
        if not alike:
            firsts.append(i)
        expected.append(alike[0] if alike else i)
    first, similarity = first_alike(vectors, threshold)
    assert first.tolist() == expected
    for i, of_class in enumerate(expected):
        assert similarity[i] == pytest.approx(vectors[i] @ vectors[of_class])


def test_a_class_is_known_by_its_first_text_and_not_by_a_chain_of_others() -> None:
    angles = np.radians([0, 40, 80])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    near = np.cos(np.radians(45))
    assert first_alike(vectors, near)[0].tolist() == [0, 0, 2]
    assert first_alike(vectors[[1, 0, 2]], near)[0].tolist() == [0, 0, 0]


def test_the_medoid_is_most_like_the_others_and_the_first_of_equal_ones() -> None:
    angles = np.radians([0, 30, 10, 10])
    assert medoid(np.stack([np.cos(angles), np.sin(angles)], axis=1)) == 2


def test_the_plane_is_that_of_the_two_largest_components() -> None:
    vectors = drawn(50, 8) * [3, 2, 1, 1, 1, 1, 1, 1]
    places, shares = principal_plane(vectors)
    values, axes = np.linalg.eigh(np.cov(vectors.T))
    for i in (0, 1):
        along = (vectors - vectors.mean(0)) @ axes[:, -1 - i]
        assert abs(np.corrcoef(along, places[:, i])[0, 1]) == pytest.approx(1)
        assert np.var(places[:, i], ddof=1) == pytest.approx(values[-1 - i])
        assert shares[i] == pytest.approx(values[-1 - i] / values.sum())
    assert np.array_equal(principal_plane(vectors)[0], places)


def test_the_plane_of_texts_that_are_the_same_is_one_place() -> None:
    places, shares = principal_plane(np.ones((4, 3)))
    assert not places.any()
    assert not shares.any()
