"""`semantic_pairs`: how a prompt's generations compare in sense with another checkpoint's."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from assets.lineage.asset import TableAsset
from assets.semantics.embeddings import has_embedder
from assets.semantics.semantic_diversity import ALL
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from assets.lineage.context import AssetContext
    from assets.study.checkpoints import Checkpoint

_Described = dict[str, dict[str, dict[str, Any]]]
"""By the text of a prompt, and by what it is among, the row of `semantic_diversity`."""


@contextmanager
def _rows(context: AssetContext) -> Iterator[list[pa.RecordBatch]]:
    yield pa.Table.from_pylist(
        list(_compared(context)), tables.SEMANTIC_PAIRS.arrow_schema
    ).to_batches()


def _compared(context: AssetContext) -> Iterator[dict[str, Any]]:
    """Rows of the prompts that both have, which are known by their texts."""
    checkpoint, study = context.checkpoint, context.study
    assert checkpoint is not None
    texts = {
        (row["prompt_set"], row["prompt_id"]): row["text"]
        for row in context.lake.read(tables.PROMPTS).to_pylist()
    }
    scored = list(study.scores.right) if study.scores else []
    ours = _described(context, checkpoint, texts)
    for other in study.compared_with(checkpoint):
        theirs = _described(context, other, texts)
        for text in ours:
            if text not in theirs:
                continue
            mine, yours = ours[text][ALL], theirs[text][ALL]
            yield {
                "decoding": mine["decoding"],
                "other": other.name,
                "prompt_set": mine["prompt_set"],
                "prompt_id": mine["prompt_id"],
                "similarity": float(np.dot(mine["center"], yours["center"])),
                "loss": _loss(mine, yours),
                "right_loss": _loss(ours[text].get(scored[0]), theirs[text].get(scored[0]))
                if scored
                else None,
            }


def _described(
    context: AssetContext, checkpoint: Checkpoint, texts: dict[tuple[str, str], str]
) -> _Described:
    described: _Described = {}
    if context.lake.has(tables.SEMANTIC_DIVERSITY, checkpoint.name):
        first = context.study.first_decoding(checkpoint)
        for row in context.lake.read(tables.SEMANTIC_DIVERSITY, checkpoint.name).to_pylist():
            if row["decoding"] == first:
                text = texts.get((row["prompt_set"], row["prompt_id"]), row["prompt_id"])
                described.setdefault(text, {})[row["among"]] = row
    return described


def _loss(mine: dict[str, Any] | None, yours: dict[str, Any] | None) -> float | None:
    """The other's semantic diversity less that of one's own; None where one has no pair."""
    if not mine or not yours or mine["mean_cosine"] is None or yours["mean_cosine"] is None:
        return None
    return float(mine["mean_cosine"] - yours["mean_cosine"])


SEMANTIC_PAIRS = TableAsset(
    name="semantic_pairs",
    group="semantics",
    description=tables.SEMANTIC_PAIRS.description,
    reads=("prompts", "semantic_diversity"),
    changes_with=("semantic_diversity",),
    of_partners=("semantic_diversity",),
    partners=lambda study, checkpoint: study.compared_with(checkpoint),
    parameters=lambda study, checkpoint: {
        "compared": [[o.name, study.first_decoding(o)] for o in study.compared_with(checkpoint)]
        if checkpoint
        else [],
        "right": list(study.scores.right)[:1] if study.scores else [],
    },
    settings=("ladders", "scores"),
    applies=lambda study, checkpoint: (
        has_embedder(study, checkpoint)
        and checkpoint is not None
        and bool(study.compared_with(checkpoint))
    ),
    table=tables.SEMANTIC_PAIRS,
    rows=_rows,
    signature=lambda context: context.upstream_signature(),
)
