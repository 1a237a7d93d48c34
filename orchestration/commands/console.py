"""What all commands have in common: where they write, their options, and how they end.

A command imports what it works with as it begins: DuckDB and Arrow take several times as long as
all that `--help` needs, and PyTorch and Dagster take seconds.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from assets.study.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table
    from rich.text import Text

    from assets.study.study import Study
    from warehouse import Lake


class Terminal(Console):
    """A console that prints text as it is, but for what a terminal would take for commands."""

    def __init__(self, **options: Any) -> None:
        """Takes what a console of rich does."""
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Makes of a text, or a table's cell, what rich prints."""
        from warehouse.printable import printable

        return super().render_str(printable(text), **options)


out = Terminal(soft_wrap=True)
err = Terminal(soft_wrap=True, stderr=True)

FAILED, BAD_INPUT, DRIFTED = 1, 2, 3

StudyFile = Annotated[Path, typer.Argument(help="The study file.", show_default=False)]
LakeFolder = Annotated[
    Path,
    typer.Option(
        "--lake", envvar="ANCHORLAKE_LAKE", help="The lake's folder, or s3://BUCKET/PREFIX."
    ),
]


def is_bad_input(error: BaseException) -> bool:
    """Whether an error's message is a sentence about what the user gave."""
    from warehouse import DeclarationError, QueryError, ResultError
    from warehouse.places import BucketError, OvertakenError

    of_warehouse = DeclarationError | QueryError | ResultError | OvertakenError | BucketError
    return isinstance(error, InputError | of_warehouse)


class Debugging:
    """Whether errors show where they come from."""

    on = False


def show(grid: Table) -> None:
    """Prints a table, at its full width where nobody's terminal has another."""
    wide = out if out.is_terminal else Terminal(width=1000)
    wide.print(grid)


def study_at(path: Path) -> Study:
    """A study, with all that its file alone tells; raises `InputError` where it is not valid."""
    from assets.study.study import load_study

    study = load_study(path)
    if study.schedule is not None:
        from orchestration.jobs import check_schedule  # of Dagster, which takes long to import

        check_schedule(study.schedule)
    return study


def lake_at(folder: Path) -> Lake:
    """A lake, there or not; raises `InputError` where there can be none.

    Of one that was moved the catalog is mended, so that it reads what is there.
    """
    from warehouse import Lake
    from warehouse.catalog import mend_catalog

    try:
        lake = Lake.at(folder)
    except ValueError as error:
        raise InputError(str(error)) from None
    except ModuleNotFoundError:
        raise InputError("a lake in a bucket needs `pip install 'anchorlake[bucket]'`") from None
    root = lake.root
    if os.path.isfile(root):
        raise InputError(f"--lake {folder} is a file; name a folder")
    if set("*?[]{}") & set(str(root)):
        raise InputError(f"--lake {folder}: a lake's path cannot hold any of * ? [ ] {{ }}")
    if lake.is_in_bucket:
        root.mkdir(parents=True, exist_ok=True)
    mend_catalog(lake)
    return lake


def writable_lake(folder: Path) -> Lake:
    """A lake, there or not, that a run can write to; raises `InputError` where it cannot."""
    from orchestration.places import check_place

    lake = lake_at(folder)
    check_place(lake)
    return lake


def existing_lake(folder: Path) -> Lake:
    """A lake that is there; raises `InputError` where it is not."""
    lake = lake_at(folder)
    check_exists(lake, folder)
    return lake


def check_exists(lake: Lake, called: str | Path) -> None:
    """Raises `InputError` where there is no lake."""
    if not lake.exists():
        raise InputError(f"there is no lake {called}; name it with --lake, or make it with a run")


@contextmanager
def input_errors() -> Iterator[None]:
    """Turns bad input into one message and its exit status."""
    try:
        yield
    except Exception as error:
        if Debugging.on or not is_bad_input(error):
            raise
        err.print(str(error))
        raise typer.Exit(BAD_INPUT) from None
