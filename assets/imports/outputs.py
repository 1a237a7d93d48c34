"""Files that an import writes, and what is said of what it left out."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from assets.study.errors import InputError

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator
    from pathlib import Path
    from typing import TextIO


@contextmanager
def opened(target: Path) -> Iterator[TextIO]:
    """A file to write to, which is put in its place at the end, if all goes well.

    Raises:
        InputError: It cannot be written.
    """
    from warehouse.durable import in_one_step  # and so DuckDB, which `--help` does without

    try:
        with in_one_step(target) as path, path.open("w", encoding="utf-8", newline="\n") as file:
            yield file
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error.strerror or error}") from None


def losses(what: str, dropped: Counter[str], n_written: int) -> str:
    """Says how many were dropped, and for which reasons; nothing where there is none."""
    n_dropped = dropped.total()
    if not n_dropped:
        return ""
    reasons = ", ".join(f"{n:,} {why}" for why, n in dropped.most_common())
    return f"{n_dropped:,} of {n_dropped + n_written:,} {what} dropped: {reasons}"
