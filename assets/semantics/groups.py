"""The vectors of a checkpoint's generations, a prompt after the other."""

from __future__ import annotations

import itertools
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
    from collections.abc import Iterator, Sequence

    from duckdb import DuckDBPyRelation

    from assets.lineage.context import AssetContext
    from assets.study.checkpoints import Checkpoint

_QUERY = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
_ROWS = 2_000


@dataclass(frozen=True, eq=False)
class Group:
    """The generations of a prompt at a decoding, in the order of their numbers.

    Attributes:
        decoding: As in `generations`.
        prompt_set: As in `generations`.
        prompt_id: As in `generations`.
        samples: Their numbers.
        texts: What they say.
        vectors: float64 [generations, width], of length 1.
    """

    decoding: str
    prompt_set: str
    prompt_id: str
    samples: list[int]
    texts: list[str]
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
        relation = connection.sql(_QUERY, params={"prompt_set": answered})
        for (decoding, prompt_id), rows in together(relation, ("decoding", "prompt_id")):
            samples, texts = (rows[name].to_pylist() for name in ("sample", "text"))
            vectors = vectors_of(rows["embedding"])
            yield Group(decoding, answered, prompt_id, samples, texts, vectors)


def together(
    relation: DuckDBPyRelation, key: Sequence[str]
) -> Iterator[tuple[tuple[Any, ...], pa.Table]]:
    """The rows of a relation that is ordered by a key, those of each key by themselves."""
    waiting: list[pa.Table] = []
    last: tuple[Any, ...] = ()
    for batch in relation.to_arrow_reader(_ROWS):
        rows = pa.Table.from_batches([batch])
        keys = list(zip(*(rows[name].to_pylist() for name in key), strict=True))
        changes = [i for i in range(1, len(keys)) if keys[i] != keys[i - 1]]
        for start, stop in itertools.pairwise([0, *changes, len(keys)]):
            if waiting and keys[start] != last:
                yield last, pa.concat_tables(waiting).combine_chunks()
                waiting = []
            last = keys[start]
            waiting.append(rows.slice(start, stop - start))
    if waiting:
        yield last, pa.concat_tables(waiting).combine_chunks()


def vectors_of(column: pa.ChunkedArray) -> np.ndarray:
    """A column of embeddings as float64 [rows, width], each brought to length 1."""
    parts = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]
    return unit(np.concatenate(parts).reshape(len(column), -1))
