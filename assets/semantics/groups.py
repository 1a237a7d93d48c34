"""The vectors of a checkpoint's generations, a prompt after the other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from assets.semantics.geometry import unit
from assets.sources.prompt_sets import prompt_set
from warehouse import tables
from warehouse.sessions import bind, session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from assets.lineage.context import AssetContext
    from assets.study.checkpoints import Checkpoint

_QUERY = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
_ROWS = 2_000
_KEY = ("decoding", "prompt_id")


@dataclass(frozen=True, eq=False)
class Group:
    """The generations of a prompt at a decoding, in the order of their numbers.

    Attributes:
        decoding: As in `generations`.
        prompt_set: As in `generations`.
        prompt_id: As in `generations`.
        samples: Their numbers.
        vectors: float64 [generations, width], of length 1.
    """

    decoding: str
    prompt_set: str
    prompt_id: str
    samples: list[int]
    vectors: np.ndarray

    @property
    def key(self) -> dict[str, Any]:
        """What identifies it in tables."""
        return {
            "decoding": self.decoding,
            "prompt_set": self.prompt_set,
            "prompt_id": self.prompt_id,
        }


def groups_of(context: AssetContext, checkpoint: Checkpoint) -> Iterator[Group]:
    """The generations of a checkpoint that answer prompts, as far as they are embedded.

    Args:
        context: Where they are.
        checkpoint: The checkpoint.
    """
    answered = prompt_set(context.study, checkpoint).name
    with session(context.lake, context.limits) as connection:
        bind(connection, context.lake, [tables.GENERATIONS, tables.EMBEDDINGS], [checkpoint.name])
        reader = connection.sql(_QUERY, params={"prompt_set": answered}).to_arrow_reader(_ROWS)
        waiting: list[pa.Table] = []
        for batch in reader:
            for piece in _cut(pa.Table.from_batches([batch])):
                if waiting and _key(waiting[0]) != _key(piece):
                    yield _group(answered, waiting)
                    waiting = []
                waiting.append(piece)
        if waiting:
            yield _group(answered, waiting)


def _cut(rows: pa.Table) -> Iterator[pa.Table]:
    """Rows, those of each prompt by themselves."""
    keys = list(zip(*(rows[name].to_pylist() for name in _KEY), strict=True))
    changes = [i for i in range(1, len(keys)) if keys[i] != keys[i - 1]]
    for start, stop in zip([0, *changes], [*changes, len(keys)], strict=True):
        if stop > start:
            yield rows.slice(start, stop - start)


def _key(rows: pa.Table) -> tuple[Any, ...]:
    return tuple(rows[name][0].as_py() for name in _KEY)


def _group(answered: str, pieces: list[pa.Table]) -> Group:
    rows = pa.concat_tables(pieces).combine_chunks()
    decoding, prompt_id = _key(rows)
    return Group(
        decoding, answered, prompt_id, rows["sample"].to_pylist(), vectors_of(rows["embedding"])
    )


def vectors_of(column: pa.ChunkedArray) -> np.ndarray:
    """A column of embeddings as float64 [rows, width], each brought to length 1."""
    parts = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]
    return unit(np.concatenate(parts).reshape(len(column), -1))
