"""Which set of prompts each checkpoint of a study answers.

Prompts that are the same, ids and texts, are one set, whoever brings them, so that rows of
different checkpoints join on it. The beginnings of documents, which models continue as well, are no
part of this: they are sets of their own, named after their corpora.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from assets.sources.generation_files import read_contents
from assets.study.errors import InputError
from assets.study.files import read_jsonl
from models.files import read_once

if TYPE_CHECKING:
    from assets.sources.generation_files import PromptTexts
    from assets.study.checkpoints import Checkpoint
    from assets.study.study import Study

Prompt = dict[str, str | None]


@dataclass(frozen=True)
class PromptSet:
    """Prompts that checkpoints answer.

    Attributes:
        name: As in the column `prompt_set`.
        prompts: Rows of the table `prompts`.
    """

    name: str
    prompts: tuple[Prompt, ...]


def prompt_set(study: Study, checkpoint: Checkpoint) -> PromptSet:
    """The set that a checkpoint answers.

    A model answers the study's. A file of generations answers that one too, if its prompts are the
    same. Else its set is named after the first checkpoint of the study that brings these prompts.

    Raises:
        InputError: A file of prompts or of generations is not as it must be.
    """
    if checkpoint.source.is_generations:
        return _imported_sets(_Look(study.whole))[checkpoint.name]
    return _study_set(study)


class _Look:
    """A study, told apart from its copies: their files may have been read at another time."""

    def __init__(self, study: Study) -> None:
        self.study = study

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Look) and self.study is other.study

    def __hash__(self) -> int:
        return id(self.study)


@lru_cache(maxsize=8)
def _imported_sets(look: _Look) -> dict[str, PromptSet]:
    """The sets of all checkpoints whose generations are in files, by checkpoint."""
    study = look.study
    known: dict[frozenset[tuple[str, str]], PromptSet] = {}
    # Where no model answers them, the study's prompts may be missing.
    if study.prompts.is_file():
        texts = {(str(p["prompt_id"]), str(p["text"])) for p in read_prompts(study.prompts)}
        known[frozenset(texts)] = _study_set(study)
    sets = {}
    for checkpoint in study.listed:
        if checkpoint.source.is_generations:
            prompts = read_contents(Path(checkpoint.source.location)).prompts
            key = frozenset(prompts)
            if key not in known:
                known[key] = _imported_set(checkpoint.name, prompts)
            sets[checkpoint.name] = known[key]
    return sets


def _study_set(study: Study) -> PromptSet:
    return PromptSet(study.prompts.stem, read_prompts(study.prompts))


def _imported_set(name: str, prompts: PromptTexts) -> PromptSet:
    rows: list[Prompt] = [
        {
            "prompt_set": name,
            "prompt_id": prompt_id,
            "category": "imported",
            "text": text,
            "corpus": None,
            "document_id": None,
        }
        for prompt_id, text in prompts
    ]
    return PromptSet(name, tuple(rows))


@read_once
def read_prompts(path: Path) -> tuple[Prompt, ...]:
    """Reads a file of prompts; the set is named after it.

    Raises:
        InputError: There is no such file, a line is wrong, or there is none.
    """
    rows: dict[str, Prompt] = {}
    fields = {"prompt_id": str, "category": str, "text": str}
    for number, row in read_jsonl(path, fields):
        prompt_id = str(row["prompt_id"])
        if prompt_id in rows:
            raise InputError(f"{path}, line {number}: the prompt_id {prompt_id!r} stands twice")
        if not str(row["text"]).strip():
            raise InputError(f"{path}, line {number}: the prompt {prompt_id!r} is empty")
        given = {name: str(row[name]) for name in fields}
        rows[prompt_id] = {"prompt_set": path.stem, **given, "corpus": None, "document_id": None}
    if not rows:
        raise InputError(f"{path} holds no prompt")
    return tuple(rows.values())
