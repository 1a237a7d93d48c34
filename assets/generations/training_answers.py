"""`training_answers`: what the study's own tunings learn, a teacher's answers or examples."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from assets.generations.engines import opened, sample_shown
from assets.lineage.asset import TableAsset
from assets.lineage.signature import Signature, short
from assets.lineage.staging import finished_parts, note_part_versions, stage
from assets.sources.checkpoints import sampled_by
from assets.sources.prompt_sets import read_prompts
from assets.study.digests import digest
from assets.study.errors import InputError
from assets.study.files import read_jsonl
from assets.study.tuned import Tuned
from models.engines import Prompted
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from assets.lineage.context import AssetContext
    from assets.study.checkpoints import Checkpoint
    from assets.study.study import Study

_TABLE = tables.TRAINING_ANSWERS


def tuned_checkpoints(study: Study) -> dict[str, Tuned]:
    """One checkpoint of each tuning that the study has any of, by the tuning's name."""
    tuned = [checkpoint for checkpoint in study.whole.listed if isinstance(checkpoint, Tuned)]
    return {checkpoint.tuning.name: checkpoint for checkpoint in reversed(tuned)}


@contextmanager
def _rows(context: AssetContext) -> Iterator[Iterator[pa.RecordBatch]]:
    """Asks teachers what they were not asked yet, and keeps each tuning's answers."""
    tunings = tuned_checkpoints(context.study)
    part_versions = {name: _version(checkpoint) for name, checkpoint in tunings.items()}
    note_part_versions(context, part_versions, Signature())
    finished = finished_parts(context, _TABLE, ["tuning"], part_versions)
    for name, checkpoint in tunings.items():
        if name not in finished:
            if checkpoint.teacher is None:
                rows = _examples(checkpoint)
            else:
                rows = list(_answers(context, checkpoint, checkpoint.teacher))
            finished[name] = pa.Table.from_pylist(rows, _TABLE.arrow_schema)
            stage(context, _TABLE, finished[name])
    yield (batch for name in tunings for batch in finished[name].to_batches())


def _version(checkpoint: Tuned) -> str:
    ran = str(sampled_by(checkpoint.teacher)) if checkpoint.teacher else ""
    return digest([checkpoint.lessons(), ran, TRAINING_ANSWERS.version])


def _examples(checkpoint: Tuned) -> list[dict[str, Any]]:
    tuning = checkpoint.tuning
    assert tuning.examples is not None
    rows = [
        {
            "tuning": tuning.name,
            "lesson_id": str(number),
            "sample": 0,
            "prompt": row["prompt"],
            "answer": row["answer"],
        }
        for number, row in read_jsonl(tuning.examples, {"prompt": str, "answer": str})
    ]
    if not rows:
        raise InputError(f"tunings: {tuning.name}: {tuning.examples} holds no example")
    return rows


def _answers(
    context: AssetContext, checkpoint: Tuned, teacher: Checkpoint
) -> Iterator[dict[str, Any]]:
    """Samples what a teacher answers."""
    study, tuning = context.study, checkpoint.tuning
    assert tuning.prompts is not None
    wanted = [
        Prompted(
            str(prompt["prompt_id"]),
            str(prompt["text"]),
            teacher.format_of_prompts,
            sample,
            teacher.decodings[0],
        )
        for prompt in read_prompts(tuning.prompts)
        for sample in range(tuning.answers)
    ]
    with opened(context, teacher, wanted) as engine:
        for generations in sample_shown(
            context,
            engine,
            wanted,
            label=f"{tuning.name}: answers of {teacher.source}",
            max_new_tokens=study.max_new_tokens,
            ending=teacher.ending,
        ):
            for generation in generations:
                yield {
                    "tuning": tuning.name,
                    "lesson_id": generation.asked.key,
                    "sample": generation.asked.sample,
                    "prompt": generation.asked.prompt,
                    "answer": generation.text,
                    "finish_reason": generation.finish_reason,
                }


def _parameters(study: Study, checkpoint: Checkpoint | None) -> dict[str, object]:
    return {name: _version(tuned) for name, tuned in tuned_checkpoints(study).items()}


def _signature(context: AssetContext) -> Signature:
    return sum(
        (
            Signature.of(tuning=name, lessons=short(tuned.lessons()))
            for name, tuned in tuned_checkpoints(context.study).items()
        ),
        Signature(),
    )


TRAINING_ANSWERS = TableAsset(
    name="training_answers",
    group="generations",
    description=_TABLE.description,
    partitioned=False,
    uses_model=True,
    parameters=_parameters,
    settings=("tunings", "seed", "max_new_tokens"),
    applies=lambda study, checkpoint: bool(tuned_checkpoints(study)),
    table=_TABLE,
    rows=_rows,
    signature=_signature,
)
