"""The built-in aligner: first the words that generations share, then the characters between."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aligners.filling import fill
from aligners.numbering import longest_first, numbers_of, starts_of
from aligners.skeleton import skeleton

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np


class WordsFirst:
    """Aligns words, then what is left of the characters.

    Words that at least a tenth of the generations share, in one order, are the skeleton; every
    other character is aligned with the columns between its neighbours in the skeleton. Then all but
    the long runs of the skeleton is aligned once more, beside all others.
    """

    signature = "anchorlake-4"

    def columns(self, texts: Sequence[str]) -> list[np.ndarray]:
        """As `Aligner.columns`."""
        codes, n_codes = numbers_of([list(text) for text in texts])
        starts = starts_of([len(text) for text in texts])
        columns = fill(codes, starts, skeleton(texts), longest_first(starts), n_codes)
        return [columns[starts[i] : starts[i + 1]] for i in range(len(texts))]

    def close(self) -> None:
        """Nothing runs on."""
