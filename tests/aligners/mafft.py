"""What the tests of the aligners and of the asset `alignments` share."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

import pytest

from aligners import open_aligner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

HAS_MAFFT = shutil.which("mafft") is not None
needs_mafft = pytest.mark.skipif(not HAS_MAFFT, reason="the program mafft is not installed")
ALIGNERS = ["anchorlake", pytest.param("mafft", marks=needs_mafft)]

FAILS = {
    "says why": ("echo first >&2; echo; echo '  no room left ' >&2; exit 1", "no room left"),
    "is killed": ("kill -9 $$", "was killed by signal 9"),
    "has a part killed": ("sh -c 'kill -9 $$'; exit $?", "was killed by signal 9"),
    "says nothing": ("exit 0", "it said nothing"),
    "loses a text": ('for file; do :; done; head -n 2 "$file"', "other texts"),
    "changes a text": ('for file; do :; done; tr abc xyz < "$file"', "other characters"),
}
fails = pytest.mark.parametrize(("does", "message"), FAILS.values(), ids=FAILS)


def align(name: str, texts: Sequence[str]) -> list[np.ndarray]:
    with open_aligner(name) as aligner:
        return aligner.columns(texts)


def check_sentence(error: pytest.ExceptionInfo[Exception], part: str) -> None:
    message = str(error.value)
    assert part in message
    assert message.startswith("mafft ")
    assert "\n" not in message


def until(there: Callable[[], bool]) -> None:
    for _ in range(500):
        if there():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen within five seconds")
