"""Space on the disk, looked at before long work."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from assets.study.errors import InputError

if TYPE_CHECKING:
    from assets.lineage.context import AssetContext


def need_space(context: AssetContext, n_bytes: int, work: str) -> None:
    """Makes sure that the lake's disk has room, before work begins that would fill it.

    Args:
        context: What the work is for.
        n_bytes: What it takes at most, staging included.
        work: What it is, as the subject of a sentence.

    Raises:
        InputError: There is less.
    """
    root = context.lake.root
    free = shutil.disk_usage(root).free
    if free < n_bytes:
        raise InputError(
            f"{work} takes up to {n_bytes / 1e9:,.1f} GB of disk, and where {root} is "
            f"{free / 1e9:,.1f} GB are free; free some, or name another folder with --lake"
        )
