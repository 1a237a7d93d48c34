"""`semantic_anchors`: sentences that many generations of a prompt hold, in whatever words."""

from __future__ import annotations

from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from assets.lineage.asset import TableAsset
from assets.lineage.code import code_version
from assets.lineage.signature import Signature
from assets.semantics.embeddings import has_embedder
from assets.semantics.geometry import first_alike, medoid
from assets.semantics.groups import together, vectors_of
from assets.sources.prompt_sets import prompt_set
from assets.study.thresholds import written
from warehouse import tables
from warehouse.sessions import bind, session
from warehouse.vocabulary import SENTENCES, load_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from assets.lineage.context import AssetContext

_QUERY = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
_KEYS = ("same_sentence", "span_share")


@contextmanager
def _rows(context: AssetContext) -> Iterator[Iterator[pa.RecordBatch]]:
    yield _batches(context)


def _batches(context: AssetContext) -> Iterator[pa.RecordBatch]:
    checkpoint, thresholds = context.checkpoint, context.study.thresholds
    assert checkpoint is not None
    answered = prompt_set(context.study, checkpoint).name
    decoding = context.study.first_decoding(checkpoint)
    parameters = {"decoding": decoding, "prompt_set": answered}
    with session(context.lake, context.limits) as connection:
        bind(connection, context.lake, [tables.GENERATIONS, tables.EMBEDDINGS], [checkpoint.name])
        load_words(connection, _QUERY)
        relation = connection.sql(_QUERY, params=parameters)
        for (prompt_id,), rows in together(relation, ["prompt_id"]):
            key = {"decoding": decoding, "prompt_set": answered, "prompt_id": prompt_id}
            sentences = rows.select(["sample", "start", "text"]).to_pylist()
            vectors, n_samples = vectors_of(rows["embedding"]), rows["n_samples"][0].as_py()
            of_prompt = anchors(
                sentences, vectors, n_samples, thresholds.same_sentence, thresholds.span_share
            )
            yield from pa.Table.from_pylist(
                [key | row for row in of_prompt], tables.SEMANTIC_ANCHORS.arrow_schema
            ).to_batches()


def anchors(
    sentences: Sequence[dict[str, Any]],
    vectors: np.ndarray,
    n_samples: int,
    same_sentence: float,
    share: float,
) -> list[dict[str, Any]]:
    """Classes of a prompt's sentences that enough of its generations hold, as rows.

    Args:
        sentences: Each with its `sample`, its `start` there and its `text`, in the order of
            generations and of their texts.
        vectors: Those of the sentences, of length 1.
        n_samples: How many generations there are.
        same_sentence: Cosine similarity from which on two sentences say the same.
        share: Of the generations, how many must hold one; and two at least.
    """
    first, _ = first_alike(vectors, same_sentence)
    least = max(Fraction(2), Fraction(str(share)) * n_samples)
    classes = []
    for number in np.unique(first):
        members = np.flatnonzero(first == number).tolist()
        n_holders = len({sentences[i]["sample"] for i in members})
        if n_holders >= least:
            classes.append((n_holders, members))
    classes.sort(key=lambda held: -held[0])
    rows = []
    for nth, (n_holders, members) in enumerate(classes, start=1):
        of_class = [sentences[i] for i in members]
        rows.append(
            {
                "anchor": nth,
                "text": of_class[medoid(vectors[members])]["text"],
                "n_samples": n_samples,
                "n_holders": n_holders,
                "n_wordings": len({sentence["text"] for sentence in of_class}),
                "samples": [sentence["sample"] for sentence in of_class],
                "starts": [sentence["start"] for sentence in of_class],
                "lengths": [len(sentence["text"]) for sentence in of_class],
            }
        )
    return rows


SEMANTIC_ANCHORS = TableAsset(
    name="semantic_anchors",
    group="semantics",
    description=tables.SEMANTIC_ANCHORS.description,
    reads=("generations", "embeddings"),
    version=code_version(SENTENCES),
    parameters=lambda study, checkpoint: {key: getattr(study.thresholds, key) for key in _KEYS},
    settings=tuple(f"thresholds.{key}" for key in _KEYS),
    applies=has_embedder,
    table=tables.SEMANTIC_ANCHORS,
    rows=_rows,
    signature=lambda context: (
        context.upstream["embeddings"].signature(context.partition)
        + Signature.of(**{key: written(getattr(context.study.thresholds, key)) for key in _KEYS})
    ),
)
