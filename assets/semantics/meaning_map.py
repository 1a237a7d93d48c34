"""`meaning_map`: each prompt's generations, of all checkpoints, in one plane."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from assets.lineage.asset import TableAsset
from assets.semantics.embeddings import has_embedder
from assets.semantics.geometry import principal_plane
from assets.semantics.groups import groups_of
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from assets.lineage.context import AssetContext
    from assets.semantics.groups import Group

_SCHEMA = tables.MEANING_MAP.arrow_schema


@contextmanager
def _rows(context: AssetContext) -> Iterator[Iterator[pa.RecordBatch]]:
    yield _batches(context)


def _batches(context: AssetContext) -> Iterator[pa.RecordBatch]:
    """A batch for each prompt, those of the first decodings of all checkpoints together."""
    texts = {
        (row["prompt_set"], row["prompt_id"]): row["text"]
        for row in context.lake.read(tables.PROMPTS).to_pylist()
    }
    by_prompt: dict[str, dict[str, Group]] = {}
    for checkpoint in context.scope.checkpoints:
        first = context.study.first_decoding(checkpoint)
        for group in groups_of(context, checkpoint):
            if group.decoding == first:
                text = texts.get((group.prompt_set, group.prompt_id), group.prompt_id)
                by_prompt.setdefault(text, {})[checkpoint.name] = group
    for groups in by_prompt.values():
        places, shares = principal_plane(np.concatenate([g.vectors for g in groups.values()]))
        start = 0
        for checkpoint_name, group in groups.items():
            n = len(group.samples)
            columns = {
                "checkpoint": pa.array([checkpoint_name] * n),
                "prompt_set": pa.array([group.prompt_set] * n),
                "prompt_id": pa.array([group.prompt_id] * n),
                "sample": pa.array(group.samples, pa.int32()),
                "x": pa.array(places[start : start + n, 0]),
                "y": pa.array(places[start : start + n, 1]),
                "x_share": pa.array(np.full(n, shares[0])),
                "y_share": pa.array(np.full(n, shares[1])),
            }
            start += n
            rows = pa.table([columns[name] for name in _SCHEMA.names], schema=_SCHEMA)
            yield from rows.to_batches()


MEANING_MAP = TableAsset(
    name="meaning_map",
    group="semantics",
    description=tables.MEANING_MAP.description,
    reads=("prompts", "generations", "embeddings"),
    partitioned=False,
    over="compared",
    changes_with=("generations", "embeddings"),
    parameters=lambda study, checkpoint: {
        "decodings": [[c.name, study.first_decoding(c)] for c in study.checkpoints]
    },
    applies=has_embedder,
    table=tables.MEANING_MAP,
    rows=_rows,
    signature=lambda context: context.upstream_signature(),
)
