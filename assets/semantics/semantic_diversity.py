"""`semantic_diversity`: how alike the generations of a prompt are in sense."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from assets.lineage.asset import TableAsset
from assets.semantics.embeddings import has_embedder
from assets.semantics.geometry import mean_cosine, vendi_score
from assets.semantics.groups import groups_of
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Set

    from assets.lineage.context import AssetContext
    from assets.semantics.groups import Group

ALL = "-"
"""What `among` says of all generations."""
_SCHEMA = tables.SEMANTIC_DIVERSITY.arrow_schema
_Right = dict[tuple[str, str], dict[str, set[int]]]
"""By decoding and prompt, and by the name of a score, the generations that are right."""


@contextmanager
def _rows(context: AssetContext) -> Iterator[list[pa.RecordBatch]]:
    yield _described(context).to_batches()


def _described(context: AssetContext) -> pa.Table:
    assert context.checkpoint is not None
    right = _right(context)
    rows = []
    for group in groups_of(context, context.checkpoint):
        rows.append(_row(group, ALL, group.vectors))
        for name, samples in right.get((group.decoding, group.prompt_id), {}).items():
            chosen = group.vectors[_places(group, samples)]
            if len(chosen):
                rows.append(_row(group, name, chosen))
    _compare_prompts(rows)
    return pa.Table.from_pylist(rows, _SCHEMA)


def _right(context: AssetContext) -> _Right:
    """Which generations are right, as far as they are scored."""
    right: _Right = {}
    if context.lake.has(tables.SCORES, context.partition) and context.study.scores:
        for row in context.lake.read(tables.SCORES, context.partition).to_pylist():
            if row["is_right"]:
                by_name = right.setdefault((row["decoding"], row["prompt_id"]), {})
                by_name.setdefault(row["name"], set()).add(row["sample"])
    return right


def _places(group: Group, samples: Set[int]) -> np.ndarray:
    return np.array([i for i, sample in enumerate(group.samples) if sample in samples], int)


def _row(group: Group, among: str, vectors: np.ndarray) -> dict[str, Any]:
    return {
        **group.key,
        "among": among,
        "n_embedded": len(vectors),
        "mean_cosine": mean_cosine(vectors),
        "vendi": vendi_score(vectors),
        "center": vectors.mean(axis=0),
        "other_prompts": None,
    }


def _compare_prompts(rows: list[dict[str, Any]]) -> None:
    """Fills in how similar each prompt's generations are to those of other prompts, on average.

    The mean cosine between two prompts' generations is the product of the means of their vectors.
    """
    slices: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        slices.setdefault((row["decoding"], row["among"]), []).append(row)
    for together in slices.values():
        total = np.sum([row["center"] for row in together], axis=0)
        for row in together:
            if len(together) > 1:
                others = (total - row["center"]) / (len(together) - 1)
                row["other_prompts"] = float(row["center"] @ others)


SEMANTIC_DIVERSITY = TableAsset(
    name="semantic_diversity",
    group="semantics",
    description=tables.SEMANTIC_DIVERSITY.description,
    reads=("generations", "embeddings", "scores"),
    optional=("scores",),
    applies=has_embedder,
    table=tables.SEMANTIC_DIVERSITY,
    rows=_rows,
    signature=lambda context: context.upstream_signature(),
)
