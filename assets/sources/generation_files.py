"""Generations made elsewhere, as a `file:` checkpoint brings them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from assets.study.errors import InputError
from assets.study.files import read_jsonl
from models.files import read_once

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Imported:
    """One line of the file."""

    prompt_id: str
    prompt: str
    sample: int
    text: str


@read_once
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
    for number, row in read_jsonl(path, fields):
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
