"""Other tools' outputs become generations that a `file:` checkpoint brings."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from assets.imports import alpaca_eval, inspect_logs, lm_eval, tabular
from assets.imports.found import Dropped, Found, Options, Written, write_generations
from assets.imports.scored import Scored, ScoreFile
from assets.study.errors import InputError, meant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["FORMATS", "Dropped", "Format", "Found", "Options", "Scored", "Written", "import_files"]


@dataclass(frozen=True)
class Format:
    """A format that generations are imported from.

    Attributes:
        read: Finds the generations of a file, and their scores, each after its generation.
        takes: The fields of `Options` that it asks for.
        folders: Whether a file may be a folder, or stand for what is elsewhere.
    """

    read: Callable[[str, Options], Iterator[Found | Scored | Dropped]]
    takes: tuple[str, ...] = ()
    folders: bool = False


_FLAGS = {"columns": "column", "split_by": "split-by"}
_LONGEST_NAME = 100
"""Characters of a model's name in the name of a file."""
_TABULAR = ("columns", "where", "split_by")
FORMATS = {
    "jsonl": Format(tabular.read_json_lines, _TABULAR),
    "lm-eval": Format(lm_eval.read, ("checkpoint",)),
    "inspect": Format(inspect_logs.read, ("checkpoint",)),
    "alpaca-eval": Format(alpaca_eval.read, ("generator",)),
    "hf-dataset": Format(tabular.read_dataset, (*_TABULAR, "config", "split"), folders=True),
    "csv": Format(tabular.read_csv, _TABULAR),
    "parquet": Format(tabular.read_parquet, _TABULAR),
}


def import_files(
    name: str, sources: Sequence[str], target: Path, options: Options, *, force: bool = False
) -> Written:
    """Writes the generations of files of other tools into one, as `read_generations` reads it.

    Their scores, where there are any, are written beside it, as `read_scores` reads them.

    Args:
        name: One of `FORMATS`.
        sources: The files.
        target: The file to write; where files are split by a column, `made.jsonl` stands for
            `made-VALUE.jsonl`. Scores go to `made.scores.jsonl`.
        options: What is to be known of the files.
        force: Replace a file that is there.

    Returns:
        What was written and what dropped.

    Raises:
        InputError: There is no such format, it takes no such option, a file cannot be read, or
            the target not be written.
    """
    if name not in FORMATS:
        raise InputError(
            f"there is no format {name!r}{meant(name, FORMATS)}; there are {', '.join(FORMATS)}"
        )
    form = FORMATS[name]
    for option in fields(options):
        if getattr(options, option.name) and option.name not in form.takes:
            flag = _FLAGS.get(option.name, option.name)
            raise InputError(f"--{flag} is nothing that {name} takes; leave it out")
    for source in sources:
        if not form.folders and Path(source).is_dir():
            raise InputError(f"{source} is a folder; name the files in it")
    rows = (row for source in sources for row in form.read(source, options))
    if options.split_by is None:
        place = _place(target, sources, force=force)
        beside = target.with_suffix(".scores.jsonl")
        scores = ScoreFile(
            lambda: _place(beside, sources, force=force), options.checkpoint or target.stem
        )
        return write_generations(rows, place, scores)
    places: dict[str, Path] = {}

    def place_of(model: str) -> Path:
        if model not in places:
            place = _place(_named_after(target, model), sources, force=force)
            if place in places.values():
                raise InputError(
                    f"--split-by {options.split_by}: two of its values would both be written to "
                    f"{place}; import them one by one with --where"
                )
            places[model] = place
        return places[model]

    return write_generations(rows, place_of)


def _named_after(target: Path, model: str) -> Path:
    """`made.jsonl` for a model: `made-dpo.jsonl`."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", model).strip("-.")[:_LONGEST_NAME] or "empty"
    return target.with_name(f"{target.stem}-{name}{target.suffix}")


def _place(target: Path, sources: Sequence[str], *, force: bool) -> Path:
    """Where a file is written; raises `InputError` where it cannot be, or is there already."""
    place = target.expanduser().resolve()  # what a link leads to is replaced, not the link
    if place.exists():
        if not place.is_file():
            raise InputError(f"{target} is no file; name another one with -o")
        if any(Path(s).exists() and place.samefile(s) for s in sources):
            raise InputError(f"{target} is what is to be read; name another file with -o")
        if not force:
            raise InputError(f"{target} is there already; replace it with --force")
    return place
