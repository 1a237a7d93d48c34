"""`tuning_steps`: checkpoints that the study trains itself, and how that went."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from assets.lineage.asset import TableAsset
from assets.lineage.signature import Signature, short
from assets.lineage.staging import staging
from assets.sources.checkpoints import predicted_by
from assets.study.digests import digest
from assets.study.tuned import Tuned
from models import Text
from models.finetuning import Schedule, finetune
from models.loading import load
from warehouse import tables
from warehouse.durable import make_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from assets.lineage.context import AssetContext
    from assets.study.checkpoints import Checkpoint
    from assets.study.study import Study
    from models import LanguageModel
    from warehouse import Lake, Provenance

_TABLE = tables.TUNING_STEPS
_LOSSES = "losses.json"
"""Beside an adapter: the mean loss of each step up to it."""


@dataclass(frozen=True, kw_only=True)
class TunedAsset(TableAsset):
    """A table whose partitions stand beside weights, and are not there without them."""

    def stored(self, lake: Lake, checkpoint: str | None) -> Provenance | None:
        """Reads the footer of the partition's file, if the adapter is there."""
        return super().stored(lake, checkpoint) if _adapters(lake, checkpoint) else None


def _adapters(lake: Lake, checkpoint: str | None) -> list[Path]:
    return sorted(lake.weights.glob(f"{checkpoint}+*/{_LOSSES}"))


def schedule(checkpoint: Tuned, seed: int) -> Schedule:
    """How a checkpoint is trained."""
    tuning = checkpoint.tuning
    return Schedule(
        method="lora",
        steps=tuning.steps,
        documents_per_step=tuning.answers_per_step,
        learning_rate=tuning.learning_rate,
        rank=tuning.rank,
        evaluate_every=1,
        seed=seed,
    )


@contextmanager
def _rows(context: AssetContext) -> Iterator[list[pa.RecordBatch]]:
    """Trains what the checkpoint is a step of, all steps at once, unless that was done."""
    checkpoint = context.checkpoint
    assert isinstance(checkpoint, Tuned)
    if context.force:
        shutil.rmtree(checkpoint.folder, ignore_errors=True)
    if not (checkpoint.folder / _LOSSES).exists():
        _train(context, checkpoint)
    plan = schedule(checkpoint, context.study.seed)
    losses = json.loads((checkpoint.folder / _LOSSES).read_text(encoding="utf-8"))
    rows = [
        {"step": i + 1, "learning_rate": plan.learning_rate_at(i), "loss": loss}
        for i, loss in enumerate(losses)
    ]
    context.notes["adapter"] = str(checkpoint.folder)
    yield pa.Table.from_pylist(rows, _TABLE.arrow_schema).to_batches()


def _train(context: AssetContext, checkpoint: Tuned) -> None:
    """Trains a base, and puts the adapters of all steps that the study names in their places."""
    gives = _of_one_tuning(context.study, checkpoint)
    steps = {other.trained_for for other in gives}
    # With other steps to be saved, what was stopped does not have them all.
    folder = staging(context, _TABLE) / digest([checkpoint.recipe(), sorted(steps)])
    folder.mkdir(parents=True, exist_ok=True)
    context.models.release()
    base = checkpoint.loaded_from.adapter_on
    assert base is not None
    model = load(base, device=checkpoint.device, dtype=checkpoint.dtype)
    model.batch_tokens = checkpoint.batch_tokens
    plan = schedule(checkpoint, context.study.seed)
    context.progress.start(f"{checkpoint.tuning.name}: tuning", plan.steps, "steps")
    done = 0

    def on_step(step: int) -> None:
        nonlocal done
        context.progress.advance(step - done, step - done)
        done = step
        if step in steps:
            model.model.save_pretrained(folder / str(step))

    try:
        course = finetune(
            model, _texts(context, model, checkpoint), [], plan, folder, on_step=on_step
        )
    finally:
        context.progress.finish()
    for other in gives:
        adapter = folder / str(other.trained_for)
        if not other.folder.exists() and adapter.exists():
            _publish(context.lake, other, adapter, course.training[1 : other.trained_for + 1])


def _publish(lake: Lake, checkpoint: Tuned, adapter: Path, losses: Sequence[float]) -> None:
    """Puts a checkpoint's adapter in its place in one step, and removes what stood for it."""
    unfinished = adapter.with_name(f"{checkpoint.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(adapter, unfinished)
    (unfinished / _LOSSES).write_text(json.dumps(losses), encoding="utf-8")
    for older in _adapters(lake, checkpoint.name):
        shutil.rmtree(older.parent, ignore_errors=True)
    make_folder(lake.weights)
    unfinished.rename(checkpoint.folder)


def _of_one_tuning(study: Study, checkpoint: Tuned) -> Sequence[Tuned]:
    """The checkpoints that one training gives: the same one, by different steps."""
    return [
        other
        for other in study.whole.checkpoints
        if isinstance(other, Tuned) and other.recipe() == checkpoint.recipe()
    ]


def _texts(context: AssetContext, model: LanguageModel, checkpoint: Tuned) -> list[Text]:
    """Answers as the model is to give them, each ended where its teacher ended it."""
    rows = context.lake.read(tables.TRAINING_ANSWERS)
    rows = rows.filter(pc.equal(rows["tuning"], checkpoint.tuning.name))
    texts = []
    for row in rows.to_pylist():
        sent = model.sent(checkpoint.format_of_prompts, row["prompt"])
        answer = model.encode(row["answer"])
        if row["finish_reason"] != "length" and model.tokenizer.eos_token_id is not None:
            answer.append(model.tokenizer.eos_token_id)
        texts.append(Text(f"{row['lesson_id']} {row['sample']}", sent.token_ids, answer))
    return [text for text in texts if text.token_ids]


def _parameters(study: Study, checkpoint: Checkpoint | None) -> dict[str, object]:
    assert isinstance(checkpoint, Tuned)
    return {"weights": checkpoint.digest()}


def _signature(context: AssetContext) -> Signature:
    checkpoint = context.checkpoint
    assert isinstance(checkpoint, Tuned)
    plan = schedule(checkpoint, context.study.seed)
    return Signature.of(
        tune=f"lora:{plan.rank}",
        steps=f"{checkpoint.trained_for}of{plan.steps}x{plan.documents_per_step}",
        learning_rate=f"{plan.learning_rate:g}",
        seed=plan.seed,
        lessons=short(checkpoint.lessons()),
    ) + predicted_by(checkpoint)


TUNING_STEPS = TunedAsset(
    name="tuning_steps",
    group="sources",
    description=_TABLE.description,
    reads=("training_answers",),
    # What is learned is in the checkpoint's digest.
    changes_with=(),
    uses_model=True,
    parameters=_parameters,
    settings=("tunings", "seed", "max_new_tokens"),
    applies=lambda study, checkpoint: isinstance(checkpoint, Tuned),
    table=_TABLE,
    rows=_rows,
    signature=_signature,
)
