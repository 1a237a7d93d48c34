import hashlib
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.randomness import request_seed, trial_uniforms, uniforms


def philox(key: tuple[int, int], blocks: int) -> list[int]:
    """Philox4x64-10 (Salmon et al., 2011), whose counter starts at 1 as NumPy's does."""
    output = []
    for block in range(1, blocks + 1):
        x, (k0, k1) = [block, 0, 0, 0], key
        for _ in range(10):
            low, high = x[0] * 0xD2E7470EE14C6C93, x[2] * 0xCA5A826395121157
            mask = 2**64 - 1
            x = [(high >> 64) ^ x[1] ^ k0, high & mask, (low >> 64) ^ x[3] ^ k1, low & mask]
            k0, k1 = (k0 + 0x9E3779B97F4A7C15) & mask, (k1 + 0xBB67AE8584CAA73B) & mask
        output += x
    return output


@pytest.mark.parametrize(
    ("seed", "prompt_key", "sample"), [(0, "demo/1", 0), (7, "Ünïcode", 99), (2**40, "", 3)]
)
def test_numbers_are_philox_keyed_by_what_identifies_the_generation(seed, prompt_key, sample):
    digest = hashlib.sha256(f"{seed}\x1f{prompt_key}\x1f{sample}".encode()).digest()
    key = (int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:16], "little"))
    expected = [(word >> 11) / 2**53 for word in philox(key, blocks=3)]
    assert uniforms(seed, prompt_key, sample, 12).tolist() == expected


def test_published_numbers_stay():
    # A study's generations hang on these: they may never change.
    expected = [0.25738658383932156, 0.33153314107711285, 0.899424253244051]
    assert uniforms(0, "demo/1", 0, 3).tolist() == expected


@given(
    seed=st.integers(0, 2**63),
    prompt_key=st.text(st.characters(exclude_categories=["Cs"])),
    sample=st.integers(0, 10**6),
    n=st.integers(1, 40),
    more=st.integers(0, 40),
)
def test_a_longer_request_starts_with_the_shorter_ones_numbers(seed, prompt_key, sample, n, more):
    numbers = uniforms(seed, prompt_key, sample, n + more)
    assert numbers.dtype == np.float64
    assert numbers.shape == (n + more,)
    assert ((numbers >= 0) & (numbers < 1)).all()
    assert np.array_equal(numbers[:n], uniforms(seed, prompt_key, sample, n))


def test_every_generation_has_numbers_of_its_own():
    # Keys that would collide if their parts were joined without a separator are among them.
    keys = itertools.product([0, 1, 11], ["", "1", "11", "a", "a1"], [0, 1, 11])
    assert len({tuple(uniforms(*key, 2)) for key in keys}) == 45


def test_numbers_are_uniform_across_generations_and_positions():
    numbers = np.stack([uniforms(0, "prompt", sample, 50) for sample in range(400)])
    ordered = np.sort(numbers.ravel())
    n = len(ordered)
    # Kolmogorov-Smirnov: 1.63 / sqrt(n) is exceeded once in a hundred.
    assert np.abs(ordered - (np.arange(n) + 0.5) / n).max() < 1.63 / n**0.5
    # Neighbours, along a generation and across samples, are uncorrelated.
    for left, right in [(numbers[:, 1:], numbers[:, :-1]), (numbers[1:], numbers[:-1])]:
        assert abs(np.corrcoef(left.ravel(), right.ravel())[0, 1]) < 3 / n**0.5


def test_every_trial_has_numbers_of_its_own():
    digest = hashlib.sha256(b"0\x1fdemo/1\x1f2\x1f14\x1f3").digest()
    key = (int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:16], "little"))
    expected = [(word >> 11) / 2**53 for word in philox(key, blocks=1)]
    assert trial_uniforms(0, "demo/1", 2, start=14, trial=3, n=4).tolist() == expected
    trials = itertools.product([0, 1], ["a", "b"], [0, 1, 11], [0, 1, 11], [0, 1, 11])
    numbers = {tuple(trial_uniforms(*trial, 2)) for trial in trials}
    assert len(numbers) == 108
    assert numbers.isdisjoint(tuple(uniforms(0, "a", sample, 2)) for sample in range(12))


def test_a_generation_has_one_seed_of_its_own():
    # These may never change either.
    assert [request_seed(0, "demo/1", i) for i in range(3)] == [2110693294, 309155559, 159884262]
    for key in [(0, "demo/1", 0), (7, "Ünïcode", 99), (2**40, "", 3)]:
        digest = hashlib.sha256("{}\x1f{}\x1f{}".format(*key).encode()).hexdigest()
        first = int.from_bytes(bytes.fromhex(digest[:8]), "little")
        assert request_seed(*key) == first // 2
    keys = itertools.product([0, 1, 11], ["", "1", "11", "a", "a1"], [0, 1, 11])
    assert len({request_seed(*key) for key in keys}) == 45
    seeds = np.array([request_seed(0, "prompt", sample) for sample in range(2000)])
    assert 0 <= seeds.min() < 2**31 / 200
    assert 2**31 * (1 - 1 / 200) < seeds.max() < 2**31
