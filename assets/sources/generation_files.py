"""Generations made elsewhere, as a `file:` checkpoint brings them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from assets.study.errors import InputError, names_of
from assets.study.files import read_jsonl
from models.files import read_once

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path


_FILES_HELD = 8
"""Files whose generations are held in memory, which one step after the other may ask for."""
_PROMPTS_HELD = 1 << 16
"""Different lists of prompts."""

_IMPORTED_AS = {".csv": "csv", ".tsv": "csv", ".parquet": "parquet"}
"""The format of an import, by a file's ending."""

PromptTexts = tuple[tuple[str, str], ...]
"""Pairs of prompt_id and text."""


@dataclass(frozen=True)
class Contents:
    """What a file holds, without its texts.

    Attributes:
        prompts: Its prompts, in their order in the file; files with the same share one object.
        n_generations: How many generations there are.
    """

    prompts: PromptTexts
    n_generations: int


@dataclass(frozen=True)
class Imported:
    """One line of the file."""

    prompt_id: str
    prompt: str
    sample: int
    text: str


@partial(read_once, size=_FILES_HELD)
def read_generations(path: Path) -> tuple[Imported, ...]:
    """Reads generations, one object a line: prompt_id, prompt, sample, text.

    An empty text is a generation like any other.

    Raises:
        InputError: There is no such file, a line is wrong, a (prompt_id, sample) stands twice, a
            prompt_id has two prompts, or there is no line.
    """
    generations: dict[tuple[str, int], Imported] = {}
    prompts: dict[str, str] = {}
    fields = {"prompt_id": str, "prompt": str, "sample": int, "text": str}
    for number, row in _rows(path, fields):
        generation = Imported(**{name: row[name] for name in fields})  # type: ignore[arg-type]
        key = generation.prompt_id, generation.sample
        if key in generations:
            raise InputError(
                f"{path}, line {number}: sample {key[1]} of the prompt {key[0]!r} stands twice"
            )
        if not 0 <= generation.sample < 1 << 31:
            raise InputError(f"{path}, line {number}: 'sample' is {key[1]}, and counts from 0")
        if prompts.setdefault(generation.prompt_id, generation.prompt) != generation.prompt:
            raise InputError(
                f"{path}, line {number}: the prompt_id {generation.prompt_id!r} has another prompt "
                "than on an earlier line"
            )
        generations[key] = generation
    if not generations:
        raise InputError(f"{path} holds no generation")
    return tuple(generations.values())


def _rows(path: Path, fields: Mapping[str, type]) -> Iterator[tuple[int, dict[str, object]]]:
    """The lines of a file; raises `InputError` that names the import it needs, where it does."""
    try:
        yield from read_jsonl(path, fields)
    except InputError:
        _check_form(path, fields)
        raise


def _check_form(path: Path, fields: Iterable[str]) -> None:
    """Looks how a file that cannot be read begins; raises `InputError` for another form."""
    form = _IMPORTED_AS.get(path.suffix, "jsonl")
    advice = f"`anchorlake import {form} {path} -o NEW.jsonl` makes such a file of it"
    try:
        _, first = next(read_jsonl(path, {}), (0, None))
    except InputError:
        if form == "jsonl" or not path.is_file():
            raise
        raise InputError(
            f"{path}: generations are JSON Lines with {', '.join(fields)}; {advice}"
        ) from None
    missing = [name for name in fields if first is not None and name not in first]
    if missing:
        there = names_of(map(repr, first or {})) or "none"
        raise InputError(
            f"{path}, line 1: has no {missing[0]!r}; it has {there}, and every line "
            f"needs {', '.join(fields)}; {advice}, told with --column which is which"
        )


@read_once
def read_contents(path: Path) -> Contents:
    """Reads which prompts a file answers, and how often; remembered of every file.

    Raises:
        InputError: As `read_generations` does.
    """
    generations = read_generations(path)
    prompts = {generation.prompt_id: generation.prompt for generation in generations}
    return Contents(_shared(tuple(prompts.items())), len(generations))


@lru_cache(maxsize=_PROMPTS_HELD)
def _shared(prompts: PromptTexts) -> PromptTexts:
    """The first of all that are equal to these."""
    return prompts
