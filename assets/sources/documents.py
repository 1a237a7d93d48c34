"""`documents`: human text, whole, as checkpoints are to predict it."""

from __future__ import annotations

import itertools
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa

from assets.lineage.asset import TableAsset
from assets.lineage.signature import Signature, short
from assets.study.datasets import text_of
from assets.study.errors import InputError
from assets.study.files import is_text
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from assets.lineage.context import AssetContext
    from assets.study.checkpoints import Checkpoint
    from assets.study.choices import Choices
    from assets.study.parts import Corpus, Preferences
    from assets.study.study import Study

_BATCH = 1000
_SCHEMA = tables.DOCUMENTS.arrow_schema


def read_documents(corpus: Corpus) -> Iterator[dict[str, object]]:
    """Reads a corpus, as rows of the table; documents without a word in them are passed over.

    Raises:
        InputError: It cannot be read, or a row has no such text or the id of another.
    """
    split = corpus.split or corpus.source.default_split(corpus.config)
    seen: set[str] = set()
    for row in corpus.source.rows(config=corpus.config, split=split):
        document_id, _ = row
        text = text_of(corpus.source, row, corpus.text_field, corpus.separator)
        if corpus.max_words:
            text = first_words(text, corpus.max_words) or text
        if not text.strip():
            continue
        if not is_text(text):
            raise InputError(
                f"{corpus.source}, row {document_id}: holds half a surrogate pair, which is no text"
            )
        if document_id in seen:
            raise InputError(f"{corpus.source}: the document_id {document_id!r} stands twice")
        seen.add(document_id)
        yield {
            "corpus": corpus.name,
            "document_id": document_id,
            "category": corpus.category,
            "split": split,
            "text": text,
            "n_bytes": len(text.encode()),
            "n_words": len(text.split()),
        }
        if len(seen) == corpus.documents:
            return
    if not seen:
        raise InputError(f"corpora: {corpus.name!r} ({corpus.source}) holds no document with text")


def first_words(text: str, n: int) -> str | None:
    """The beginning of a text, up to the end of its n-th word; None where it has no more words."""
    for number, word in enumerate(re.finditer(r"\S+", text), start=1):
        if number == n:
            end = word.end()
        if number > n:
            return text[:end]
    return None


@contextmanager
def _rows(context: AssetContext) -> Iterator[Iterator[pa.RecordBatch]]:
    yield _batches(context)


def _batches(context: AssetContext) -> Iterator[pa.RecordBatch]:
    for corpus in context.study.corpora:
        n_documents = 0
        documents = read_documents(corpus)
        while rows := list(itertools.islice(documents, _BATCH)):
            n_documents += len(rows)
            yield from pa.Table.from_pylist(rows, _SCHEMA).to_batches()
        context.notes[f"documents of {corpus.name}"] = n_documents


def _parameters(study: Study, checkpoint: Checkpoint | None) -> dict[str, object]:
    return {"corpora": [corpus.digest() for corpus in study.corpora]}


def signature_of(datasets: Iterable[Choices | Corpus | Preferences]) -> Signature:
    """What people are told of where data sets come from."""
    named = (
        Signature.named(dataset.name, f"{dataset.source.scheme}@{short(dataset.digest())}")
        for dataset in datasets
    )
    return sum(named, Signature())


DOCUMENTS = TableAsset(
    name="documents",
    group="sources",
    description=tables.DOCUMENTS.description,
    partitioned=False,
    parameters=_parameters,
    settings=("corpora",),
    applies=lambda study, checkpoint: bool(study.corpora),
    table=tables.DOCUMENTS,
    rows=_rows,
    signature=lambda context: signature_of(context.study.corpora),
)
