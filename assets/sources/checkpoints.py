"""`checkpoints`: what is measured, and what it is."""

from __future__ import annotations

import importlib.metadata
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from assets.recipe import TableRecipe, Work
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from assets.study import Study
    from assets.study_checkpoints import Checkpoint
    from models import LanguageModel


def load_model(work: Work, checkpoint: Checkpoint) -> LanguageModel:
    """The checkpoint's model, loaded once for all steps of a run."""
    return work.models.get(**_asked(checkpoint))


def take_model(work: Work, checkpoint: Checkpoint) -> LanguageModel:
    """The checkpoint's model, for a step that is going to change it."""
    return work.models.take(**_asked(checkpoint))


def _asked(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "source": checkpoint.source,
        "device": checkpoint.device,
        "dtype": checkpoint.dtype,
        "weights": checkpoint.digest(),
    }


def engine_name() -> str:
    """What runs models, and its version, such as `hf-5.23.0`."""
    return f"hf-{importlib.metadata.version('transformers')}"


def model_parameters(checkpoint: Checkpoint) -> dict[str, object]:
    """What of a checkpoint changes its predictions, as JSON values."""
    return {
        "weights": checkpoint.digest(),
        "dtype": checkpoint.dtype,
        "device": checkpoint.device,
    }


def model_signature(model: LanguageModel) -> str:
    """What people are told of the model that predicted."""
    tokenizer = model.tokenizer_digest[:8]
    return f"tok:{tokenizer}|engine:{engine_name()}|dtype:{model.dtype}"


@contextmanager
def _rows(work: Work) -> Iterator[list[pa.RecordBatch]]:
    checkpoint = work.checkpoint
    assert checkpoint is not None
    row: dict[str, object] = {
        "role": checkpoint.role,
        "base": checkpoint.base,
        "source": str(checkpoint.source),
        "step": checkpoint.step,
        "series": checkpoint.series,
    }
    if not checkpoint.source.is_generations:
        model = load_model(work, checkpoint)
        row |= {
            "revision": model.revision,
            "n_parameters": model.n_parameters,
            "vocab_size": model.vocab_size,
            "tokenizer": model.tokenizer_digest,
            "engine": engine_name(),
            "dtype": model.dtype,
        }
    yield pa.Table.from_pylist([row], tables.CHECKPOINTS.arrow_schema).to_batches()


def _parameters(study: Study, checkpoint: Checkpoint | None) -> dict[str, object]:
    assert checkpoint is not None
    return {
        **model_parameters(checkpoint),
        "role": checkpoint.role,
        "base": checkpoint.base,
        "source": str(checkpoint.source),
        "series": checkpoint.series,
        "step": checkpoint.step,
        "engine": checkpoint.engine,
    }


def _signature(work: Work) -> str:
    assert work.checkpoint is not None
    return f"source:{work.checkpoint.source.scheme}@{work.checkpoint.digest()[:8]}"


CHECKPOINTS = TableRecipe(
    name="checkpoints",
    group="sources",
    description=tables.CHECKPOINTS.description,
    uses_model=True,
    parameters=_parameters,
    table=tables.CHECKPOINTS,
    rows=_rows,
    signature=_signature,
)
