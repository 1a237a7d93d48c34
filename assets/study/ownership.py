"""Which study a lake belongs to: the one that made it, known by its `name:`.

Two studies would replace each other's prompts and figures, so the second is refused.
"""

from __future__ import annotations

import os
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

from assets.study.errors import InputError
from warehouse.durable import make_folder

if TYPE_CHECKING:
    from pathlib import Path

    from assets.study.study import Study
    from warehouse import Lake


def owner(lake: Lake) -> str | None:
    """The name of the study that a lake belongs to; None where none has made anything in it yet."""
    with suppress(FileNotFoundError, UnicodeDecodeError):
        if name := _file(lake).read_text(encoding="utf-8").strip():
            return name
    # Lakes of earlier versions tell it by their files' footers.
    for path in lake.place.files(lake.root, "[!.]*/data.parquet"):
        provenance = lake.provenance_at(lake.place.footer(lake.root, path))
        if provenance is not None:
            return provenance.study
    return None


def check_owner(lake: Lake, study: Study) -> None:
    """Makes sure that a lake does not belong to another study.

    Raises:
        InputError: It does.
    """
    name = owner(lake)
    if name is not None and name != study.name:
        raise InputError(
            f"the lake {lake.address} belongs to the study {name!r}, and this one is "
            f"{study.name!r}; give another folder with --lake or, if the study was renamed, "
            f"write its new name into {_file(lake)}"
        )


def claim(lake: Lake, study: Study) -> None:
    """Has a lake belong to a study, before something is made in it.

    Raises:
        InputError: It belongs to another one.
    """
    check_owner(lake, study)
    if _file(lake).exists():
        return
    make_folder(lake.root)
    unfinished = lake.root / f".study.{uuid.uuid4().hex}"
    unfinished.write_text(f"{study.name}\n", encoding="utf-8")
    try:
        os.link(unfinished, _file(lake))  # fails where another study was first
    except FileExistsError:
        check_owner(lake, study)
    finally:
        unfinished.unlink()


def _file(lake: Lake) -> Path:
    return lake.root / ".study"
