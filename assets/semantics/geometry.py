"""What vectors of texts say of each other: pure functions of arrays.

Vectors are float64 [texts, width], of length 1 each, so that their products are cosine
similarities.
"""

from __future__ import annotations

import numpy as np

_BLOCK = 256
"""Texts that are held against all classes at a time."""


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors brought to length 1; of length 0 they stay as they are."""
    wide = vectors.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    scaled: np.ndarray = wide / np.where(lengths > 0, lengths, 1)
    return scaled


def mean_cosine(vectors: np.ndarray) -> float | None:
    """The mean cosine similarity of all pairs; None of less than two vectors.

    The square of the sum of vectors holds every pair twice, and each vector with itself.
    """
    n = len(vectors)
    if n < 2:
        return None
    total = vectors.sum(axis=0)
    with_itself = np.einsum("ij,ij->", vectors, vectors)
    return float((total @ total - with_itself) / (n * (n - 1)))


def vendi_score(vectors: np.ndarray) -> float:
    """How many different texts they are worth (Friedman and Dieng, 2023).

    exp(-sum l ln l) over the eigenvalues l of K / n, where K has the cosine similarities. The n x n
    matrix X X^T and the width x width X^T X have the same eigenvalues beside 0, so the smaller of
    the two is taken.

    Returns:
        From 1, where all are the same, to n, where each two are at right angles.
    """
    n, width = vectors.shape
    gram = vectors @ vectors.T if n <= width else vectors.T @ vectors
    values = np.linalg.eigvalsh(gram / n)
    positive = values[values > 0]
    return float(np.exp(-(positive * np.log(positive)).sum()))


def first_alike(vectors: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Classes of texts: each joins the first earlier class whose first member is similar enough.

    Args:
        vectors: The texts, in the order in which they come.
        threshold: The cosine similarity from which on two are alike.

    Returns:
        int64 [texts], the number of the first member of each text's class, and float64 [texts], the
        cosine similarity to that one.
    """
    first = np.zeros(len(vectors), int)
    similarity = np.ones(len(vectors))
    firsts: list[int] = []
    for start in range(0, len(vectors), _BLOCK):
        block = vectors[start : start + _BLOCK]
        earlier = np.array(firsts, int)
        to_earlier = block @ vectors[earlier].T
        within = block @ block.T
        for i in range(len(block)):
            new = np.array(firsts[len(earlier) :], int)
            cosines = np.concatenate([to_earlier[i], within[i, new - start]])
            alike = np.flatnonzero(cosines >= threshold)
            if len(alike):
                first[start + i] = firsts[alike[0]]
                similarity[start + i] = cosines[alike[0]]
            else:
                first[start + i] = start + i
                firsts.append(start + i)
    return first, similarity


def medoid(vectors: np.ndarray) -> int:
    """The number of the text that is most like all of them; of equal ones the first."""
    return int(np.argmax(np.round(vectors @ vectors.sum(axis=0), 9)))


def principal_plane(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vectors in the plane in which they lie furthest apart, by their principal components.

    A component has no sign of its own: it is turned so that its largest weight is positive.

    Args:
        vectors: Of any length.

    Returns:
        float64 [texts, 2], and float64 [2], the share of the variance along each axis.
    """
    centered = vectors - vectors.mean(axis=0)
    _, scales, axes = np.linalg.svd(centered, full_matrices=False)
    total = float((scales**2).sum())
    places = np.zeros((len(vectors), 2))
    shares = np.zeros(2)
    for i, (scale, axis) in enumerate(zip(scales[:2], axes[:2], strict=True)):
        if total > 0 and scale**2 > 1e-12 * total:
            sign = np.sign(axis[np.argmax(np.abs(axis))])
            places[:, i] = centered @ axis * sign
            shares[i] = scale**2 / total
    return places, shares
