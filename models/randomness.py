"""Random numbers that belong to a token, not to the order in which tokens are computed."""

from __future__ import annotations

import hashlib

import numpy as np


def uniforms(seed: int, prompt_key: str, sample: int, n: int) -> np.ndarray:
    """The uniform random numbers of one generation, one for each position.

    A number depends on (seed, prompt, sample, position) alone: not on batch size, device, decoding
    or on how often a run was interrupted. A longer request starts with the shorter one's numbers.

    Args:
        seed: The study's seed.
        prompt_key: What identifies the prompt.
        sample: The generation's number among its prompt's.
        n: How many positions.

    Returns:
        float64 array of shape [n], values in [0, 1).
    """
    return _numbers(n, seed, prompt_key, sample)


def trial_uniforms(
    seed: int, prompt_key: str, sample: int, start: int, trial: int, n: int
) -> np.ndarray:
    """The uniform random numbers of one trial of a generation's continuation.

    No two trials share a number, and none is one of `uniforms`: a trial that was not kept, as its
    numbers were bad, would otherwise tell those of what comes after.

    Args:
        seed: The study's seed.
        prompt_key: What identifies the prompt.
        sample: The generation's number among its prompt's.
        start: The position at which the trial begins.
        trial: The trial's number among those that begin there.
        n: How many positions, `start` the first of them.

    Returns:
        float64 array of shape [n], values in [0, 1).
    """
    return _numbers(n, seed, prompt_key, sample, start, trial)


def _numbers(n: int, *identity: int | str) -> np.ndarray:
    joined = "\x1f".join(map(str, identity)).encode()
    key = np.frombuffer(hashlib.sha256(joined).digest()[:16], dtype="<u8")
    # Raw 64-bit output, because NumPy promises its stability across versions; 53 bits fill a
    # double.
    raw = np.random.Philox(key=key).random_raw(n)
    return (raw >> np.uint64(11)) * 2.0**-53


def request_seed(seed: int, prompt_key: str, sample: int) -> int:
    """The seed of one generation, for an engine that draws its own random numbers from one.

    Args:
        seed: The study's seed.
        prompt_key: What identifies the prompt.
        sample: The generation's number among its prompt's.

    Returns:
        An integer in [0, 2**31), which depends on the arguments alone.
    """
    identity = f"{seed}\x1f{prompt_key}\x1f{sample}".encode()
    return int.from_bytes(hashlib.sha256(identity).digest()[:4], "little") >> 1
