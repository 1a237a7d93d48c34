"""Weights into memory: the checkpoint of a source becomes a model and its tokenizer.

What a loaded model can be asked is in `language_model`.
"""

from __future__ import annotations

from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch

from models.adapters import merge
from models.converted import kept, unpacked
from models.devices import check_dtype, resolve_device, resolve_dtype
from models.errors import ModelError, sentence
from models.files import File, list_files, remembered
from models.language_model import LanguageModel
from models.memory import keep_freed_memory
from models.sources.contents import has_tokenizer
from models.sources.folders import check_folder, count_weights, weight_files
from models.sources.plausible import check_size, check_tokenizer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from models.sources.place import LocalWeights
    from models.sources.source import Source


def load(source: Source, *, device: str | None = None, dtype: str = "auto") -> LanguageModel:
    """Loads a checkpoint.

    Args:
        source: Where it is.
        device: A torch device; by default the GPU where there is one.
        dtype: One of `DTYPES`; see `resolve_dtype` for what `auto` is.

    Raises:
        ModelError: It is not there, or is not a causal language model that transformers knows.
    """
    return _load(source, device, dtype)


def describe(source: Source, *, device: str | None = None, dtype: str = "auto") -> LanguageModel:
    """What `load` would load, without its weights: they are on torch's device `meta`.

    Its tokenizer, its stop tokens and the facts that the lake keeps are those of the loaded one.

    Args:
        source: Where it is.
        device: Where it would be loaded.
        dtype: As for `load`.

    Raises:
        ModelError: As for `load`.
    """
    return _load(source, device, dtype, empty=True)


def _load(source: Source, device: str | None, dtype: str, *, empty: bool = False) -> LanguageModel:
    check_dtype(dtype)
    weights = source.locate()
    with _errors_said(source):
        place = resolve_device(device)
        if place.type == "cpu" and not empty:
            keep_freed_memory()
        dtype = resolve_dtype(dtype, place)
        model, tokenizer = _read(weights, source, torch.device("meta") if empty else place, dtype)
    return LanguageModel(
        model=model.eval(),
        tokenizer=tokenizer,
        stop_token_ids=_stop_token_ids(model, tokenizer),
        revision=weights.revision,
    )


def load_tokenizer(source: Source) -> Any:
    """The transformers tokenizer of a model; of one on the hub no weights are downloaded.

    Raises:
        ModelError: It cannot be loaded.
    """
    folder = source.tokenizer_folder() or plain_folder(source)
    with _errors_said(source):
        return _read_tokenizer(folder, source)


def plain_folder(source: Source, *, dtype: str = "auto") -> Path:
    """A folder with a checkpoint's configuration, tokenizer and weights, for any engine to load.

    What is in another form, a GGUF file or an adapter, is kept in the cache once it is converted.

    Args:
        source: Where it is.
        dtype: In which an adapter is merged into its base; `auto` is the base's own.

    Raises:
        ModelError: As for `load`.
    """
    check_dtype(dtype)
    weights = source.locate()
    if weights.base:
        name = weights.digest if dtype == "auto" else f"{weights.digest}-{dtype}"
        with _errors_said(source):
            return kept(name, lambda: _read(weights, source, torch.device("cpu"), dtype))
    return _plain(weights, source)


@contextmanager
def _errors_said(source: Source) -> Iterator[None]:
    """Has what goes wrong be one sentence, and keeps transformers from printing others."""
    from transformers.utils import logging

    logging.disable_progress_bar()  # the run has its own
    before = logging.get_verbosity()
    logging.set_verbosity(logging.CRITICAL)
    try:
        yield
    except ModelError:
        raise
    except Exception as error:  # what transformers and torch raise here has no common type
        raise ModelError(f"{source} cannot be loaded by transformers: {sentence(error)}") from error
    finally:
        logging.set_verbosity(before)


def _read(
    weights: LocalWeights, source: Source, place: torch.device, dtype: str
) -> tuple[Any, Any]:
    """A model and its tokenizer, adapters merged into their bases."""
    from transformers import AutoModelForCausalLM

    if weights.base:
        model, tokenizer = _read(weights.base, source, place, dtype)
        _check(weights.folder, source)
        n_tokens = 0
        if has_tokenizer([file.path.name for file in list_files(weights.folder)]):
            tokenizer = _read_tokenizer(weights.folder, source)
            n_tokens = len(tokenizer)
        return merge(model, weights.folder, n_tokens), tokenizer
    folder = _plain(weights, source)
    files = weight_files(folder, allow_pickle=source.allow_pickle)
    pickled = any(file.suffix == ".bin" for file in files)
    tokenizer = _read_tokenizer(folder, source)
    if place.type != "meta":
        _check_size(folder, source, files)
    # A pickle may run code as it is read; even one that is allowed is read by `weights_only`.
    model, loaded = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=dtype,
        device_map="meta" if place.type == "meta" else None,
        trust_remote_code=source.allow_remote_code,
        use_safetensors=None if pickled else True,
        output_loading_info=True,
    )
    if loaded["missing_keys"]:
        some = ", ".join(sorted(loaded["missing_keys"])[:3])
        raise ModelError(
            f"{source} is incomplete: {len(loaded['missing_keys'])} of its weights are missing "
            f"({some}, ...); wait until it is written, or fetch it again"
        )
    return model.to(place), tokenizer


def _plain(weights: LocalWeights, source: Source) -> Path:
    """The folder of a whole model, unpacked where it is a GGUF file, and checked."""
    folder = unpacked(weights) if weights.gguf else weights.folder
    _check(folder, source)
    return folder


def _check(folder: Path, source: Source) -> None:
    check_folder(
        folder, allow_pickle=source.allow_pickle, allow_remote_code=source.allow_remote_code
    )


def _check_size(folder: Path, source: Source, files: Sequence[Path]) -> None:
    """Builds the model without memory for weights, and counts those that it would be made room for.

    Raises:
        ModelError: Its files have far fewer.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    allowed = source.allow_remote_code
    config = AutoConfig.from_pretrained(folder, trust_remote_code=allowed)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=allowed)
    built = sum(weight.numel() for weight in chain(model.parameters(), model.buffers()))
    check_size(str(source), built, count_weights(files))


def _stop_token_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    declared = model.generation_config.eos_token_id
    ids = declared if isinstance(declared, list) else [declared]
    return frozenset(i for i in (*ids, tokenizer.eos_token_id) if i is not None)


def _read_tokenizer(folder: Path, source: Source) -> Any:
    return _tokenizer_of(list_files(folder), folder, source.allow_remote_code)


def _tokenizer(files: tuple[File, ...], folder: Path, allow_remote_code: bool) -> Any:
    from transformers import AutoTokenizer

    check_tokenizer(folder)
    return AutoTokenizer.from_pretrained(folder, trust_remote_code=allow_remote_code)


_tokenizer_of = remembered(_tokenizer, size=2)
"""The checkpoints of a ladder share one, and reading it takes as long as reading small weights."""
