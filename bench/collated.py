"""CollateX, with which editors collate the versions of a work, as an aligner."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from aligners import NotInstalledError
from aligners.units import units

if TYPE_CHECKING:
    from collections.abc import Sequence


class Collated:
    """Aligns texts by words: each column of CollateX's table is as wide as its longest word.

    The words are those of the built-in aligner, each with the space before it. Those of a column
    begin with it, be they the same or not.
    """

    def __init__(self) -> None:
        """Looks for the package.

        Raises:
            NotInstalledError: It is not installed.
        """
        try:
            self._collatex = import_module("collatex")
        except ImportError as error:
            raise NotInstalledError("collatex is not installed") from error

    @property
    def signature(self) -> str:
        """`collatex-2.3`."""
        return f"collatex-{version('collatex')}"

    def columns(self, texts: Sequence[str]) -> list[np.ndarray]:
        """As `Aligner.columns`."""
        witnesses = [
            {"id": str(i), "tokens": [{"t": unit} for unit in units(text)]}
            for i, text in enumerate(texts)
        ]
        collation = self._collatex.Collation.create_from_dict({"witnesses": witnesses})
        table = self._collatex.collate(collation, segmentation=False)
        columns: list[list[int]] = [[] for _ in texts]
        begin = 0
        for column in table.columns:
            words = {
                int(name): "".join(token.token_string for token in tokens)
                for name, tokens in column.tokens_per_witness.items()
            }
            for sample, word in words.items():
                columns[sample] += range(begin, begin + len(word))
            begin += max(map(len, words.values()))
        return [np.array(column, dtype=np.int32) for column in columns]

    def close(self) -> None:
        """Nothing runs on."""
