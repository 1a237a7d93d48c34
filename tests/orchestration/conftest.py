"""What the tests of Dagster and of the command line share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from assets.figures import FIGURES

if TYPE_CHECKING:
    from collections.abc import Iterator

_FEW = ("ngram_sharing", "ngram_spread", "trajectory")


@pytest.fixture(scope="module")
def few_figures() -> Iterator[None]:
    """Limits the figures that there are; drawing takes longer than what is tested here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("assets.registry.FIGURES", [f for f in FIGURES if f.name in _FEW])
        yield
