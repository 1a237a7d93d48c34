"""Weights that transformers does not load as they are: converted once, and kept in the cache."""

from __future__ import annotations

import io
import os
import shutil
import sys
from contextlib import nullcontext, redirect_stderr
from typing import TYPE_CHECKING, Any

import torch

from models.errors import ModelError, sentence
from models.sources.headers import read_gguf
from models.sources.hub import cache_folder
from models.sources.plausible import check_gguf

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from models.sources.place import LocalWeights


def unpacked(weights: LocalWeights) -> Path:
    """Unpacks a GGUF file once, which takes tens of seconds, and keeps the result."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    assert weights.gguf is not None
    path = weights.folder / weights.gguf
    check_gguf(path, read_gguf(path))
    where: dict[str, Any] = {
        "pretrained_model_name_or_path": str(weights.folder),
        "gguf_file": weights.gguf,
    }

    def unpack() -> tuple[Any, Any]:
        with _hidden_bar():
            tokenizer = AutoTokenizer.from_pretrained(**where)
            model = AutoModelForCausalLM.from_pretrained(
                **where, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
            )
        return model, tokenizer

    try:
        return kept(weights.digest, unpack)
    except Exception as error:  # what the reader raises of a broken file has no common type
        raise ModelError(f"{path} cannot be read by transformers: {sentence(error)}") from error


def _hidden_bar() -> AbstractContextManager[object]:
    """Hides the progress bar of unpacking where there is no terminal for it to move on."""
    return nullcontext() if sys.stderr.isatty() else redirect_stderr(io.StringIO())


def kept(name: str, make: Callable[[], tuple[Any, Any]]) -> Path:
    """The folder in the cache of a model and its tokenizer, which are made and saved once."""
    target = cache_folder() / "weights" / name
    if target.exists():
        return target
    unfinished = target.with_name(f"{target.name}.{os.getpid()}")
    try:
        model, tokenizer = make()
        unfinished.mkdir(parents=True, exist_ok=True)
        model.save_pretrained(unfinished)
        tokenizer.save_pretrained(unfinished)
        if not target.exists():  # another process may have been faster
            unfinished.rename(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return target
