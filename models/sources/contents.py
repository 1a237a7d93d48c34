"""What a model's files must be, by their names and sizes, on the disk as on the hub.

An adapter of peft is a model here, too: its weights are what training added to those of another.
What the weights' files hold is looked at where they are on the disk, in `folders`.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from models.errors import IncompleteError, ModelError, RefusedError
from models.sources.headers import SAVE_IT
from models.sources.plausible import LARGEST_CONFIG, check_lists

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

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
_SHARD = re.compile(r"-\d{5}-of-\d{5}\.")
_LARGEST_INDEX = 50_000_000
"""Bytes of an index of shards."""


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
            ModelError: It is too large to be one.
        """
        most = _LARGEST_INDEX if name.endswith(".index.json") else LARGEST_CONFIG
        if self.sizes[name] > most:
            raise ModelError(f"{self.place}/{name} has over {most:,} bytes; put it right")
        content = self.read(name)
        with suppress(ValueError, RecursionError):
            value = json.loads(content)
            if isinstance(value, dict):
                return value
        raise IncompleteError(f"{self.place}/{name} is not a whole JSON object; {SAVE_IT}")


def has_tokenizer(names: Collection[str]) -> bool:
    """Whether files of these names hold a tokenizer that transformers reads."""
    return any(
        all(any(fnmatchcase(name, wanted) for name in names) for wanted in together)
        for together in _TOKENIZERS
    )


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
            f"{place} is not a model's folder: there is no config.json in it; {SAVE_IT}"
        )
    if "tokenizer_config.json" in sizes:
        tokenizer = checkpoint.read_object("tokenizer_config.json")
        check_lists(f"{place}/tokenizer_config.json", tokenizer)
    if not allow_remote_code:
        for key in ("attn_implementation", "_attn_implementation"):
            if "/" in str(config.get(key)):
                raise RefusedError(
                    f"{place}/config.json asks for code of the hub for its attention, "
                    f"{config[key]}; take `{key}` out"
                )
        for name in _need_code(config, tokenizer):
            raise RefusedError(
                f"{place}/{name} asks for code that comes with the checkpoint, as transformers has "
                "none for it; read that code, and set `allow_remote_code: true` to let it run"
            )
    weights = find_weights(checkpoint, allow_pickle=allow_pickle)
    for name in weights:
        if not sizes[name]:
            raise IncompleteError(f"{place}/{name} is empty; {SAVE_IT}")
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


def find_weights(checkpoint: ModelFiles, *, allow_pickle: bool) -> dict[str, set[str]]:
    """As `check_files` returns them; of several sets of weights, what transformers reads.

    Raises:
        IncompleteError: They are not all there.
        RefusedError: They are a pickle, and that is not allowed.
    """
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
                    f"{place}/{name} is a part, and there is no {whole}.index.json; {SAVE_IT}"
                )
        return {name: set() for name in files}
    kind = "" if allow_pickle else " as safetensors"
    raise IncompleteError(f"{place} has no weights{kind}; {SAVE_IT}")


def _shards(checkpoint: ModelFiles, index: str, files: list[str]) -> dict[str, set[str]]:
    placed = checkpoint.read_object(index).get("weight_map")
    if not isinstance(placed, dict) or not placed:
        raise IncompleteError(f"{checkpoint.place}/{index} names no weights; {SAVE_IT}")
    shards = defaultdict(set)
    for tensor, shard in placed.items():
        shards[str(shard)].add(tensor)
    for shard in shards:
        if shard not in files:  # one of another format is not looked for, and may not be read
            raise IncompleteError(
                f"{checkpoint.place} lacks the weights {shard} that {index} names; {SAVE_IT}"
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
