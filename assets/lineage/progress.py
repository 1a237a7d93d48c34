"""How long work shows how far it is."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told of a piece of work as it goes on; shown by whoever runs it."""

    def start(self, label: str, total: int, unit: str) -> None:
        """Work begins: `total` units are to be settled."""

    def advance(self, done: int, settled: int) -> None:
        """`done` units were done, which the rate counts; `settled` ones need no more doing."""

    def finish(self) -> None:
        """The work is over, whatever is settled."""

    def say(self, line: str) -> None:
        """Something that whoever waits should know."""


class Silent:
    """Shows nothing."""

    def start(self, label: str, total: int, unit: str) -> None:
        """Does nothing."""

    def advance(self, done: int, settled: int) -> None:
        """Does nothing."""

    def finish(self) -> None:
        """Does nothing."""

    def say(self, line: str) -> None:
        """Does nothing."""
