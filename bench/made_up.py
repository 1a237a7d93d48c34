"""Generations that are made up, with the repetition of sampled ones, and what models make of them.

A prompt has 100 generations of 512 tokens. Tokens are 50,000 pieces of words, of a Zipf
distribution. A prompt has 40 sentences of 16 tokens. A generation takes 32 of them in their order,
keeps half of those with one token in ten replaced, and has words of its own in the place of the
others. So n-grams recur within prompts, and between prompts where words are common. How likely
tokens are is random numbers.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from assets.measures.declared import PLACEHOLDERS
from warehouse import Table, tables

if TYPE_CHECKING:
    from collections.abc import Iterator

DECODING, PROMPT_SET = "top_p=0.9", "made-up"
SAMPLES = 100
_SLOTS, _SENTENCES, _LENGTH = 32, 40, 16
_WIDTH = _SLOTS * _LENGTH
TOKENS = SAMPLES * _WIDTH
"""Of a prompt."""
_PIECES = 50_000
_RECURS, _REPLACED = 0.5, 0.1
_TEXT = ("condition", "decoding", "corpus", "text_id")


@lru_cache
def pieces() -> np.ndarray:
    """What tokens are written as; three of four begin a word."""
    random = np.random.default_rng(0)
    letters = np.array(list("etaoinshrdlucmfwypvbgkjqxz"))
    words = ["".join(random.choice(letters, size=n)) for n in random.integers(1, 8, _PIECES)]
    return np.array([w if i % 4 == 3 else f" {w}" for i, w in enumerate(words)], dtype=object)


def drawn(prompt: int, samples: int, seed: int) -> np.ndarray:
    """The tokens of a prompt's generations: int [samples, tokens]."""
    random = np.random.default_rng([seed, prompt])
    chances = 1 / np.arange(1, _PIECES + 1)
    chances /= chances.sum()

    def words(*shape: int) -> np.ndarray:
        return random.choice(_PIECES, size=shape, p=chances)

    taken = np.sort(random.random((samples, _SENTENCES)).argsort(axis=1)[:, :_SLOTS])
    sentences = words(_SENTENCES, _LENGTH)[taken]
    recurs = random.random((samples, _SLOTS, 1)) < _RECURS
    replaced = random.random(sentences.shape) < _REPLACED
    tokens = np.where(recurs & ~replaced, sentences, words(*sentences.shape))
    return tokens.reshape(samples, -1)


def made_up(table: Table, prompts: int, seed: int = 0) -> Iterator[pa.RecordBatch]:
    """Rows of a table that models make, a prompt at a time; null in what nothing here reads."""
    random = np.random.default_rng(seed)
    n_masses = len(PLACEHOLDERS["top_k"])  # type: ignore[arg-type]
    for prompt in range(prompts):
        tokens = drawn(prompt, SAMPLES, seed)
        columns: dict[str, Any] = {
            "decoding": [DECODING] * SAMPLES,
            "prompt_set": [PROMPT_SET] * SAMPLES,
            "prompt_id": [f"{prompt:06}"] * SAMPLES,
            "sample": range(SAMPLES),
            "text": ["".join(row) for row in pieces()[tokens]],
            "token_ids": list(tokens),
            "n_tokens": [_WIDTH] * SAMPLES,
            "pieces": list(pieces()[tokens]),
            "condition": ["own"] * SAMPLES,
            "corpus": [PROMPT_SET] * SAMPLES,
            "text_id": [f"{prompt:06}/{i}" for i in range(SAMPLES)],
            "category": ["prompts"] * SAMPLES,
            "item": [f"{prompt:06}"] * SAMPLES,
            "n_words": [_WIDTH * 3 // 4] * SAMPLES,
        }
        columns["n_bytes"] = [len(text) for text in columns["text"]]
        if table is tables.TOKEN_DISTRIBUTIONS:
            columns = {name: np.repeat(columns[name], _WIDTH) for name in _TEXT}
            surprise = random.exponential(2, TOKENS)
            masses = np.sort(random.random((TOKENS, n_masses)), axis=1)
            columns |= {
                "position": np.tile(np.arange(_WIDTH), SAMPLES),
                "token_id": tokens.ravel(),
                "logprob": -surprise,
                "rank": np.exp(surprise / 2).astype(int),
                "entropy": random.exponential(2, TOKENS),
                "support": random.integers(1, _PIECES, TOKENS),
                "top_mass": list(masses),
                "top_ids": list(random.integers(_PIECES, size=(TOKENS, 10))),
                "top_logprobs": list(np.log(masses[:, 9::-1])),
            }
        yield filled(table, columns)


def filled(table: Table, columns: dict[str, Any]) -> pa.RecordBatch:
    """A table's rows, null in what is not given."""
    n = len(columns["decoding"])
    given = [columns.get(field.name, [None] * n) for field in table.arrow_schema]
    types = table.arrow_schema.types
    return pa.RecordBatch.from_arrays(
        [pa.array(c).cast(t) for c, t in zip(given, types, strict=True)], schema=table.arrow_schema
    )
