"""`semantic_anchors`: sentences that many generations of a prompt hold, in whatever words."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from assets.lineage.asset import TableAsset
from assets.lineage.signature import Signature
from assets.semantics.embeddings import has_embedder
from assets.semantics.geometry import first_alike, medoid
from assets.semantics.groups import vectors_of
from assets.semantics.sentences import sentences
from assets.sources.prompt_sets import prompt_set
from assets.study.thresholds import written
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from assets.lineage.context import AssetContext

_KEYS = ("same_sentence", "span_share")


@contextmanager
def _rows(context: AssetContext) -> Iterator[Iterator[pa.RecordBatch]]:
    yield _batches(context)


def _batches(context: AssetContext) -> Iterator[pa.RecordBatch]:
    checkpoint, thresholds = context.checkpoint, context.study.thresholds
    assert checkpoint is not None
    (path,) = context.lake.files(tables.GENERATIONS, checkpoint.name)
    answered = prompt_set(context.study, checkpoint).name
    decoding = context.study.first_decoding(checkpoint)
    generations = pq.read_table(
        path,
        columns=["prompt_id", "sample", "text"],
        filters=(pc.field("decoding") == decoding) & (pc.field("prompt_set") == answered),
        partitioning=None,
    ).sort_by([("prompt_id", "ascending"), ("sample", "ascending")])
    embedded = context.lake.read(tables.EMBEDDINGS, checkpoint.name, ["text", "embedding"])
    place = {text: i for i, text in enumerate(embedded["text"].to_pylist())}
    rows = generations.to_pylist()
    for prompt_id, of_prompt in itertools.groupby(rows, key=lambda row: row["prompt_id"]):
        texts = [(row["sample"], row["text"]) for row in of_prompt]
        said = [(sample, sentence) for sample, text in texts for sentence in sentences(text)]
        if not said:
            continue
        places = pa.array([place[sentence.text] for _, sentence in said])
        vectors = vectors_of(embedded["embedding"].take(places))
        key = {"decoding": decoding, "prompt_set": answered, "prompt_id": prompt_id}
        found = anchors(said, vectors, len(texts), thresholds.same_sentence, thresholds.span_share)
        yield from pa.Table.from_pylist(
            [key | row for row in found], tables.SEMANTIC_ANCHORS.arrow_schema
        ).to_batches()


def anchors(
    said: Sequence[tuple[int, Any]],
    vectors: np.ndarray,
    n_samples: int,
    same_sentence: float,
    share: float,
) -> list[dict[str, Any]]:
    """Classes of a prompt's sentences that enough of its generations hold, as rows.

    Args:
        said: The number of the generation and the `Sentence`, in the order of generations and of
            their texts.
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
        n_holders = len({said[i][0] for i in members})
        if n_holders >= least:
            classes.append((n_holders, members))
    classes.sort(key=lambda held: -held[0])
    rows = []
    for nth, (n_holders, members) in enumerate(classes, start=1):
        of_class = [said[i] for i in members]
        rows.append(
            {
                "anchor": nth,
                "text": of_class[medoid(vectors[members])][1].text,
                "n_samples": n_samples,
                "n_holders": n_holders,
                "n_wordings": len({sentence.text for _, sentence in of_class}),
                "samples": [sample for sample, _ in of_class],
                "starts": [sentence.start for _, sentence in of_class],
                "lengths": [len(sentence.text) for _, sentence in of_class],
            }
        )
    return rows


SEMANTIC_ANCHORS = TableAsset(
    name="semantic_anchors",
    group="semantics",
    description=tables.SEMANTIC_ANCHORS.description,
    reads=("generations", "embeddings"),
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
