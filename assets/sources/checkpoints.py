"""`checkpoints`: what is measured, and what it is."""

from __future__ import annotations

import importlib.metadata
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa

from assets.lineage.asset import TableAsset
from assets.lineage.signature import Signature, short
from models.loading import describe, load_tokenizer, tokenizer_digest
from models.vllm import vllm_version
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from assets.lineage.context import AssetContext
    from assets.study.checkpoints import Checkpoint
    from assets.study.study import Study
    from models import LanguageModel


def load_model(context: AssetContext, checkpoint: Checkpoint) -> LanguageModel:
    """The checkpoint's model, loaded once for all steps of a run."""
    return context.models.get(
        checkpoint.source,
        device=checkpoint.device,
        dtype=checkpoint.dtype,
        batch_tokens=checkpoint.batch_tokens,
        weights=checkpoint.digest(),
    )


def describe_model(checkpoint: Checkpoint) -> LanguageModel:
    """What is known of the checkpoint's model without its weights."""
    return describe(checkpoint.source, device=checkpoint.device, dtype=checkpoint.dtype)


def take_model(context: AssetContext, checkpoint: Checkpoint) -> LanguageModel:
    """The checkpoint's model, for a step that is going to change it; the next one gets another."""
    model = load_model(context, checkpoint)
    context.models.release()
    return model


def scorer_name() -> str:
    """What scores, and its version, such as `hf-5.23.0`."""
    return f"hf-{importlib.metadata.version('transformers')}"


def sampler_name(checkpoint: Checkpoint) -> str:
    """What samples from a checkpoint, and its version where it is known."""
    if checkpoint.engine_name == "vllm":
        return f"vllm-{vllm_version()}"
    return "openai" if checkpoint.engine_name == "openai" else scorer_name()


def model_parameters(checkpoint: Checkpoint) -> dict[str, object]:
    """What of a checkpoint changes its predictions, as JSON values."""
    return {
        "weights": checkpoint.digest(),
        "dtype": checkpoint.dtype,
        "device": checkpoint.device,
    }


def tokenizer_parameters(checkpoint: Checkpoint) -> dict[str, object]:
    """What of a tokenizer that the study names changes tokens, as JSON values."""
    return {"tokenizer": checkpoint.tokenizer.digest()} if checkpoint.tokenizer else {}


def model_signature(model: LanguageModel) -> Signature:
    """What people are told of the model that predicted."""
    return Signature.of(
        tokenizer=short(model.tokenizer_digest), engine=scorer_name(), dtype=model.dtype
    )


@contextmanager
def _rows(context: AssetContext) -> Iterator[list[pa.RecordBatch]]:
    checkpoint = context.checkpoint
    assert checkpoint is not None
    row: dict[str, object] = {
        "role": checkpoint.role,
        "base": checkpoint.base,
        "source": str(checkpoint.source),
        "step": checkpoint.step,
        "series": checkpoint.series,
    }
    if checkpoint.engine_name is not None:
        row["engine"] = sampler_name(checkpoint)
    if checkpoint.source.has_weights:
        # Where vLLM samples, the model may be too large for what runs here.
        alone = checkpoint.engine_name == "transformers"
        model = load_model(context, checkpoint) if alone else describe_model(checkpoint)
        row |= {
            "revision": model.revision,
            "n_parameters": model.n_parameters,
            "vocab_size": model.vocab_size,
            "tokenizer": model.tokenizer_digest,
            "dtype": model.dtype,
        }
    elif checkpoint.tokenizer is not None:
        row["tokenizer"] = tokenizer_digest(load_tokenizer(checkpoint.tokenizer))
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
        "engine": checkpoint.engine_name,
        **tokenizer_parameters(checkpoint),
    }


def _signature(context: AssetContext) -> Signature:
    assert context.checkpoint is not None
    digest = short(context.checkpoint.digest())
    return Signature.of(source=f"{context.checkpoint.source.scheme}@{digest}")


CHECKPOINTS = TableAsset(
    name="checkpoints",
    group="sources",
    description=tables.CHECKPOINTS.description,
    uses_model=True,
    parameters=_parameters,
    table=tables.CHECKPOINTS,
    rows=_rows,
    signature=_signature,
)
