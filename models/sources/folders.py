"""What a folder with a model holds: whether it is whole, and whether reading it would run code.

An adapter of peft is a model here, too: its weights are what training added to those of another.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import zipfile
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from models.errors import IncompleteError, ModelError, RefusedError
from models.files import list_files, remembered

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from models.files import File

ADAPTER = "adapter_config.json"
"""What tells an adapter from a whole model."""
TEXT_FILES = ("*.json", "*.jinja", "*.txt", "*.model")
"""What stands beside the weights: the configuration and the tokenizer."""
_TOKENIZERS = (
    ("tokenizer.json",),
    ("*.model",),  # SentencePiece and tiktoken; architectures name theirs differently
    ("vocab.json", "merges.txt"),
    ("vocab.txt",),
    ("tekken.json",),
)
"""Sets of files each of which is a tokenizer that transformers reads."""
_WEIGHTS = (("model.safetensors", ".safetensors"), ("pytorch_model.bin", ".bin"))
_ADAPTER_WEIGHTS = (("adapter_model.safetensors", ".safetensors"), ("adapter_model.bin", ".bin"))
_NOT_MERGED = (
    "ADAPTION_PROMPT",
    "CARTRIDGE",
    "CPT",
    "MULTITASK_PROMPT_TUNING",
    "P_TUNING",
    "POLY",
    "PREFIX_TUNING",
    "PROMPT_TUNING",
    "XLORA",
)
"""Adapters that no model's weights can take the place of, such as trained prompts."""
_NO_WEIGHTS = (
    "training_args.bin",
    "optimizer*.bin",
    "scheduler*.bin",
    "sampler*.bin",
    "pytorch_model_fsdp*.bin",
)
"""What training leaves beside the weights under a name like theirs."""
_LONGEST_HEADER = 100_000_000
"""Bytes; safetensors itself reads no longer one."""
_SHARD = re.compile(r"-\d{5}-of-\d{5}\.")
_SAVE_IT = "wait until it is written, or save the model again with `save_pretrained`"


@dataclass(frozen=True)
class ModelFiles:
    """A model's files, on the disk or on the hub.

    Attributes:
        place: What errors call it.
        sizes: The bytes of each file, by its name.
        read: Gives the content of a file.
    """

    place: str
    sizes: Mapping[str, int]
    read: Callable[[str], bytes]

    def read_object(self, name: str) -> dict[str, Any]:
        """Reads a JSON object.

        Raises:
            IncompleteError: The file does not hold one.
        """
        content = self.read(name)
        with suppress(ValueError):
            value = json.loads(content)
            if isinstance(value, dict):
                return value
        raise IncompleteError(f"{self.place}/{name} is not a whole JSON object; {_SAVE_IT}")


def check_folder(
    folder: Path, *, allow_pickle: bool = False, allow_remote_code: bool = False
) -> None:
    """Looks whether a model is whole and safe to read, without reading its weights.

    Args:
        folder: Where it is.
        allow_pickle: Whether its weights may be a pickle.
        allow_remote_code: Whether code that comes with it may run.

    Raises:
        IncompleteError: It is not wholly there.
        RefusedError: Reading it would run code, and that is not allowed.
    """
    _check_folder(list_files(folder), folder, allow_pickle, allow_remote_code)


def weight_files(folder: Path, *, allow_pickle: bool = False) -> list[Path]:
    """The files that hold a model's weights.

    Raises:
        IncompleteError: They are not all there.
        RefusedError: They are a pickle, and that is not allowed.
    """
    return [folder / name for name in _weights_in(list_files(folder), folder, allow_pickle)]


def adapter_config(folder: Path) -> dict[str, Any] | None:
    """What an adapter says of itself; None where the folder holds a whole model, or none.

    Raises:
        IncompleteError: It is not wholly there.
    """
    return _adapter_config(list_files(folder), folder)


def has_tokenizer(names: Collection[str]) -> bool:
    """Whether files of these names hold a tokenizer that transformers reads."""
    return any(
        all(any(fnmatchcase(name, wanted) for name in names) for wanted in together)
        for together in _TOKENIZERS
    )


def training_step(folder: Path) -> int | None:
    """The step at which a Trainer saved a checkpoint; None where it does not say so."""
    try:
        step = json.loads((folder / "trainer_state.json").read_bytes())["global_step"]
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return step if type(step) is int else None


def snapshot(folder: Path) -> str:
    """16 hexadecimal digits that change as files are written; none where there are no files."""
    files = [f"{file.path.name}\x1f{file.size}\x1f{file.modified}" for file in list_files(folder)]
    return hashlib.sha256(os.fsencode("\x1e".join(files))).hexdigest()[:16] if files else ""


def check_files(
    checkpoint: ModelFiles, *, allow_pickle: bool, allow_remote_code: bool
) -> dict[str, set[str]]:
    """Looks whether the files of a model are all there and safe to read, by name and size.

    Returns:
        The files that hold the weights, each with the tensors that an index says are in it.

    Raises:
        IncompleteError: One is missing or empty.
        RefusedError: Reading them would run code, and that is not allowed.
        ModelError: It is an adapter that cannot be merged into a model.
    """
    place, sizes = checkpoint.place, checkpoint.sizes
    config, tokenizer = {}, {}
    if ADAPTER in sizes:
        _check_adapter(checkpoint)
    elif "config.json" in sizes:
        config = checkpoint.read_object("config.json")
    else:
        raise IncompleteError(
            f"{place} is not a model's folder: there is no config.json in it; {_SAVE_IT}"
        )
    if "tokenizer_config.json" in sizes:
        tokenizer = checkpoint.read_object("tokenizer_config.json")
    if not allow_remote_code:
        for name in _need_code(config, tokenizer):
            raise RefusedError(
                f"{place}/{name} asks for code that comes with the checkpoint, as transformers has "
                "none for it; read that code, and set `allow_remote_code: true` to let it run"
            )
    weights = _find_weights(checkpoint, allow_pickle=allow_pickle)
    for name in weights:
        if not sizes[name]:
            raise IncompleteError(f"{place}/{name} is empty; {_SAVE_IT}")
    # A tokenizer with code of its own has files of its own; an adapter may have its base's.
    if not (
        has_tokenizer([name for name, size in sizes.items() if size])
        or (allow_remote_code and "auto_map" in tokenizer)
        or ADAPTER in sizes
    ):
        raise IncompleteError(
            f"{place} has no tokenizer, such as a tokenizer.json; wait until it is written, or "
            "save the tokenizer there with `save_pretrained`"
        )
    return weights


def _check_adapter(checkpoint: ModelFiles) -> None:
    place = checkpoint.place
    kind = checkpoint.read_object(ADAPTER).get("peft_type")
    if kind is None or kind in _NOT_MERGED:
        raise ModelError(
            f"{place} is an adapter of the kind {kind}, which cannot be merged into a model's "
            "weights; those of LoRA and its relatives can"
        )
    known = [name for name, _ in _ADAPTER_WEIGHTS]
    for name in sorted(checkpoint.sizes):
        if (
            name not in known
            and any(name.endswith(suffix) for _, suffix in _WEIGHTS)
            and _counts(name)
        ):
            raise ModelError(
                f"{place} holds an adapter, {ADAPTER}, and the weights of a model, {name}; move "
                "one of them elsewhere, so that it is plain which is meant"
            )


def _counts(name: str) -> bool:
    return not any(fnmatchcase(name, no) for no in _NO_WEIGHTS)


def _find_weights(checkpoint: ModelFiles, *, allow_pickle: bool) -> dict[str, set[str]]:
    """As `check_files` returns them; of several sets of weights, what transformers reads."""
    place, sizes = checkpoint.place, checkpoint.sizes
    for whole, suffix in _ADAPTER_WEIGHTS if ADAPTER in sizes else _WEIGHTS:
        indexes = sorted(name for name in sizes if name.endswith(f"{suffix}.index.json"))
        files = sorted(name for name in sizes if name.endswith(suffix) and _counts(name))
        if not files and not indexes:
            continue
        if suffix == ".bin" and not allow_pickle:
            raise RefusedError(
                f"{place}/{(files or indexes)[0]} is a pickle, and there are no weights as "
                "safetensors; save them with `save_pretrained`, or set `allow_pickle: true` if you "
                "trust it"
            )
        if whole in files:
            return {whole: set()}
        if indexes:
            usual = f"{whole}.index.json"
            return _shards(checkpoint, usual if usual in indexes else indexes[0], files)
        for name in files:
            if _SHARD.search(name):  # shards are written before their index
                raise IncompleteError(
                    f"{place}/{name} is a part, and there is no {whole}.index.json; {_SAVE_IT}"
                )
        return {name: set() for name in files}
    kind = "" if allow_pickle else " as safetensors"
    raise IncompleteError(f"{place} has no weights{kind}; {_SAVE_IT}")


def _shards(checkpoint: ModelFiles, index: str, files: list[str]) -> dict[str, set[str]]:
    placed = checkpoint.read_object(index).get("weight_map")
    if not isinstance(placed, dict) or not placed:
        raise IncompleteError(f"{checkpoint.place}/{index} names no weights; {_SAVE_IT}")
    shards = defaultdict(set)
    for tensor, shard in placed.items():
        shards[str(shard)].add(tensor)
    for shard in shards:
        if shard not in files:  # one of another format is not looked for, and may not be read
            raise IncompleteError(
                f"{checkpoint.place} lacks the weights {shard} that {index} names; {_SAVE_IT}"
            )
    return dict(shards)


def _need_code(config: dict[str, Any], tokenizer: dict[str, Any]) -> list[str]:
    """The files that ask for classes for which transformers has no replacement of its own."""
    of_model, of_tokenizer = config.get("auto_map") or {}, tokenizer.get("auto_map") or {}
    if not of_model and not of_tokenizer:
        return []
    # The names that transformers ships, not the mappings, to which code that has run adds itself.
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    from transformers.models.auto.tokenization_auto import (
        TOKENIZER_MAPPING_NAMES,
        tokenizer_class_from_name,
    )

    kind, name = str(config.get("model_type")), str(tokenizer.get("tokenizer_class"))
    needed = []
    if ("AutoConfig" in of_model and kind not in CONFIG_MAPPING_NAMES) or (
        "AutoModelForCausalLM" in of_model and kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    ):
        needed.append("config.json")
    if (
        (isinstance(of_tokenizer, list) or "AutoTokenizer" in of_tokenizer)
        and kind not in TOKENIZER_MAPPING_NAMES
        and not tokenizer_class_from_name(name)
    ):
        needed.append("tokenizer_config.json")
    return needed


def _on_disk(files: tuple[File, ...], folder: Path) -> ModelFiles:
    def read(name: str) -> bytes:
        try:
            return (folder / name).read_bytes()
        except OSError as error:
            raise IncompleteError(
                f"{folder / name} cannot be read: {error.strerror}; {_SAVE_IT}"
            ) from error

    return ModelFiles(str(folder), {file.path.name: file.size for file in files}, read)


@remembered
def _adapter_config(files: tuple[File, ...], folder: Path) -> dict[str, Any] | None:
    checkpoint = _on_disk(files, folder)
    return checkpoint.read_object(ADAPTER) if ADAPTER in checkpoint.sizes else None


@remembered
def _weights_in(files: tuple[File, ...], folder: Path, allow_pickle: bool) -> list[str]:
    return list(_find_weights(_on_disk(files, folder), allow_pickle=allow_pickle))


@remembered
def _check_folder(
    files: tuple[File, ...], folder: Path, allow_pickle: bool, allow_remote_code: bool
) -> None:
    weights = check_files(
        _on_disk(files, folder), allow_pickle=allow_pickle, allow_remote_code=allow_remote_code
    )
    for name, tensors in weights.items():
        path = folder / name
        try:
            if path.suffix == ".safetensors":
                _check_safetensors(path, tensors)
            elif not zipfile.is_zipfile(path):  # whose directory is at its end
                raise IncompleteError(f"{path} is not a whole file of torch.save; {_SAVE_IT}")
        except OSError as error:
            raise IncompleteError(f"{path} cannot be read: {error.strerror}; {_SAVE_IT}") from error


def _check_safetensors(path: Path, tensors: set[str]) -> None:
    """Holds a file against its header.

    The format: https://huggingface.co/docs/safetensors/index#format
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        header = file.read(length) if length <= min(size, _LONGEST_HEADER) else b""
    try:
        entries = json.loads(header)
        entries.pop("__metadata__", None)
        end = 8 + length + max((e["data_offsets"][1] for e in entries.values()), default=0)
    except (ValueError, TypeError, LookupError, AttributeError):
        raise IncompleteError(f"{path} has no whole safetensors header; {_SAVE_IT}") from None
    if size != end:
        raise IncompleteError(
            f"{path} has {size} bytes of the {end} that its header tells of; {_SAVE_IT}"
        )
    for tensor in sorted(tensors - entries.keys()):
        raise IncompleteError(f"{path} lacks {tensor}, which the index says it has; {_SAVE_IT}")
