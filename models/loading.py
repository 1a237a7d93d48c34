"""Weights into memory, and the few facts that sampling and the lake need of them."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import sys
from contextlib import nullcontext, redirect_stderr
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psutil
import torch
from torch import Tensor

from models.errors import ModelError, sentence
from models.folders import check_folder, weight_files
from models.hub import cache_folder

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from models.sources import LocalWeights, Source

DTYPES = ("auto", "float32", "bfloat16", "float16")
_MEMORY_SHARE = 0.4
"""Share of the free memory that one batch's cache and logits may take."""
_NO_LIMIT = 10**12
"""A tokenizer whose `model_max_length` is beyond this knows of no limit."""
_DEFAULT_CONTEXT = 2048
_MOST_ROWS = 256
"""More rows at once bring no more tokens a second."""


@dataclass
class LanguageModel:
    """A causal language model, ready to run.

    Attributes:
        model: The transformers model, in evaluation mode.
        tokenizer: Its tokenizer.
        stop_token_ids: Tokens that end a generation.
        revision: The commit or version that the weights are, where known.
    """

    model: Any
    tokenizer: Any
    stop_token_ids: frozenset[int]
    revision: str | None = None
    config: Any = field(init=False)

    def __post_init__(self) -> None:
        self.config = self.model.config.get_text_config()

    @property
    def device(self) -> torch.device:
        """Where the model runs."""
        return torch.device(self.model.device)

    @property
    def dtype(self) -> str:
        """The weights' number format, such as `float32`."""
        return str(self.model.dtype).removeprefix("torch.")

    @property
    def n_parameters(self) -> int:
        """Weights, each counted once where layers share them."""
        return sum(p.numel() for p in self.model.parameters())

    @property
    def vocab_size(self) -> int:
        """How many tokens the model gives a probability to."""
        return int(self.config.vocab_size)

    @property
    def tokenizer_digest(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of the tokenizer's whole definition."""
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        definition = (
            backend.to_str() if backend else repr(sorted(self.tokenizer.get_vocab().items()))
        )
        return hashlib.sha256(definition.encode()).hexdigest()[:16]

    @property
    def context_length(self) -> int:
        """Tokens that the model reads at most, found as lm-evaluation-harness finds it."""
        for name in ("n_positions", "max_position_embeddings", "n_ctx"):
            if length := getattr(self.config, name, None):
                return int(length)
        length = self.tokenizer.model_max_length
        return int(length) if length < _NO_LIMIT else _DEFAULT_CONTEXT

    @property
    def start_token_id(self) -> int:
        """What stands before a text that nothing precedes: BOS, or EOS where there is none.

        Raises:
            ModelError: The tokenizer has neither.
        """
        for token_id in (self.tokenizer.bos_token_id, self.tokenizer.eos_token_id):
            if token_id is not None:
                return int(token_id)
        raise ModelError(
            "the tokenizer has neither a BOS nor an EOS token, and a text's first token is "
            "predicted after one; set `bos_token` in its tokenizer_config.json"
        )

    def forward(
        self,
        ids: Tensor,
        *,
        cache: Any = None,
        attention: Tensor | None = None,
        positions: Tensor | None = None,
        keep: int = 1,
    ) -> Tensor:
        """Reads tokens after those in the cache, and gives the logits of what comes next.

        Args:
            ids: int64 [rows, new].
            cache: Keys and values of what came before; extended in place. None keeps none.
            attention: int64 [rows, seen + new], 0 on padding; None without padding on the left.
            positions: int64 [rows, new]; None without padding on the left.
            keep: After how many of each row's last tokens logits are wanted.

        Returns:
            [rows, keep, vocabulary].
        """
        masks = (
            {} if attention is None else {"attention_mask": attention, "position_ids": positions}
        )
        output = self.model(
            input_ids=ids,
            past_key_values=cache,
            use_cache=cache is not None,
            logits_to_keep=keep,
            **masks,
        )
        logits: Tensor = output.logits
        return logits

    def hidden_states(self, ids: Tensor, layer: int) -> Tensor:
        """What a layer makes of tokens.

        Args:
            ids: int64 [rows, tokens], nothing before them; padding stands on the right.
            layer: After how many of the model's layers; after the last it is what the output layer
                reads.

        Returns:
            [rows, tokens, width].
        """
        output = self.model.base_model(input_ids=ids, output_hidden_states=True, use_cache=False)
        states: Tensor = output.hidden_states[layer]
        return states

    @property
    def n_layers(self) -> int:
        """How many layers stand between the embeddings and the output layer."""
        return int(self.config.num_hidden_layers)

    @property
    def output_weights(self) -> Tensor:
        """[vocabulary, width], which the last hidden state is multiplied with to give logits.

        Raises:
            ModelError: The model's output is not one linear layer.
        """
        layer = self.model.get_output_embeddings()
        if layer is None:
            raise ModelError("the model has no linear output layer that a probe could go through")
        weights: Tensor = layer.weight.detach()
        return weights

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, without special ones around it."""
        ids = self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return list(ids)

    def decode(self, token_ids: list[int]) -> str:
        """The text of a generation, without its special tokens."""
        text: str = self.tokenizer.decode(
            token_ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text

    def rows_that_fit(self, length: int) -> int:
        """Sequences of this many tokens whose cache and logits memory holds at once."""
        config = self.config
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        width = (
            getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        )
        itemsize = self.model.dtype.itemsize
        # The cache's spare room, and its copy while rows leave, can triple it; logits are held as
        # the model's and as float32 ones, with their exponentials beside them.
        cache = 3 * 2 * config.num_hidden_layers * heads * width * itemsize * length
        logits = self.vocab_size * (itemsize + 2 * 4)
        if self.device.type == "cuda":
            free = torch.cuda.mem_get_info(self.device)[0]
        else:
            free = psutil.virtual_memory().available
        return max(1, min(_MOST_ROWS, int(_MEMORY_SHARE * free / (cache + logits))))


def load(source: Source, *, device: str | None = None, dtype: str = "auto") -> LanguageModel:
    """Loads a checkpoint.

    Args:
        source: Where it is.
        device: A torch device; by default the GPU where there is one.
        dtype: One of `DTYPES`. `auto` is the weights' own on a GPU and float32 on a CPU.

    Raises:
        ModelError: It is not there, or is not a causal language model that transformers knows.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()  # the run has its own
    if dtype not in DTYPES:
        raise ModelError(f"{dtype!r} is no dtype; use {', '.join(DTYPES)}")
    weights = source.locate()
    folder = _as_safetensors(weights) if weights.gguf else weights.folder
    check_folder(
        folder,
        allow_pickle=source.allow_pickle,
        allow_remote_code=source.allow_remote_code,
    )
    files = weight_files(folder, allow_pickle=source.allow_pickle)
    pickled = any(file.suffix == ".bin" for file in files)
    try:
        place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        if dtype == "auto" and place.type == "cpu":
            dtype = "float32"
        tokenizer = AutoTokenizer.from_pretrained(
            folder, trust_remote_code=source.allow_remote_code
        )
        # A pickle may run code as it is read; even one that is allowed is read by `weights_only`.
        model, found = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            trust_remote_code=source.allow_remote_code,
            use_safetensors=None if pickled else True,
            output_loading_info=True,
        )
        model = model.to(place).eval()
    except Exception as error:  # what transformers and torch raise here has no common type
        raise ModelError(f"{source} cannot be loaded by transformers: {sentence(error)}") from error
    if found["missing_keys"]:
        some = ", ".join(sorted(found["missing_keys"])[:3])
        raise ModelError(
            f"{source} is incomplete: {len(found['missing_keys'])} of its weights are missing "
            f"({some}, ...); wait until it is written, or fetch it again"
        )
    return LanguageModel(
        model=model,
        tokenizer=tokenizer,
        stop_token_ids=_stop_token_ids(model, tokenizer),
        revision=weights.revision,
    )


def _stop_token_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    declared = model.generation_config.eos_token_id
    ids = declared if isinstance(declared, list) else [declared]
    return frozenset(i for i in (*ids, tokenizer.eos_token_id) if i is not None)


def _as_safetensors(weights: LocalWeights) -> Path:
    """Unpacks a GGUF file once, which takes tens of seconds, and keeps the result."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    assert weights.gguf is not None
    target = cache_folder() / "weights" / weights.digest
    if target.exists():
        return target
    unfinished = target.with_name(f"{target.name}.{os.getpid()}")
    where: dict[str, Any] = {
        "pretrained_model_name_or_path": str(weights.folder),
        "gguf_file": weights.gguf,
    }
    try:
        with _hidden_bar():
            tokenizer = AutoTokenizer.from_pretrained(**where)
            model = AutoModelForCausalLM.from_pretrained(
                **where, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
            )
        unfinished.mkdir(parents=True, exist_ok=True)
        model.save_pretrained(unfinished)
        tokenizer.save_pretrained(unfinished)
        if not target.exists():  # another process may have been faster
            unfinished.rename(target)
    except Exception as error:  # what the reader raises of a broken file has no common type
        path = weights.folder / weights.gguf
        raise ModelError(f"{path} cannot be read by transformers: {sentence(error)}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return target


def _hidden_bar() -> AbstractContextManager[object]:
    """Hides the progress bar of unpacking where there is no terminal for it to move on."""
    return nullcontext() if sys.stderr.isatty() else redirect_stderr(io.StringIO())


class ModelPool:
    """Keeps the model used last, so that the steps of a run share one."""

    def __init__(self) -> None:
        self._key: tuple[Source, str, str | None, str] | None = None
        self._model: LanguageModel | None = None

    def get(
        self, source: Source, *, device: str | None = None, dtype: str = "auto", weights: str = ""
    ) -> LanguageModel:
        """The model, loaded unless it is the one used last; raises `ModelError` as `load` does.

        Args:
            source: Where it is.
            device: As for `load`.
            dtype: As for `load`.
            weights: Tells the weights that are there from others that were there before.
        """
        key = (source, weights, device, dtype)
        if self._model is None or self._key != key:
            self._model = None  # free the memory before the next model takes as much
            self._model = load(source, device=device, dtype=dtype)
            self._key = key
        return self._model

    def take(
        self, source: Source, *, device: str | None = None, dtype: str = "auto", weights: str = ""
    ) -> LanguageModel:
        """The model, for a caller who is going to change it; the next one gets another.

        Raises:
            ModelError: As `load` does.
        """
        model = self.get(source, device=device, dtype=dtype, weights=weights)
        self._key = self._model = None
        return model
