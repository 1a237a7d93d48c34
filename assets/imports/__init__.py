"""Other tools' outputs become generations that a `file:` checkpoint brings."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from assets.imports import alpaca_eval, inspect_logs, lm_eval, tabular
from assets.imports.found import Dropped, Found, Options, Written, write_generations
from assets.study.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["FORMATS", "Dropped", "Format", "Found", "Options", "Written", "import_files"]


@dataclass(frozen=True)
class Format:
    """A format that generations are imported from.

    Attributes:
        read: Finds the generations of a file.
        takes: The fields of `Options` that it asks for.
        folders: Whether a file may be a folder, or stand for what is elsewhere.
    """

    read: Callable[[str, Options], Iterator[Found | Dropped]]
    takes: tuple[str, ...] = ()
    folders: bool = False


FORMATS = {
    "lm-eval": Format(lm_eval.read),
    "inspect": Format(inspect_logs.read),
    "alpaca-eval": Format(alpaca_eval.read, ("generator",)),
    "hf-dataset": Format(tabular.read_dataset, ("columns", "config", "split"), folders=True),
    "csv": Format(tabular.read_csv, ("columns",)),
    "parquet": Format(tabular.read_parquet, ("columns",)),
}


def import_files(
    name: str, sources: Sequence[str], target: Path, options: Options, *, force: bool = False
) -> Written:
    """Writes the generations of files of other tools into one, as `read_generations` reads it.

    Args:
        name: One of `FORMATS`.
        sources: The files, all of one model.
        target: The file to write.
        options: What is to be known of the files.
        force: Replace a file that is there.

    Returns:
        What was written and what dropped.

    Raises:
        InputError: There is no such format, it takes no such option, a file cannot be read, or
            the target not be written.
    """
    if name not in FORMATS:
        raise InputError(f"there is no format {name!r}; there are {', '.join(FORMATS)}")
    form = FORMATS[name]
    for option in fields(options):
        if getattr(options, option.name) and option.name not in form.takes:
            flag = "column" if option.name == "columns" else option.name
            raise InputError(f"--{flag} is nothing that {name} takes; leave it out")
    place = target.expanduser().resolve()  # what a link leads to is replaced, not the link
    if place.exists():
        if not place.is_file():
            raise InputError(f"{target} is no file; name another one with -o")
        if any(Path(s).exists() and place.samefile(s) for s in sources):
            raise InputError(f"{target} is what is to be read; name another file with -o")
        if not force:
            raise InputError(f"{target} is there already; replace it with --force")
    for source in sources:
        if not form.folders and Path(source).is_dir():
            raise InputError(f"{source} is a folder; name the files in it")
    rows = (row for source in sources for row in form.read(source, options))
    return write_generations(rows, place)
