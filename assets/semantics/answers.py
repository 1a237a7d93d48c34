"""`answers`: which generations of a prompt are one answer."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa

from assets.lineage.asset import TableAsset
from assets.lineage.signature import Signature
from assets.semantics.embeddings import has_embedder
from assets.semantics.geometry import first_alike
from assets.semantics.groups import groups_of
from assets.study.thresholds import written
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from assets.lineage.context import AssetContext

_SCHEMA = tables.ANSWERS.arrow_schema


@contextmanager
def _rows(context: AssetContext) -> Iterator[Iterator[pa.RecordBatch]]:
    yield _batches(context)


def _batches(context: AssetContext) -> Iterator[pa.RecordBatch]:
    assert context.checkpoint is not None
    for group in groups_of(context, context.checkpoint):
        first, similarity = first_alike(group.vectors, context.study.thresholds.same_answer)
        n = len(group.samples)
        columns = {
            **{name: pa.array([value] * n) for name, value in group.key.items()},
            "sample": pa.array(group.samples, pa.int32()),
            "answer": pa.array([group.samples[i] for i in first], pa.int32()),
            "similarity": pa.array(similarity),
        }
        yield from pa.table([columns[name] for name in _SCHEMA.names], schema=_SCHEMA).to_batches()


ANSWERS = TableAsset(
    name="answers",
    group="semantics",
    description=tables.ANSWERS.description,
    reads=("generations", "embeddings"),
    parameters=lambda study, checkpoint: {"same_answer": study.thresholds.same_answer},
    settings=("thresholds.same_answer",),
    applies=has_embedder,
    table=tables.ANSWERS,
    rows=_rows,
    signature=lambda context: (
        context.upstream["embeddings"].signature(context.partition)
        + Signature.of(same_answer=written(context.study.thresholds.same_answer))
    ),
)
