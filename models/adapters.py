"""Adapters of peft: what training added to a model's weights, put back into them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from models.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from torch import Tensor


def merge(model: Any, folder: Path, n_tokens: int) -> Any:
    """Merges an adapter into the model that it was trained on.

    Args:
        model: A transformers model, which is changed. On the device `meta` it takes the merged
            model's shape, and no weights are read into it.
        folder: The adapter's.
        n_tokens: How many its tokenizer has; 0 where it has none of its own.

    Returns:
        A transformers model without anything of peft in it.

    Raises:
        ModelError: The adapter is of another model, or cannot be merged.
    """
    from peft import PeftConfig, PeftModel, load_peft_weights
    from peft.mapping import PEFT_TYPE_TO_PREFIX_MAPPING

    empty = model.device.type == "meta"
    config = PeftConfig.from_pretrained(str(folder))
    config.inference_mode = True
    _resize(model, load_peft_weights(str(folder), device="cpu"), n_tokens)
    adapted = PeftModel(model, config, low_cpu_mem_usage=empty)
    if not empty:
        loaded = adapted.load_adapter(
            str(folder),
            "default",
            torch_device=str(model.device),
            # As `PeftModel.from_pretrained` does, which only warns of what is missing.
            key_mapping=getattr(model, "_checkpoint_conversion_mapping", {}),
        )
        # Beside the adapter's weights, embeddings are saved under names that peft does not read.
        prefix = PEFT_TYPE_TO_PREFIX_MAPPING.get(config.peft_type, "")
        for name in (
            *loaded.missing_keys,
            *(key for key in loaded.unexpected_keys if prefix in key),
        ):
            raise ModelError(
                f"{folder} is an adapter of another model than its base, as {name} is in one of "
                "them only; name the one that it was trained on with `adapter_on:`"
            )
    if not hasattr(adapted.base_model, "merge_and_unload"):
        raise ModelError(
            f"{folder} is an adapter of the kind {config.peft_type.value}, which cannot be merged "
            "into a model's weights; those of LoRA and its relatives can"
        )
    _untie(model)
    merged = adapted.merge_and_unload()
    return merged.requires_grad_(True)  # as in any other model; peft has frozen all but its own


def _untie(model: Any) -> None:
    """Gives embeddings that are the output layer, too, a copy for each, if an adapter is on one.

    What is merged into one would be in the other, where the adapter had no effect.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    read, written = model.get_input_embeddings(), model.get_output_embeddings()
    on_either = isinstance(read, BaseTunerLayer) or isinstance(written, BaseTunerLayer)
    if on_either and written is not None and written.weight is read.weight:
        layer = written.get_base_layer() if isinstance(written, BaseTunerLayer) else written
        layer.weight = torch.nn.Parameter(layer.weight.detach().clone())


def _resize(model: Any, weights: Mapping[str, Tensor], n_tokens: int) -> None:
    """Gives a model as many embeddings as it had when the adapter was trained.

    That is as many as were saved with the adapter, and else a row for each token at least.
    """
    rows = model.get_input_embeddings().weight.shape[0]
    wanted = next(_saved_rows(model, weights), max(rows, n_tokens))
    if wanted != rows:
        with torch.random.fork_rng():
            torch.manual_seed(0)  # rows that the adapter does not bring are the same each time
            model.resize_token_embeddings(wanted, mean_resizing=model.device.type != "meta")


def _saved_rows(model: Any, weights: Mapping[str, Tensor]) -> Iterator[int]:
    layers = (model.get_input_embeddings(), model.get_output_embeddings())
    for name, module in model.named_modules():
        if any(module is layer for layer in layers):
            for key in (f"{name}.weight", f"{name}.base_layer.weight"):
                if (saved := weights.get(f"base_model.model.{key}")) is not None:
                    yield saved.shape[0]
