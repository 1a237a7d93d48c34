"""Whether what a model's files say of it can be true of its weights.

A configuration is a program of a kind: a number in it decides how much is built, and how long that
takes. Here each such number is held against what the weights have, before anything is built.
"""

from __future__ import annotations

import json
import re
from itertools import chain
from typing import TYPE_CHECKING, Any

from models.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from models.sources.headers import GgufHeader, Shapes

LARGEST_CONFIG = 4_000_000
"""Bytes of a JSON file with a configuration; usual ones have a thousandth of it."""
_LARGEST_TOKENIZER = 200_000_000
"""Bytes of a tokenizer.json; that of a quarter of a million tokens has 35 million."""
_LONGEST_LIST = 10_000
_MOST_LABELS = 100_000
_LEAST_MOST = 1024
"""Layers that any configuration may have, however few tensors stand for them."""
_COUNTS = re.compile(r"(?:^|_)(?:layers?|experts|blocks|depth)$")
_POSITIVE = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "hidden_size", "vocab_size")
_PER_ELEMENT = 16
"""Weights that one number of a file of weights may stand for, if they are quantized."""
_SMALL = 100_000_000
"""Weights that are never too many."""
_LARGEST_PART = 1_000_000
"""Characters of what a tokenizer does beside its vocabulary, as JSON."""
_MOST_GROWTH = 10_000
"""Times that a tokenizer may make a text longer before it cuts it into tokens."""


def check_config(place: str, config: Mapping[str, Any], n_tensors: int) -> None:
    """Holds a model's configuration against how many tensors there are.

    Args:
        place: What errors call the file.
        config: Its content.
        n_tensors: How many the weights have; 0 where that is not known.

    Raises:
        ModelError: It asks for what the weights cannot be of.
    """
    most = max(_LEAST_MOST, n_tensors)
    check_lists(place, config)
    for key, value in _entries(config):
        if type(value) is not int:
            continue
        if _COUNTS.search(key) and value > most:
            raise ModelError(
                f"{place}: {key} is {value:,}, and there are {n_tensors:,} tensors; put it right"
            )
        if key == "num_labels" and value > _MOST_LABELS:
            raise ModelError(f"{place}: {key} is {value:,}; put it right, or leave it out")
    for key in _POSITIVE:
        if type(config.get(key)) is int and config[key] < 1:
            raise ModelError(f"{place}: {key} is {config[key]}, and must be over 0; put it right")


def check_lists(place: str, config: Mapping[str, Any]) -> None:
    """Looks whether the lists of a configuration are as long as such lists are.

    Raises:
        ModelError: One is far longer.
    """
    for key, value in _entries(config):
        if isinstance(value, list) and len(value) > _LONGEST_LIST:
            raise ModelError(
                f"{place}: {key} has {len(value):,} entries, and no model needs over "
                f"{_LONGEST_LIST:,}; put it right"
            )


def check_adapter(place: str, config: Mapping[str, Any], shapes: Shapes) -> None:
    """Holds an adapter's configuration against the shapes of its weights.

    Raises:
        ModelError: It asks for what the weights cannot be of.
    """
    largest = max(chain.from_iterable(shapes.values()), default=0)
    pattern = config.get("rank_pattern")
    ranks = {"r": config.get("r"), **(pattern if isinstance(pattern, dict) else {})}
    for name, rank in ranks.items():
        if type(rank) is int and shapes and rank > largest:
            raise ModelError(
                f"{place}: the rank {name} is {rank:,}, and no tensor of the adapter has a side of "
                f"over {largest:,}; put it right"
            )
    check_lists(place, config)
    replicated = config.get("layer_replication")
    if isinstance(replicated, list):
        ends = [pair for pair in replicated if isinstance(pair, list) and len(pair) == 2]
        layers = sum(end - begin for begin, end in ends if type(begin) is type(end) is int)
        if layers > _LEAST_MOST:
            raise ModelError(f"{place}: layer_replication makes {layers:,} layers; put it right")


def check_gguf(path: Path, header: GgufHeader) -> None:
    """Holds the configuration in a GGUF file against its weights.

    Raises:
        ModelError: It asks for what the weights cannot be of.
    """
    if header.layers > max(_LEAST_MOST, header.tensors):
        raise ModelError(
            f"{path}: block_count is {header.layers:,}, and there are {header.tensors:,} tensors; "
            "fetch it again"
        )
    check_size(str(path), max(1, header.layers) * header.width**2, header.weights)


def check_size(place: str, n_built: int, n_stored: int) -> None:
    """Holds how many weights a configuration makes a model of against how many there are.

    Args:
        place: What errors call the model.
        n_built: Weights that would be made room for.
        n_stored: Numbers that the files have.

    Raises:
        ModelError: There are far too few.
    """
    if n_built > _PER_ELEMENT * n_stored + _SMALL:
        raise ModelError(
            f"{place}: its configuration is of a model of {n_built:,} weights, and its files have "
            f"{n_stored:,}; look whether both are of one model"
        )


def check_tokenizer(folder: Path) -> None:
    """Looks whether a fast tokenizer makes texts only so much longer.

    Raises:
        ModelError: It makes them longer without bounds, or is too large.
        OSError: It cannot be read.
    """
    path = folder / "tokenizer.json"
    if not path.is_file():
        return
    if path.stat().st_size > _LARGEST_TOKENIZER:
        raise ModelError(f"{path} has over {_LARGEST_TOKENIZER:,} bytes; fetch it again")
    try:
        tokenizer = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise ModelError(f"{path} is not a whole JSON object; fetch it again") from None
    if not isinstance(tokenizer, dict):
        raise ModelError(f"{path} is not a JSON object; fetch it again")
    for name in ("normalizer", "pre_tokenizer", "post_processor", "decoder"):
        part = tokenizer.get(name)
        if len(json.dumps(part)) > _LARGEST_PART:
            raise ModelError(f"{path}: its {name} is too long; fetch it again")
        growth = 1
        for inner in _objects(part):
            if inner.get("type") == "Replace" and isinstance(inner.get("content"), str):
                growth *= max(1, len(inner["content"]))
        if growth > _MOST_GROWTH:
            raise ModelError(f"{path}: its {name} makes texts {growth:,} times as long; mend it")


def _entries(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The keys of objects within objects, each with its value."""
    for inner in _objects(values):
        yield from inner.items()


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
