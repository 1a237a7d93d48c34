"""What all commands have in common: where they write, their options, and how they end."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from assets.study.errors import InputError
from warehouse import DeclarationError, Lake, QueryError, ResultError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

out = Console(highlight=False, markup=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)

FAILED, BAD_INPUT, DRIFTED = 1, 2, 3

StudyFile = Annotated[Path, typer.Argument(help="The study file.", show_default=False)]
LakeFolder = Annotated[
    Path, typer.Option("--lake", envvar="ANCHORLAKE_LAKE", help="The lake's folder.")
]


class Debugging:
    """Whether errors show where they come from."""

    on = False


def show(grid: Table) -> None:
    """Prints a table, at its full width where nobody's terminal has another."""
    wide = out if out.is_terminal else Console(highlight=False, markup=False, width=1000)
    wide.print(grid)


def lake_at(folder: Path) -> Lake:
    """A lake, there or not; raises `InputError` where there can be none."""
    root = folder.expanduser().absolute()
    if root.exists() and not root.is_dir():
        raise InputError(f"--lake {folder} is a file; name a folder")
    if set("*?[]{}") & set(str(root)):
        raise InputError(f"--lake {folder}: a lake's path cannot hold any of * ? [ ] {{ }}")
    return Lake(root)


def existing_lake(folder: Path) -> Lake:
    """A lake that is there; raises `InputError` where it is not."""
    lake = lake_at(folder)
    if not lake.root.is_dir():
        raise InputError(f"there is no lake {folder}; name it with --lake, or make it with a run")
    return lake


@contextmanager
def input_errors() -> Iterator[None]:
    """Turns bad input into one message and its exit status."""
    try:
        yield
    except (InputError, DeclarationError, QueryError, ResultError) as error:
        if Debugging.on:
            raise
        err.print(str(error))
        raise typer.Exit(BAD_INPUT) from None
