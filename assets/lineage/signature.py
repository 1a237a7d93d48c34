"""What people are told of where rows come from, in the manner of sacreBLEU: `p:0.9|T:1|S:100`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

_SHORT = {
    "top_p": "p",
    "temperature": "T",
    "samples": "S",
    "max_new_tokens": "max",
    "tokenizer": "tok",
    "prompt_format": "format",
    "context_length": "ctx",
    "horizons": "n",
    "training_tokens": "train",
    "learning_rate": "lr",
    "interval": "ci",
    "version": "v",
}
"""The short forms of keys; a key that has none is written as it is."""


@dataclass(frozen=True)
class Signature:
    """Keys and values that can be quoted, and by which rows can be made again.

    `str(signature)` writes it, and `Signature.parse` reads it back. Where it is about rows that are
    derived from others, the signatures of those come first.

    Attributes:
        entries: Short keys and their values, in order; None where a key has no value.
    """

    entries: tuple[tuple[str, str | None], ...] = ()

    @classmethod
    def of(cls, **values: object) -> Self:
        """A signature of keys, given in their long form, and values."""
        return cls(tuple((_SHORT.get(key, key), str(value)) for key, value in values.items()))

    @classmethod
    def named(cls, name: str, value: object) -> Self:
        """A signature of one key that is a name, such as a table's or a corpus's."""
        return cls(((name, str(value)),))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads a signature back."""
        entries: list[tuple[str, str | None]] = []
        for entry in text.split("|") if text else ():
            key, colon, value = entry.partition(":")
            entries.append((key, value if colon else None))
        return cls(tuple(entries))

    def __str__(self) -> str:
        return "|".join(key if value is None else f"{key}:{value}" for key, value in self.entries)

    def __add__(self, other: Signature) -> Signature:
        return Signature((*self.entries, *other.entries))

    def __getitem__(self, key: str) -> str | None:
        """The last value of a key, in its long or its short form.

        Raises:
            KeyError: There is no such key.
        """
        return dict(self.entries)[_SHORT.get(key, key)]

    def to_dict(self) -> dict[str, str | None]:
        """Its keys, in their short form, and their values."""
        return dict(self.entries)

    def without_version(self) -> Signature:
        """The signature without the version of Anchorlake that closes it."""
        closed = bool(self.entries) and self.entries[-1][0] == _SHORT["version"]
        return Signature(self.entries[:-1]) if closed else self


def short(digest: str | None) -> str:
    """A digest as signatures show it: its first 8 digits, or - where there is none."""
    return (digest or "-")[:8]
