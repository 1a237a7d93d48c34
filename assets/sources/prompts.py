"""`prompts`: what checkpoints are asked to continue."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from assets.errors import InputError
from assets.generations.imported import read_generations
from assets.jsonl import read_jsonl, read_once
from assets.recipe import TableRecipe, Work, digest
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from assets.study import Checkpoint, Study

Prompt = dict[str, str | None]


def prompts_of(study: Study, checkpoint: Checkpoint) -> list[Prompt]:
    """The prompts that a checkpoint answers, as rows of the table.

    Raises:
        InputError: Their file is not as it must be.
    """
    if checkpoint.source.is_generations:
        return _imported_prompts(checkpoint)
    return list(read_prompts(study.prompts))


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
        rows[prompt_id] = {"prompt_set": path.stem, **{name: str(row[name]) for name in fields}}
    if not rows:
        raise InputError(f"{path} holds no prompt")
    return tuple(rows.values())


def _imported_prompts(checkpoint: Checkpoint) -> list[Prompt]:
    texts = {g.prompt_id: g.prompt for g in read_generations(Path(checkpoint.source.location))}
    return [
        {
            "prompt_set": checkpoint.name,
            "prompt_id": prompt_id,
            "category": "imported",
            "text": text,
        }
        for prompt_id, text in texts.items()
    ]


def all_prompts(study: Study) -> list[Prompt]:
    """The prompts of all checkpoints, each set once.

    Raises:
        InputError: A file is not as it must be, or two sets have one name.
    """
    sets: dict[str, list[Prompt]] = {}
    for checkpoint in study.checkpoints:
        prompts = prompts_of(study, checkpoint)
        name = str(prompts[0]["prompt_set"])
        if sets.setdefault(name, prompts) != prompts:
            raise InputError(
                f"the checkpoint {name!r} brings prompts of its own, and is named like the set of "
                f"{study.prompts}; rename one of them"
            )
    return [prompt for prompts in sets.values() for prompt in prompts]


@contextmanager
def _rows(work: Work) -> Iterator[list[pa.RecordBatch]]:
    yield pa.Table.from_pylist(all_prompts(work.study), _SCHEMA).to_batches()


def _signature(work: Work) -> str:
    prompts = all_prompts(work.study)
    return f"prompts:{len(prompts)}|digest:{digest(prompts)[:8]}"


_SCHEMA = tables.PROMPTS.arrow_schema

PROMPTS = TableRecipe(
    name="prompts",
    group="sources",
    description=tables.PROMPTS.description,
    partitioned=False,
    parameters=lambda study, checkpoint: all_prompts(study),
    table=tables.PROMPTS,
    rows=_rows,
    signature=_signature,
)
