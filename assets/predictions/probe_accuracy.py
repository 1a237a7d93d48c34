"""`probe_accuracy`: the share of tokens to come that probes get right (4.1, figure 6)."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from assets.lineage.asset import TableAsset
from assets.measures.statistics import Items, estimate
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from assets.lineage.context import AssetContext

_TABLE = tables.PROBE_ACCURACY
_PART = ("generator", "decoding", "corpus", "horizon", "layer", "probe")


@contextmanager
def _rows(context: AssetContext) -> Iterator[list[pa.RecordBatch]]:
    parts: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in context.lake.read(tables.PROBE_GUESSES, context.partition).to_pylist():
        parts.setdefault(tuple(row[name] for name in _PART), []).append(row)
    rows = [dict(zip(_PART, part, strict=True)) | accuracy(own) for part, own in parts.items()]
    yield pa.Table.from_pylist(rows, _TABLE.arrow_schema).to_batches()


def accuracy(rows: Iterable[dict[str, Any]]) -> dict[str, float | int]:
    """What the table says of the guesses in some texts.

    Prompts are resampled, not texts: those of one prompt are alike.
    """
    rows = list(rows)
    n_tokens = sum(row["n_tokens"] for row in rows)
    counts = np.array(list(sums_by_item(rows).values()))
    right = estimate("pooled", {"": Items(counts[:, :1], counts[:, 1:])})
    return {
        "accuracy": float(right.value[0]),
        "low": float(right.low[0]),
        "high": float(right.high[0]),
        "frequent": sum(row["n_frequent"] for row in rows) / n_tokens,
        "bigram": sum(row["n_bigram"] for row in rows) / n_tokens,
        "n_train": round(sum(row["n_train"] * row["n_tokens"] for row in rows) / n_tokens),
        "n_test": n_tokens,
        "n_prompts": len(counts),
    }


def sums_by_item(rows: Iterable[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Of each prompt the tokens that were right and all of them, float [2]."""
    sums: dict[str, np.ndarray] = {}
    for row in rows:
        counts = np.array([row["n_right"], row["n_tokens"]], dtype=float)
        sums[row["item"]] = sums.get(row["item"], 0.0) + counts
    return sums


PROBE_ACCURACY = TableAsset(
    name="probe_accuracy",
    group="predictions",
    description=_TABLE.description,
    reads=("probe_guesses",),
    version="2",
    table=_TABLE,
    rows=_rows,
    signature=lambda context: context.upstream["probe_guesses"].signature(context.partition),
)
