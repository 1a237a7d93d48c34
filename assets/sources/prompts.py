"""`prompts`: what checkpoints are asked to continue."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from assets.lineage.asset import TableAsset
from assets.lineage.signature import Signature, short
from assets.sources.documents import first_words
from assets.sources.generation_files import read_generations
from assets.study.digests import digest
from assets.study.errors import InputError
from assets.study.files import read_jsonl
from models import PromptFormat
from models.files import read_once
from models.prompting import PLACEHOLDER
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from assets.lineage.context import AssetContext
    from assets.study.checkpoints import Checkpoint
    from assets.study.study import Study

Prompt = dict[str, str | None]
AS_IT_IS = PromptFormat(PLACEHOLDER)


def prompts_of(study: Study, checkpoint: Checkpoint) -> list[Prompt]:
    """The prompts of files that a checkpoint answers, as rows of the table.

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
        given = {name: str(row[name]) for name in fields}
        rows[prompt_id] = {"prompt_set": path.stem, **given, "corpus": None, "document_id": None}
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
            "corpus": None,
            "document_id": None,
        }
        for prompt_id, text in texts.items()
    ]


def prompt_set(study: Study, checkpoint: Checkpoint) -> str:
    """The name of the set of those prompts."""
    return checkpoint.name if checkpoint.source.is_generations else study.prompts.stem


def prompts_in_lake(context: AssetContext, checkpoint: Checkpoint) -> list[Prompt]:
    """The prompts that a checkpoint answers, those cut from corpora included."""
    own = prompt_set(context.study, checkpoint)
    continues = checkpoint.continues_text
    return [
        prompt
        for prompt in context.lake.read(tables.PROMPTS).to_pylist()
        if prompt["prompt_set"] == own or (continues and prompt["corpus"] is not None)
    ]


def prompt_format(checkpoint: Checkpoint, prompt: Prompt) -> PromptFormat:
    """How a checkpoint is given a prompt; the beginning of a document is continued as it is."""
    return checkpoint.format_of_prompts if prompt["corpus"] is None else AS_IT_IS


def given_prompts(study: Study) -> list[Prompt]:
    """The prompts of all checkpoints that stand in files, each set once.

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
    given = [prompt for prompts in sets.values() for prompt in prompts]
    for prompt in given:
        corpus = str(prompt["prompt_id"]).partition("/")[0]
        if study.prefixes and corpus in {c.name for c in study.corpora}:
            raise InputError(
                f"the prompt_id {prompt['prompt_id']!r} is one that a document of the corpus "
                f"{corpus!r} may get; rename one of them"
            )
    return given


def cut_prefixes(study: Study, documents: Iterable[dict[str, str]]) -> Iterator[Prompt]:
    """The beginnings of each corpus's first documents that are long enough to be continued."""
    assert study.prefixes is not None
    taken: dict[str, int] = {}
    for document in documents:
        corpus = document["corpus"]
        beginning = first_words(document["text"], study.prefixes.words)
        if beginning is None or taken.get(corpus, 0) == study.prefixes.documents:
            continue
        taken[corpus] = taken.get(corpus, 0) + 1
        yield {
            "prompt_set": corpus,
            "prompt_id": f"{corpus}/{document['document_id']}",
            "category": document["category"],
            "text": beginning,
            "corpus": corpus,
            "document_id": document["document_id"],
        }


@contextmanager
def _rows(context: AssetContext) -> Iterator[list[pa.RecordBatch]]:
    prompts = given_prompts(context.study)
    if context.study.prefixes:
        if not context.lake.files(tables.DOCUMENTS):
            raise InputError("prefixes are cut from documents, which the lake does not have yet")
        file = pq.ParquetFile(context.lake.path(tables.DOCUMENTS))
        documents = (row for batch in file.iter_batches() for row in batch.to_pylist())
        prompts += cut_prefixes(context.study, documents)
    yield pa.Table.from_pylist(prompts, _SCHEMA).to_batches()


def prefixes_digest(study: Study) -> object:
    """What the prompts cut from corpora depend on, as a JSON value; None without any."""
    if study.prefixes is None:
        return None
    return [study.prefixes.model_dump(), [corpus.digest() for corpus in study.corpora]]


def _parameters(study: Study, checkpoint: Checkpoint | None) -> dict[str, object]:
    return {
        "prompts": given_prompts(study),
        "prefixes": study.prefixes and study.prefixes.model_dump(),
    }


def _signature(context: AssetContext) -> Signature:
    prompts = given_prompts(context.study)
    signature = Signature.of(prompts=len(prompts), digest=short(digest(prompts)))
    if cut := context.study.prefixes:
        signature += Signature.of(prefixes=f"{cut.documents}x{cut.words}")
    return signature


_SCHEMA = tables.PROMPTS.arrow_schema

PROMPTS = TableAsset(
    name="prompts",
    group="sources",
    description=tables.PROMPTS.description,
    reads=("documents",),
    optional=("documents",),
    partitioned=False,
    parameters=_parameters,
    settings=("prompts", "prefixes"),
    table=tables.PROMPTS,
    rows=_rows,
    signature=_signature,
)
