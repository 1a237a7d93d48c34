"""`readapted_texts`: how well documents are predicted before and after fine-tuning (2.2)."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc

from assets.lineage.asset import TableAsset
from assets.lineage.signature import Signature
from assets.lineage.staging import finished_parts, note_part_versions, stage, staging
from assets.predictions.scored_texts import can_score
from assets.sources.checkpoints import (
    model_parameters,
    predicted_by,
    signature_of_facts,
    take_model,
)
from assets.sources.training_documents import corpora_to_learn
from assets.study.digests import digest
from models import Text, score
from models.finetuning import DEFAULT_RANK, LEARNING_RATES, Schedule, finetune
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from assets.lineage.context import AssetContext
    from assets.study.checkpoints import Checkpoint
    from assets.study.study import Study
    from models import LanguageModel

_TABLE = tables.READAPTED_TEXTS


def schedule(study: Study) -> Schedule:
    """How the study fine-tunes every checkpoint."""
    settings = study.readaptation
    assert settings is not None
    return Schedule(
        method=settings.method,
        steps=settings.steps,
        documents_per_step=settings.documents_per_step,
        learning_rate=settings.learning_rate or LEARNING_RATES[settings.method],
        rank=settings.rank or DEFAULT_RANK,
        evaluate_every=settings.evaluate_every,
        seed=study.seed,
    )


@contextmanager
def _rows(context: AssetContext) -> Iterator[Iterator[pa.RecordBatch]]:
    """Fine-tunes on the corpora that are not done yet, and keeps each that is finished."""
    checkpoint = context.checkpoint
    assert checkpoint is not None
    corpora = [corpus.name for corpus in corpora_to_learn(context.study)]
    documents = _by_corpus(context.lake.read(tables.DOCUMENTS), corpora)
    learned = _by_corpus(context.lake.read(tables.TRAINING_DOCUMENTS), corpora)
    plan = asdict(schedule(context.study))
    shared = [checkpoint.digest(), checkpoint.dtype, READAPTED_TEXTS.version, plan]
    part_versions = {
        corpus: digest([*shared, documents[corpus].to_pylist(), learned[corpus].to_pylist()])
        for corpus in corpora
    }
    note_part_versions(context, part_versions, predicted_by(checkpoint))
    finished = finished_parts(context, _TABLE, ["corpus"], part_versions)
    context.notes["corpora kept from before"] = len(finished)
    marks = {
        corpus: digest([version, str(predicted_by(checkpoint))])
        for corpus, version in part_versions.items()
    }
    _forget_all_but(context, marks.values())
    for corpus in corpora:
        if corpus not in finished or _weights_are_wanted(context, corpus):
            rows = _readapted(context, corpus, documents[corpus], learned[corpus], marks[corpus])
            finished[corpus] = pa.Table.from_pylist(rows, _TABLE.arrow_schema)
            stage(context, _TABLE, finished[corpus])
            shutil.rmtree(staging(context, _TABLE) / marks[corpus], ignore_errors=True)
    yield (batch for corpus in corpora for batch in finished[corpus].to_batches())


def _by_corpus(rows: pa.Table, corpora: list[str]) -> dict[str, pa.Table]:
    return {corpus: rows.filter(pc.equal(rows["corpus"], corpus)) for corpus in corpora}


def _readapted(
    context: AssetContext, corpus: str, documents: pa.Table, learned: pa.Table, mark: str
) -> list[dict[str, Any]]:
    """The rows of one corpus."""
    checkpoint, settings = context.checkpoint, context.study.readaptation
    assert checkpoint is not None
    assert settings is not None
    model = take_model(context, checkpoint)
    parts = {
        part: _texts(model, learned.filter(pc.equal(learned["part"], part)))
        for part in ("training", "validation")
    }
    tested = _texts(model, documents)
    before = _nll(model, tested)
    # Another study's settings, or other documents, are other unfinished work.
    folder = staging(context, _TABLE) / mark
    folder.mkdir(parents=True, exist_ok=True)
    plan = schedule(context.study)
    label = f"{checkpoint.name}: fine-tuning on {corpus}"
    context.progress.start(label, plan.steps, "steps")
    done = 0

    def on_step(step: int) -> None:
        nonlocal done
        context.progress.advance(step - done, step - done)
        done = step

    try:
        course = finetune(
            model, parts["training"], parts["validation"], plan, folder, on_step=on_step
        )
    finally:
        context.progress.finish()
    after = _nll(model, tested)
    context.notes.setdefault("loss by step", {})[corpus] = {
        name: [round(value, 4) for value in values] for name, values in asdict(course).items()
    }
    if settings.keep_weights:
        kept = _weights_folder(context, corpus)
        shutil.rmtree(kept, ignore_errors=True)
        kept.parent.mkdir(parents=True, exist_ok=True)
        model.model.save_pretrained(folder / "weights")
        model.tokenizer.save_pretrained(folder / "weights")
        (folder / "weights").rename(kept)
        context.notes[f"weights readapted to {corpus}"] = str(kept)
    return [
        {
            "corpus": corpus,
            "document_id": row["document_id"],
            "category": row["category"],
            "n_tokens": len(text.token_ids),
            "n_bytes": row["n_bytes"],
            "nll_before": before[text.name],
            "nll_after": after[text.name],
            "steps": course.best,
        }
        for row, text in zip(documents.to_pylist(), tested, strict=True)
    ]


def _texts(model: LanguageModel, documents: pa.Table) -> list[Text]:
    """Documents as the model reads them, as they are where they are scored."""
    return [
        Text(row["document_id"], [model.start_token_id], model.encode(row["text"]))
        for row in documents.select(["document_id", "text"]).to_pylist()
    ]


def _nll(model: LanguageModel, texts: list[Text]) -> dict[str, float]:
    """Of each document the negative log-likelihood in nats."""
    return {
        scored.text.name: -float(scored.distributions.logprob.sum(dtype="float64"))
        for group in score(model, texts)
        for scored in group
    }


def _weights_folder(context: AssetContext, corpus: str) -> Path:
    """Where weights are put that are kept; a corpus may be called anything."""
    return context.lake.weights / f"{context.partition}+{quote(corpus, safe='')}"


def _weights_are_wanted(context: AssetContext, corpus: str) -> bool:
    settings = context.study.readaptation
    assert settings is not None
    return settings.keep_weights and not _weights_folder(context, corpus).exists()


def _forget_all_but(context: AssetContext, marks: Collection[str]) -> None:
    """Removes unfinished work that nobody will go on with, which may be large."""
    for folder in staging(context, _TABLE).glob("*/"):
        if folder.name not in marks:
            shutil.rmtree(folder, ignore_errors=True)


def _parameters(study: Study, checkpoint: Checkpoint | None) -> dict[str, object]:
    assert checkpoint is not None
    corpora = [corpus.name for corpus in corpora_to_learn(study)]
    assert study.readaptation is not None
    plan = asdict(schedule(study))
    return {
        **model_parameters(checkpoint),
        "readaptation": [plan, study.readaptation.keep_weights],
        "corpora": corpora,
    }


def _signature(context: AssetContext) -> Signature:
    checkpoint = context.checkpoint
    assert checkpoint is not None
    plan = schedule(context.study)
    how = f"{plan.method}:{plan.rank}" if plan.method == "lora" else plan.method
    documents = context.upstream["training_documents"].signature()
    settings = Signature.of(
        tune=how,
        steps=f"{plan.steps}x{plan.documents_per_step}",
        learning_rate=f"{plan.learning_rate:g}",
        seed=plan.seed,
    )
    return documents + settings + signature_of_facts(context, checkpoint)


READAPTED_TEXTS = TableAsset(
    name="readapted_texts",
    group="predictions",
    description=_TABLE.description,
    reads=("documents", "training_documents", "checkpoints"),
    changes_with=("documents", "training_documents"),
    uses_model=True,
    parameters=_parameters,
    settings=("readaptation", "seed"),
    applies=can_score,
    table=_TABLE,
    rows=_rows,
    signature=_signature,
)
