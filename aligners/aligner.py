"""What an aligner does, and which there are."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from aligners.anchorlake import WordsFirst
from aligners.mafft import Mafft

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np


class Aligner(Protocol):
    """Puts all generations of a prompt into one multiple sequence alignment."""

    @property
    def signature(self) -> str:
        """Tells its alignments from those of any other aligner or version."""

    def columns(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Aligns texts; may be called from several threads at once.

        Args:
            texts: The generations of a prompt.

        Returns:
            For each text, int32 [characters], the column of each Unicode character: strictly
            increasing, from 0. No column is empty.

        Raises:
            AlignerError: They could not be aligned.
        """

    def close(self) -> None:
        """Ends whatever still runs."""


@contextmanager
def open_aligner(name: str) -> Iterator[Aligner]:
    """The aligner of this name, for as long as the context lasts.

    Args:
        name: `anchorlake` or `mafft`.

    Raises:
        NotInstalledError: It is not installed.
    """
    aligner: Aligner = Mafft() if name == "mafft" else WordsFirst()
    try:
        yield aligner
    finally:
        aligner.close()
