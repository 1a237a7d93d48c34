"""`checkpoints`: what is measured, and what it is."""

from __future__ import annotations

import importlib.metadata
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from assets.lineage.asset import TableAsset
from assets.lineage.signature import Signature, short
from models import ModelError
from models.devices import resolve_device, resolve_dtype
from models.language_model import tokenizer_digest
from models.loading import describe, load_tokenizer
from models.vllm import vllm_version
from warehouse import tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from assets.lineage.context import AssetContext
    from assets.study.checkpoints import Checkpoint
    from assets.study.study import Study
    from models import LanguageModel, ModelPool


def load_model(context: AssetContext, checkpoint: Checkpoint) -> LanguageModel:
    """The checkpoint's model, loaded once for all steps of a run."""
    return load_with(context.models, checkpoint)


def load_shards(context: AssetContext, checkpoint: Checkpoint) -> LanguageModel:
    """Its model to sample and score with, in as many processes as the study says."""
    return load_with(context.models, checkpoint, checkpoint.shards)


def load_with(models: ModelPool, checkpoint: Checkpoint, shards: int = 1) -> LanguageModel:
    """The checkpoint's model, by a pool of its own where a step needs two at once."""
    return models.get(
        checkpoint.loaded_from,
        device=checkpoint.device,
        dtype=checkpoint.dtype,
        batch_tokens=checkpoint.batch_tokens,
        weights=checkpoint.digest(),
        shards=shards,
    )


def describe_model(checkpoint: Checkpoint) -> LanguageModel:
    """What is known of the checkpoint's model without its weights."""
    return describe(checkpoint.loaded_from, device=checkpoint.device, dtype=checkpoint.dtype)


def take_model(context: AssetContext, checkpoint: Checkpoint) -> LanguageModel:
    """The checkpoint's model, for a step that is going to change it; the next one gets another."""
    model = load_model(context, checkpoint)
    context.models.release()
    return model


@cache
def scorer_name() -> str:
    """What scores, and its version, such as `hf-5.23.0`."""
    return f"hf-{importlib.metadata.version('transformers')}"


def sampler_name(checkpoint: Checkpoint) -> str:
    """What samples from a checkpoint, and its version where it is known."""
    if checkpoint.engine_name == "vllm":
        return f"vllm-{vllm_version()}"
    return "openai" if checkpoint.engine_name == "openai" else scorer_name()


def sampled_by(checkpoint: Checkpoint) -> Signature:
    """What samples from a checkpoint on this machine; see `predicted_by`."""
    try:
        engine = sampler_name(checkpoint)
    except ModelError:  # of a run that fails for it; what the lake has was sampled by another
        engine = "vllm-none"
    return _run_by(checkpoint, engine)


def predicted_by(checkpoint: Checkpoint) -> Signature:
    """What runs a checkpoint's model here: the engine and its version, device type and dtype.

    It is resolved on this machine, and not what the study asks for, such as `dtype: auto`. Numbers
    that were run by something else are not compared with these.
    """
    return _run_by(checkpoint, scorer_name())


def _run_by(checkpoint: Checkpoint, engine: str) -> Signature:
    if not checkpoint.source.has_weights:
        return Signature.of(engine=engine)
    device = resolve_device(checkpoint.device)
    dtype = resolve_dtype(checkpoint.dtype, device)
    return Signature.of(engine=engine, device=device.type, dtype=dtype)


def model_parameters(checkpoint: Checkpoint) -> dict[str, object]:
    """What of a checkpoint changes its predictions, as JSON values."""
    return {"weights": checkpoint.digest(), **predicted_by(checkpoint).to_dict()}


def tokenizer_parameters(checkpoint: Checkpoint) -> dict[str, object]:
    """What of a tokenizer that the study names changes tokens, as JSON values."""
    return {"tokenizer": checkpoint.tokenizer.digest()} if checkpoint.tokenizer else {}


def model_signature(model: LanguageModel) -> Signature:
    """What people are told of the model that predicted."""
    return Signature.of(
        tokenizer=short(model.tokenizer_digest),
        engine=scorer_name(),
        device=model.device.type,
        dtype=model.dtype,
    )


def facts_of_model(context: AssetContext, checkpoint: Checkpoint) -> dict[str, Any]:
    """The checkpoint's row of `checkpoints`."""
    row: dict[str, Any] = context.lake.read(tables.CHECKPOINTS, checkpoint.name).to_pylist()[0]
    return row


def signature_of_facts(context: AssetContext, checkpoint: Checkpoint) -> Signature:
    """What `model_signature` tells, of a model that is not loaded; by its row of `checkpoints`."""
    facts = facts_of_model(context, checkpoint)
    return Signature.of(
        tokenizer=short(facts["tokenizer"]),
        engine=scorer_name(),
        device=predicted_by(checkpoint)["device"],
        dtype=facts["dtype"],
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
        "controlled": False,
        **_labels(context.study, checkpoint),
    }
    if checkpoint.engine_name is not None:
        row["engine"] = sampler_name(checkpoint)
    if checkpoint.source.has_weights:
        # Where vLLM samples, the model may be too large for what runs here.
        alone = checkpoint.engine_name == "transformers"
        model = load_shards(context, checkpoint) if alone else describe_model(checkpoint)
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


def _labels(study: Study, checkpoint: Checkpoint) -> dict[str, object]:
    """The labels that a study gives a checkpoint; what has none has the data version it had."""
    labels: dict[str, object] = {}
    if rung := study.rung(checkpoint):
        labels |= {"ladder": rung[0].name, "rung": rung[1]}
    if checkpoint.stage is not None:
        labels["stage"] = checkpoint.stage
    if checkpoint.controlled:
        labels["controlled"] = True
    return labels


def _parameters(study: Study, checkpoint: Checkpoint | None) -> dict[str, object]:
    assert checkpoint is not None
    return {
        "weights": checkpoint.digest(),
        **(sampled_by(checkpoint).to_dict() if checkpoint.engine_name else {}),
        "role": checkpoint.role,
        "base": checkpoint.base,
        "source": str(checkpoint.source),
        "series": checkpoint.series,
        "step": checkpoint.step,
        **_labels(study, checkpoint),
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
    # What the study trains itself is there first; its digest is in the parameters.
    reads=("tuning_steps",),
    optional=("tuning_steps",),
    changes_with=(),
    uses_model=True,
    parameters=_parameters,
    labels=("ladder", "rung", "stage", "controlled"),
    table=tables.CHECKPOINTS,
    rows=_rows,
    signature=_signature,
)
