"""How the next token is chosen from a model's distribution, as a study says it.

`models.nucleus`, `models.cautious` and `models.rules` do it.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass

_COLDEST, _HOTTEST = 0.001, 1000.0
"""Beyond these temperatures logits leave the range of float32."""
_MOST = 1_000_000_000
"""Of top_k; more than any vocabulary has."""
_MOST_TRIALS = 1000
_FARTHEST = 1000.0
"""Nats by which a rule may change a logit: over it, a token is certain or impossible."""

WORDS = (
    ("<", -4.0),
    (" <", -4.0),
    ("|", -4.0),
    ("I", -5.0),
    (" I", -5.0),
    (" We", -3.0),
    ("What", -5.0),
    (" should", -6.0),
    (" -", 1.0),
    (" *", 1.0),
    ("    ", 1.0),
    (" #", 1.0),
    (" ##", 1.0),
    ("\n", 1.0),
    ("!", 1.0),
)
"""The tokens that Hewitt et al. (2024) shift, and by how many nats, as their code has them.

What begins with a space is a token that begins a word. Base models use the first eight to go on
with the instruction instead of answering it; the others format an answer.
"""


@dataclass(frozen=True)
class Cautious:
    """Cautious next token prediction (Wang et al., 2025): several trials, the best of them kept.

    Where the next token's entropy is ``low`` or less, a token is drawn. Where it is higher, several
    trials are drawn from there, each up to the first token that holds a punctuation mark, or to the
    generation's end, and the one of the least perplexity is kept, of equal ones the first. Then
    the entropy is looked at anew. There are ``1 + floor((trials - 1) * share)`` trials, ``share``
    being ``(entropy - low) / (high - low)``, from 0 to 1.

    Entropy and perplexity are those of what tokens are drawn from: after the temperature and the
    limits. The defaults are those of the paper's experiments, as the authors' code has them
    (github.com/wyzjack/CNTP); they draw at temperatures of 0.6 to 1.2 with a top_p of 0.9 or 0.95.

    Attributes:
        trials: How many trials there are at most, from 2.
        low: Entropy in nats up to which there is one, which is plain sampling.
        high: Entropy in nats from which there are ``trials``.
    """

    trials: int = 10
    low: float = 0.01
    high: float = 1.5

    def __post_init__(self) -> None:
        if not 2 <= self.trials <= _MOST_TRIALS or self.trials != int(self.trials):
            raise ValueError(
                f"trials is {self.trials}, and must be a whole number from 2 to {_MOST_TRIALS}"
            )
        object.__setattr__(self, "trials", int(self.trials))
        for name in ("low", "high"):
            object.__setattr__(self, name, float(getattr(self, name)))
        if not 0 <= self.low < self.high < math.inf:
            raise ValueError(
                f"low is {self.low} and high is {self.high}: they are entropies in nats, low at "
                "least 0 and under high"
            )

    def n_trials(self, entropy: float) -> int:
        """How many trials are drawn at a next token's entropy in nats."""
        share = (entropy - self.low) / (self.high - self.low)
        return 1 + int((self.trials - 1) * min(1.0, max(0.0, share)))

    @property
    def name(self) -> str:
        """``cautious``, and the keys that are not the paper's."""
        return ",".join(["cautious", *_differing(self, Cautious(), ("trials", "low", "high"))])


@dataclass(frozen=True)
class Rules:
    """The rule-based adapter of Hewitt et al. (2024): a product of the model and of three rules.

    Before anything else the rules change the logits of the next token: of the tokens that end a
    generation, by ``end`` times the number of tokens that the response has; of each token that the
    response has, however often, by ``-repeat``; and of the tokens ``words``, by what those say.

    The defaults are those of the authors' code (github.com/john-hewitt/implicit-ins): there the
    end's score grows by 15 over 250 tokens, what was said costs 1.5, and `WORDS` are shifted. That
    code ends the growth at 250 tokens, and counts the instruction's tokens among those said.

    Attributes:
        end: Nats for each token of the response.
        repeat: Nats that a token costs once it was said.
        words: Texts of single tokens, and by how many nats they are shifted.
    """

    end: float = 15 / 250
    repeat: float = 1.5
    words: tuple[tuple[str, float], ...] = WORDS

    def __post_init__(self) -> None:
        for name in ("end", "repeat"):
            object.__setattr__(self, name, float(getattr(self, name)))
        words = tuple(sorted((text, float(shift)) for text, shift in self.words))
        object.__setattr__(self, "words", words)
        for name, value in (("end", self.end), ("repeat", self.repeat), *words):
            if not abs(value) <= _FARTHEST:
                raise ValueError(
                    f"{name!r} is {value}, and must be from {-_FARTHEST:g} to {_FARTHEST:g}"
                )

    @property
    def has_own_words(self) -> bool:
        """Whether the words are others than the paper's."""
        return set(self.words) != set(WORDS)

    @property
    def name(self) -> str:
        """``rules``, and the keys that are not the paper's; of words their digest's beginning."""
        parts = ["rules", *_differing(self, Rules(), ("end", "repeat"))]
        if self.has_own_words:
            written = json.dumps(self.words, ensure_ascii=False).encode()
            parts.append(f"words={hashlib.sha256(written).hexdigest()[:8]}")
        return ",".join(parts)


def _differing(treatment: object, usual: object, keys: tuple[str, ...]) -> list[str]:
    return [
        f"{key}={getattr(treatment, key)!r}"
        for key in keys
        if getattr(treatment, key) != getattr(usual, key)
    ]


@dataclass(frozen=True)
class Decoding:
    """Exact sampling from the most likely tokens, at a temperature.

    Tokens are ordered by probability, and equally probable ones by id, the lower first. Three
    limits say how many of them, from the first, may be drawn; they apply in this order, after the
    temperature, and a token is drawn from what is left in proportion to its probability:

    1. ``top_k`` leaves the first ``top_k`` tokens.
    2. ``top_p`` (nucleus sampling, Holtzman et al., 2020) leaves the smallest set whose share of
       what ``top_k`` left reaches ``top_p``, the token that crosses it included. Where it is 0 that
       set is the most likely token alone, which is greedy decoding.
    3. ``min_p`` (Nguyen et al., 2024) leaves the tokens that are at least ``min_p`` times as likely
       as the most likely one.

    Two treatments of a model come on top: ``cautious`` chooses among several continuations that are
    drawn so, and ``rules`` change the logits before the temperature divides them.

    Attributes:
        top_p: The nucleus's mass, in (0, 1]; 0 stands for greedy decoding.
        temperature: What logits are divided by before anything else; from 0.001 to 1000.
        top_k: How many tokens, from 2; 0 stands for all.
        min_p: The least share of the highest probability, in (0, 1]; 0 stands for any.
        cautious: How continuations are chosen, if they are.
        rules: What changes the logits, if anything does.
    """

    top_p: float = 1.0
    temperature: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    cautious: Cautious | None = None
    rules: Rules | None = None

    def __post_init__(self) -> None:
        for name in ("top_p", "temperature", "min_p"):
            object.__setattr__(self, name, float(getattr(self, name)))
        if not 0 <= self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p}, and must lie in (0, 1]")
        if not _COLDEST <= self.temperature <= _HOTTEST:
            raise ValueError(
                f"temperature is {self.temperature}, and must be from {_COLDEST} to {_HOTTEST:g}"
            )
        if self.top_k == 1:
            raise ValueError("top_k is 1, which is greedy decoding: write greedy")
        if not 0 <= self.top_k <= _MOST or self.top_k != int(self.top_k):
            raise ValueError(f"top_k is {self.top_k}, and must be a whole number from 2")
        object.__setattr__(self, "top_k", int(self.top_k))
        if not 0 <= self.min_p <= 1:
            raise ValueError(f"min_p is {self.min_p}, and must lie in (0, 1]")
        if self.cautious and self.rules:
            raise ValueError("a decoding is cautious or has rules, not both: leave out one of them")
        if self.cautious and self.is_greedy:
            raise ValueError(
                "a greedy decoding has nothing to be cautious about, as all its trials are the "
                "same: leave out one of the two"
            )
        if self.is_greedy:  # the most likely token is the same under all of them
            for name, neutral in (("temperature", 1.0), ("top_k", 0), ("min_p", 0.0)):
                object.__setattr__(self, name, neutral)

    @classmethod
    def greedy(cls) -> Decoding:
        """The most likely token at every step."""
        return cls(top_p=0.0)

    @property
    def is_greedy(self) -> bool:
        """Whether every sample of a prompt is the same."""
        return self.top_p == 0.0

    @property
    def treatment(self) -> Cautious | Rules | None:
        """What comes on top of sampling, if anything does."""
        return self.cautious or self.rules

    @property
    def name(self) -> str:
        """The ``decoding`` column: ``greedy``, or what it is, such as ``top_k=50,top_p=0.9``.

        A treatment comes first. Limits follow in the order in which they apply, and the temperature
        is last; what leaves all tokens, or divides by 1, is left out. ``top_p=1.0`` is the name
        where there is nothing else.
        """
        parts = [self.treatment.name] if self.treatment else []
        if self.is_greedy:
            return ",".join([*parts, "greedy"])
        if self.top_k:
            parts.append(f"top_k={self.top_k}")
        if self.top_p < 1 or not (self.top_k or self.min_p or self.treatment):
            parts.append(f"top_p={self.top_p!r}")
        if self.min_p:
            parts.append(f"min_p={self.min_p!r}")
        if self.temperature != 1.0:
            parts.append(f"temperature={self.temperature!r}")
        return ",".join(parts)
