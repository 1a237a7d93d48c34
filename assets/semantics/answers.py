"""`answers`: which generations of a prompt are one answer."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from assets.lineage.asset import TableAsset
from assets.lineage.signature import Signature, short
from assets.semantics.embeddings import has_embedder, run_by
from assets.semantics.geometry import first_alike
from assets.semantics.groups import groups_of
from assets.study.thresholds import written
from models.pair_classifier import load_pair_classifier
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from assets.lineage.context import AssetContext
    from assets.study.checkpoints import Checkpoint
    from assets.study.study import Study

_SCHEMA = tables.ANSWERS.arrow_schema


@contextmanager
def _rows(context: AssetContext) -> Iterator[Iterator[pa.RecordBatch]]:
    yield _batches(context)


def _batches(context: AssetContext) -> Iterator[pa.RecordBatch]:
    assert context.checkpoint is not None
    threshold, named = context.study.thresholds.same_answer, context.study.answer_classifier
    classifier = load_pair_classifier(named, named.digest()) if named else None
    for group in groups_of(context, context.checkpoint):
        if classifier:
            first, similarity = first_same(group.texts, classifier.scores, threshold)
        else:
            first, similarity = first_alike(group.vectors, threshold)
        n = len(group.samples)
        columns = {
            **{name: pa.array([value] * n) for name, value in group.key.items()},
            "sample": pa.array(group.samples, pa.int32()),
            "answer": pa.array([group.samples[i] for i in first], pa.int32()),
            "similarity": pa.array(similarity),
        }
        yield from pa.table([columns[name] for name in _SCHEMA.names], schema=_SCHEMA).to_batches()


def first_same(
    texts: Sequence[str], scores: Callable[[str, Sequence[str]], np.ndarray], threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """Classes of texts: each joins the first earlier class whose first member says the same.

    So a text is read together with the first members alone, and one that was there before with
    none.

    Args:
        texts: The texts, in the order in which they come.
        scores: Gives how surely a text says the same as each of others.
        threshold: The score from which on it does.

    Returns:
        int64 [texts], the number of the first member of each text's class, and float64 [texts], the
        score of the text and that one; 1 for the same text.
    """
    first, similarity = np.arange(len(texts)), np.ones(len(texts))
    firsts: list[int] = []
    known: dict[str, int] = {}
    for i, text in enumerate(texts):
        if text in known:
            first[i], similarity[i] = first[known[text]], similarity[known[text]]
            continue
        known[text] = i
        found = scores(text, [texts[j] for j in firsts]) if firsts else np.zeros(0)
        same = np.flatnonzero(found >= threshold)
        if len(same):
            first[i], similarity[i] = firsts[same[0]], found[same[0]]
        else:
            firsts.append(i)
    return first, similarity


def _parameters(study: Study, checkpoint: Checkpoint | None) -> dict[str, object]:
    parameters: dict[str, object] = {"same_answer": study.thresholds.same_answer}
    if study.answer_classifier:
        parameters |= {"classifier": study.answer_classifier.digest(), **run_by().to_dict()}
    return parameters


def _signature(context: AssetContext) -> Signature:
    named = context.study.answer_classifier
    signature = context.upstream["embeddings"].signature(context.partition) + Signature.of(
        same_answer=written(context.study.thresholds.same_answer)
    )
    if named is None:
        return signature
    name = f"{named.location.rpartition('/')[2]}@{short(named.digest())}"
    return signature + Signature.of(classifier=name)


ANSWERS = TableAsset(
    name="answers",
    group="semantics",
    description=tables.ANSWERS.description,
    reads=("generations", "embeddings"),
    parameters=_parameters,
    settings=("thresholds.same_answer", "answer_classifier"),
    applies=has_embedder,
    table=tables.ANSWERS,
    rows=_rows,
    signature=_signature,
)
