"""How the next token is chosen from a model's distribution."""

from __future__ import annotations

from dataclasses import dataclass

_COLDEST, _HOTTEST = 0.001, 1000.0
"""Beyond these temperatures logits leave the range of float32."""
_MOST = 1_000_000_000
"""Of top_k; more than any vocabulary has."""


@dataclass(frozen=True, order=True)
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

    Attributes:
        top_p: The nucleus's mass, in (0, 1]; 0 stands for greedy decoding.
        temperature: What logits are divided by before anything else; from 0.001 to 1000.
        top_k: How many tokens, from 2; 0 stands for all.
        min_p: The least share of the highest probability, in (0, 1]; 0 stands for any.
    """

    top_p: float = 1.0
    temperature: float = 1.0
    top_k: int = 0
    min_p: float = 0.0

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
    def name(self) -> str:
        """The ``decoding`` column: ``greedy``, or what it is, such as ``top_k=50,top_p=0.9``.

        Limits come in the order in which they apply, and the temperature last; what leaves all
        tokens, or divides by 1, is left out. ``top_p=1.0`` is the name where there is no limit.
        """
        if self.is_greedy:
            return "greedy"
        parts = [f"top_k={self.top_k}"] if self.top_k else []
        if self.top_p < 1 or not (self.top_k or self.min_p):
            parts.append(f"top_p={self.top_p!r}")
        if self.min_p:
            parts.append(f"min_p={self.min_p!r}")
        if self.temperature != 1.0:
            parts.append(f"temperature={self.temperature!r}")
        return ",".join(parts)
