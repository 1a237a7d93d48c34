"""How the next token is chosen from a model's distribution."""

from __future__ import annotations

from dataclasses import dataclass

_COLDEST, _HOTTEST = 0.001, 1000.0
"""Beyond these temperatures logits leave the range of float32."""


@dataclass(frozen=True, order=True)
class Decoding:
    """Exact nucleus sampling (Holtzman et al., 2020) at a temperature.

    A token is drawn from the smallest set of most likely tokens whose mass reaches ``top_p``, the
    one that crosses it included. Where ``top_p`` is 0 that set is the most likely token alone,
    which is greedy decoding.

    Attributes:
        top_p: The nucleus's mass, in (0, 1]; 0 stands for greedy decoding.
        temperature: What logits are divided by before anything else; from 0.001 to 1000.
    """

    top_p: float = 1.0
    temperature: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "top_p", float(self.top_p))
        object.__setattr__(self, "temperature", float(self.temperature))
        if not 0 <= self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p}, and must lie in (0, 1]")
        if not _COLDEST <= self.temperature <= _HOTTEST:
            raise ValueError(
                f"temperature is {self.temperature}, and must be from {_COLDEST} to {_HOTTEST:g}"
            )
        if self.is_greedy:  # the most likely token is the same at every temperature
            object.__setattr__(self, "temperature", 1.0)

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
        """The ``decoding`` column: ``greedy``, ``top_p=0.9`` or ``top_p=0.9,temperature=0.7``."""
        if self.is_greedy:
            return "greedy"
        if self.temperature == 1.0:
            return f"top_p={self.top_p!r}"
        return f"top_p={self.top_p!r},temperature={self.temperature!r}"
