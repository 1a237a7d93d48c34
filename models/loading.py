"""Weights into memory, and the few facts that sampling and the lake need of them."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import sys
from contextlib import contextmanager, nullcontext, redirect_stderr
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any

import psutil
import torch
from torch import Tensor

from models.adapters import merge
from models.errors import ModelError, sentence
from models.files import File, list_files, remembered
from models.memory import keep_freed_memory
from models.sources.contents import has_tokenizer
from models.sources.folders import check_folder, count_weights, weight_files
from models.sources.headers import read_gguf
from models.sources.hub import cache_folder
from models.sources.plausible import check_gguf, check_size, check_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from models.prompting import PromptFormat, SentPrompt
    from models.sources.place import LocalWeights
    from models.sources.source import Source

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
        batch_tokens: Tokens of one batch at most; by default as many as memory holds.
    """

    model: Any
    tokenizer: Any
    stop_token_ids: frozenset[int]
    revision: str | None = None
    batch_tokens: int | None = None
    config: Any = field(init=False)
    _sent: dict[tuple[PromptFormat, str], SentPrompt] = field(
        init=False, default_factory=dict, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        self.config = self.model.config.get_text_config()
        if self.device.type == "cuda":
            # It is planned anew for each shape, and batches seldom have one that was there before.
            torch.backends.cuda.enable_cudnn_sdp(False)

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
        return tokenizer_digest(self.tokenizer)

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

    def new_cache(self) -> Any:
        """An empty cache of keys and values."""
        from models.cache import new_cache  # of transformers, which takes long to import

        return new_cache(self.config)

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

    def sent(self, prompt_format: PromptFormat, prompt: str) -> SentPrompt:
        """A prompt as the model is given it, rendered and encoded once, however often it is asked.

        Raises:
            ModelError: As `PromptFormat.send` does.
        """
        key = prompt_format, prompt
        if key not in self._sent:
            self._sent[key] = prompt_format.send(self.tokenizer, prompt)
        return self._sent[key]

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, without special ones around it."""
        ids = self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return list(ids)

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of a generation, without its special tokens."""
        text: str = self.tokenizer.decode(
            list(token_ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text

    def rows_that_fit(self, length: int) -> int:
        """Sequences of this many tokens whose cache and logits memory holds at once.

        A power of two, so that memory that varies a little from run to run changes no batch.
        """
        if self.batch_tokens is not None:
            return max(1, self.batch_tokens // length)
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
        free = free_memory(self.device)
        rows = max(1, min(_MOST_ROWS, int(_MEMORY_SHARE * free / (cache + logits))))
        return 1 << (rows.bit_length() - 1)


def free_memory(device: torch.device) -> int:
    """Bytes that can be had on a device, those that PyTorch keeps for the next tensors included."""
    if device.type != "cuda":
        return int(psutil.virtual_memory().available)
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0] + kept)


def tokenizer_digest(tokenizer: Any) -> str:
    """First 16 hexadecimal digits of the SHA-256 of a tokenizer's whole definition."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    definition = backend.to_str() if backend else repr(sorted(tokenizer.get_vocab().items()))
    return hashlib.sha256(definition.encode()).hexdigest()[:16]


def load_tokenizer(source: Source) -> Any:
    """The transformers tokenizer of a model; of one on the hub no weights are downloaded.

    Raises:
        ModelError: It cannot be loaded.
    """
    folder = source.tokenizer_folder() or plain_folder(source)
    with _errors_said(source):
        return _read_tokenizer(folder, source)


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


def resolve_device(device: str | None) -> torch.device:
    """The device that a model is put on: the one that is asked for, or a GPU where there is one."""
    return torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))


def resolve_dtype(dtype: str, device: torch.device) -> str:
    """The number format that a model has on a device.

    Returns:
        `float32`, `bfloat16` or `float16`; `auto` for the format of the weights themselves, which
        `auto` is on every device but a CPU. There it is bfloat16 where the processor multiplies
        that, and float32 elsewhere.
    """
    if dtype == "auto" and device.type == "cpu":
        return "bfloat16" if multiplies_bfloat16() else "float32"
    return dtype


@cache
def multiplies_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 by itself: AVX512-BF16 or AMX, as PyTorch sees it.

    `ATEN_CPU_CAPABILITY=avx2`, by which PyTorch is kept from using AVX512, holds here too.
    """
    has_avx512 = torch.backends.cpu.get_cpu_capability() == "AVX512"
    return has_avx512 and (
        torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    )


def plain_folder(source: Source, *, dtype: str = "auto") -> Path:
    """A folder with a checkpoint's configuration, tokenizer and weights, for any engine to load.

    What is in another form, a GGUF file or an adapter, is kept in the cache once it is converted.

    Args:
        source: Where it is.
        dtype: In which an adapter is merged into its base; `auto` is the base's own.

    Raises:
        ModelError: As for `load`.
    """
    _check_dtype(dtype)
    weights = source.locate()
    if weights.base:
        name = weights.digest if dtype == "auto" else f"{weights.digest}-{dtype}"
        with _errors_said(source):
            return _kept(name, lambda: _read(weights, source, torch.device("cpu"), dtype))
    return _plain(weights, source)


def _load(source: Source, device: str | None, dtype: str, *, empty: bool = False) -> LanguageModel:
    _check_dtype(dtype)
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


def _check_dtype(dtype: str) -> None:
    if dtype not in DTYPES:
        raise ModelError(f"{dtype!r} is no dtype; use {', '.join(DTYPES)}")


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


def _plain(weights: LocalWeights, source: Source) -> Path:
    """The folder of a whole model, unpacked where it is a GGUF file, and checked."""
    folder = _as_safetensors(weights) if weights.gguf else weights.folder
    _check(folder, source)
    return folder


def _check(folder: Path, source: Source) -> None:
    check_folder(
        folder, allow_pickle=source.allow_pickle, allow_remote_code=source.allow_remote_code
    )


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


def _read_tokenizer(folder: Path, source: Source) -> Any:
    return _tokenizer_of(list_files(folder), folder, source.allow_remote_code)


def _tokenizer(files: tuple[File, ...], folder: Path, allow_remote_code: bool) -> Any:
    from transformers import AutoTokenizer

    check_tokenizer(folder)
    return AutoTokenizer.from_pretrained(folder, trust_remote_code=allow_remote_code)


_tokenizer_of = remembered(_tokenizer, size=2)
"""The checkpoints of a ladder share one, and reading it takes as long as reading small weights."""


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


def _as_safetensors(weights: LocalWeights) -> Path:
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
        return _kept(weights.digest, unpack)
    except Exception as error:  # what the reader raises of a broken file has no common type
        raise ModelError(f"{path} cannot be read by transformers: {sentence(error)}") from error


def _kept(name: str, make: Callable[[], tuple[Any, Any]]) -> Path:
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


def _hidden_bar() -> AbstractContextManager[object]:
    """Hides the progress bar of unpacking where there is no terminal for it to move on."""
    return nullcontext() if sys.stderr.isatty() else redirect_stderr(io.StringIO())
