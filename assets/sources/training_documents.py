"""`training_documents`: human text to fine-tune on, of the same kind as what is scored (2.2)."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from assets.lineage.asset import TableAsset
from assets.sources.documents import read_documents
from assets.study.errors import InputError
from assets.study.parts import LEAST_DOCUMENTS
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from assets.lineage.context import AssetContext
    from assets.lineage.signature import Signature
    from assets.study.checkpoints import Checkpoint
    from assets.study.parts import Corpus
    from assets.study.study import Study

_TABLE = tables.TRAINING_DOCUMENTS
_VALIDATION_EVERY = 5
"""Of so many documents one is not learned from, and says when to end."""


def corpora_to_learn(study: Study) -> list[Corpus]:
    """The corpora that checkpoints are fine-tuned on."""
    settings = study.readaptation
    return [c for c in study.corpora if settings is not None and settings.includes(c.name)]


def read_training_documents(
    corpus: Corpus, scored: Collection[str], n_documents: int
) -> list[dict[str, object]]:
    """Reads a corpus's training split, or else what comes beside the documents that are scored.

    Args:
        corpus: The corpus.
        scored: Texts that are scored; none of them is among what is read, and nothing twice.
        n_documents: As many are read at most.

    Returns:
        Rows of the table.

    Raises:
        InputError: There is too little to split into a part to learn from and one to look at.
    """
    split = corpus.train_split or corpus.split
    source = corpus.model_copy(update={"documents": None, "split": split})
    seen = set(scored)
    rows: list[dict[str, object]] = []
    for row in read_documents(source):
        if row["text"] not in seen:
            seen.add(str(row["text"]))
            rows.append(row)
        if len(rows) == n_documents:
            break
    if len(rows) < LEAST_DOCUMENTS:
        split_too = ", name its `train_split:`" if corpus.source.scheme == "hf" else ""
        raise InputError(
            f"readaptation: {corpus.name!r} has {len(rows)} documents beside the {len(scored)} "
            f"that are scored, and {LEAST_DOCUMENTS} are needed to fine-tune on; lower its "
            f"`documents:`{split_too}, or leave it out of `corpora:` there"
        )
    return [
        row | {"part": "training" if (i + 1) % _VALIDATION_EVERY else "validation"}
        for i, row in enumerate(rows)
    ]


@contextmanager
def _rows(context: AssetContext) -> Iterator[Iterator[pa.RecordBatch]]:
    yield _batches(context)


def _batches(context: AssetContext) -> Iterator[pa.RecordBatch]:
    settings = context.study.readaptation
    assert settings is not None
    documents = context.lake.read(tables.DOCUMENTS).select(["corpus", "text"])
    for corpus in corpora_to_learn(context.study):
        scored = documents.filter(pc.equal(documents["corpus"], corpus.name))
        rows = read_training_documents(corpus, set(scored["text"].to_pylist()), settings.documents)
        context.notes[f"documents of {corpus.name}"] = len(rows)
        yield from pa.Table.from_pylist(rows, _TABLE.arrow_schema).to_batches()


def _parameters(study: Study, checkpoint: Checkpoint | None) -> dict[str, object]:
    assert study.readaptation is not None
    corpora = [[corpus.digest(), corpus.train_split] for corpus in corpora_to_learn(study)]
    return {"corpora": corpora, "readaptation": study.readaptation.documents}


def _signature(context: AssetContext) -> Signature:
    return context.upstream["documents"].signature()


TRAINING_DOCUMENTS = TableAsset(
    name="training_documents",
    group="sources",
    description=_TABLE.description,
    reads=("documents",),
    partitioned=False,
    parameters=_parameters,
    settings=("corpora", "readaptation"),
    applies=lambda study, checkpoint: bool(corpora_to_learn(study)),
    table=_TABLE,
    rows=_rows,
    signature=_signature,
)
