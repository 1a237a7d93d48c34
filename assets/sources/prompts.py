"""`prompts`: what checkpoints are asked to continue."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from assets.lineage.asset import TableAsset
from assets.lineage.signature import Signature, short
from assets.sources.documents import first_words
from assets.sources.prompt_sets import Prompt, PromptSet, prompt_set
from assets.study.digests import digest
from assets.study.errors import InputError
from models import PromptFormat
from models.prompting import PLACEHOLDER
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from assets.lineage.context import AssetContext
    from assets.study.checkpoints import Checkpoint
    from assets.study.study import Study

AS_IT_IS = PromptFormat(PLACEHOLDER)


def prompts_in_lake(context: AssetContext, checkpoint: Checkpoint) -> list[Prompt]:
    """The prompts that a checkpoint answers, those cut from corpora included."""
    answered = prompt_set(context.study, checkpoint).name
    continues = checkpoint.continues_text
    return [
        prompt
        for prompt in context.lake.read(tables.PROMPTS).to_pylist()
        if prompt["prompt_set"] == answered or (continues and prompt["corpus"] is not None)
    ]


def prompt_format(checkpoint: Checkpoint, prompt: Prompt) -> PromptFormat:
    """How a checkpoint is given a prompt; the beginning of a document is continued as it is."""
    return checkpoint.format_of_prompts if prompt["corpus"] is None else AS_IT_IS


def given_prompts(study: Study) -> list[Prompt]:
    """The prompts of all checkpoints that stand in files, each set once.

    Raises:
        InputError: A file is not as it must be, or two sets have one name.
    """
    sets: dict[str, PromptSet] = {}
    for checkpoint in study.listed:
        answered = prompt_set(study, checkpoint)
        if sets.setdefault(answered.name, answered) != answered:
            raise InputError(
                f"the checkpoint {answered.name!r} brings prompts of its own, and is named like "
                f"the set of {study.prompts}; rename one of them"
            )
    given = [prompt for answered in sets.values() for prompt in answered.prompts]
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
        files = context.lake.files(tables.DOCUMENTS)
        if not files:
            raise InputError("prefixes are cut from documents, which the lake does not have yet")
        # with pre_buffer, pyarrow keeps every row group that it has read
        file = pq.ParquetFile(files[0], pre_buffer=False)
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
