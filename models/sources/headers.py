"""What a file of weights says of itself before its weights, held against what it holds.

Headers are read by counts that stand in them; here no count is believed that the file has no room
for, and nothing of the weights is read.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from models.errors import IncompleteError, ModelError

if TYPE_CHECKING:
    from pathlib import Path

Shapes = dict[str, tuple[int, ...]]
"""The shape of each tensor, by its name."""

SAVE_IT = "wait until it is written, or save the model again with `save_pretrained`"
_LONGEST_HEADER = 25_000_000
"""Bytes; that of a model of a hundred thousand tensors has half as many."""
_ELEMENTS_PER_BYTE = 8
"""Weights that a byte holds at most, in GGUF's smallest formats."""
_GGUF_VERSIONS = (2, 3)
_GGUF_WIDTHS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Bytes of GGUF's types of numbers."""
_STRING, _ARRAY = 8, 9
_LONGEST_NAME = 65_535


def read_safetensors(path: Path) -> Shapes:
    """The tensors of a safetensors file, which is held against its header.

    The format: https://huggingface.co/docs/safetensors/index#format

    Raises:
        IncompleteError: It does not hold what its header tells of.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        header = file.read(length) if length <= min(size, _LONGEST_HEADER) else b""
    try:
        entries = json.loads(header)
        entries.pop("__metadata__", None)
        shapes = {name: tuple(map(_whole, entry["shape"])) for name, entry in entries.items()}
        spans = sorted(tuple(map(_whole, entry["data_offsets"])) for entry in entries.values())
        starts, ends = [0, *(end for _, end in spans)], [*(begin for begin, _ in spans)]
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        raise IncompleteError(f"{path} has no whole safetensors header; {SAVE_IT}") from None
    told = 8 + length + max(starts)
    if size != told:
        raise IncompleteError(
            f"{path} has {size} bytes of the {told} that its header tells of; {SAVE_IT}"
        )
    if starts[:-1] != ends:
        raise IncompleteError(
            f"{path} has tensors that overlap, or bytes of none between them; {SAVE_IT}"
        )
    return shapes


def _whole(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError
    return value


@dataclass(frozen=True)
class GgufHeader:
    """What the header of a GGUF file tells.

    Attributes:
        architecture: Its name.
        layers: How many it has; 0 where it does not say.
        width: Of its hidden states; 0 where it does not say.
        tensors: How many there are.
        weights: How many all tensors have together.
    """

    architecture: str
    layers: int
    width: int
    tensors: int
    weights: int


def read_gguf(path: Path) -> GgufHeader:
    """The header of a GGUF file.

    The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md

    Raises:
        ModelError: It is none, or tells of more than the file has room for.
        OSError: It cannot be read.
    """
    try:
        if not path.stat().st_size:
            raise _GgufError("it is empty")
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _Gguf(data).header()
    except (_GgufError, struct.error, UnicodeDecodeError) as error:
        reason = error if isinstance(error, _GgufError) else "it ends before its header does"
        raise ModelError(f"{path} is no whole GGUF file: {reason}; fetch it again") from None


class _GgufError(ValueError):
    """What is wrong with a GGUF file."""


class _Gguf:
    """A GGUF file, read from its start."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._at = 0

    def header(self) -> GgufHeader:
        if self._data[:4] != b"GGUF":
            raise _GgufError("it does not begin with GGUF")
        self._at = 4
        version, tensors, pairs = self._unpack("<IQQ")
        if version not in _GGUF_VERSIONS:
            raise _GgufError(f"its version is {version}, and 2 and 3 are known")
        self._fits(pairs, 13)
        values: dict[str, object] = {}
        for _ in range(pairs):
            key = self._string(_LONGEST_NAME)
            values[key] = self._value(*self._unpack("<I"))
        architecture = values.get("general.architecture")
        if not isinstance(architecture, str):
            raise _GgufError("it does not tell its architecture")
        self._fits(tensors, 24)
        weights = sum(self._weights_of_tensor() for _ in range(tensors))
        if weights > _ELEMENTS_PER_BYTE * len(self._data):
            raise _GgufError(f"it tells of {weights:,} weights, and has {len(self._data):,} bytes")

        def told(key: str) -> int:
            value = values.get(f"{architecture}.{key}")
            return value if isinstance(value, int) else 0

        return GgufHeader(
            architecture, told("block_count"), told("embedding_length"), tensors, weights
        )

    def _weights_of_tensor(self) -> int:
        self._string(_LONGEST_NAME)
        (dimensions,) = self._unpack("<I")
        self._fits(dimensions, 8)
        shape = self._unpack(f"<{dimensions}Q")
        self._unpack("<IQ")
        return prod(shape)

    def _value(self, kind: int) -> object:
        """A value; of an array, which is passed over, None."""
        if kind in _GGUF_WIDTHS:
            content = self._bytes(_GGUF_WIDTHS[kind])
            return int.from_bytes(content, "little") if kind in (4, 10) else None
        if kind == _STRING:
            return self._string(len(self._data))
        if kind != _ARRAY:
            raise _GgufError(f"a value is of type {kind}, which there is none of")
        kind, count = self._unpack("<IQ")
        width = _GGUF_WIDTHS.get(kind, 8)
        self._fits(count, width)
        if kind in _GGUF_WIDTHS:
            self._bytes(count * width)
        elif kind == _STRING:
            for _ in range(count):
                self._bytes(*self._unpack("<Q"))
        else:
            raise _GgufError(f"an array is of type {kind}, which transformers reads none of")
        return None

    def _string(self, longest: int) -> str:
        (length,) = self._unpack("<Q")
        if length > longest:
            raise _GgufError(f"a name has {length:,} bytes")
        return self._bytes(length).decode()

    def _bytes(self, count: int) -> bytes:
        self._fits(count, 1)
        self._at += count
        return self._data[self._at - count : self._at]

    def _unpack(self, form: str) -> tuple[int, ...]:
        values = struct.unpack_from(form, self._data, self._at)
        self._at += struct.calcsize(form)
        return values

    def _fits(self, count: int, width: int) -> None:
        """Looks whether what is left of the file has room for so many of so many bytes."""
        if count * width > len(self._data) - self._at:
            raise _GgufError("it tells of more than it has room for")
