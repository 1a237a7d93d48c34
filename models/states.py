"""Hidden states: what a model holds in mind before each token of a text, kept on the disk."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from models.reading import GROUP_TOKENS, Text, as_tensors, groups, read, side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from models.language_model import LanguageModel
    from models.reading import Window

_STATES_AT_ONCE = 128 << 20
"""Bytes of hidden states, of all layers, that are in memory at once."""


def hidden_states(
    model: LanguageModel,
    texts: Iterable[Text],
    layer: int,
    *,
    batch_tokens: int | None = None,
    group_tokens: int = GROUP_TOKENS,
    on_tokens: Callable[[int], None] = lambda read: None,
) -> Iterator[list[tuple[Text, Tensor]]]:
    """The hidden states from which the tokens of texts are predicted, a group of texts at a time.

    Args:
        model: The model.
        texts: Read as they are needed; a text without tokens is passed over.
        layer: After how many of the model's layers.
        batch_tokens: Inputs that are read at once; by default as many as are fast.
        group_tokens: Tokens, those of contexts included, that are sorted by length together.
        on_tokens: Called with the number of tokens that were read since the last call.

    Yields:
        Groups of texts, in the order in which they came, with [tokens, width] on the CPU: in row i
        the state after all that precedes token i, its context included.

    Raises:
        ModelError: A context is longer than what the model reads.
    """

    @torch.inference_mode()
    def read_batch(batch: Sequence[Window]) -> list[Callable[[], Tensor]]:
        ids, _ = as_tensors(batch)
        states = model.hidden_states(ids.to(model.device), layer).cpu()
        return [
            partial(_same, row[window.skipped : len(window.inputs)].clone())
            for row, window in zip(states, batch, strict=True)
        ]

    return read(
        groups(texts, group_tokens),
        context_length=model.context_length,
        cut=partial(side_by_side, batch_tokens=batch_tokens or _batch_tokens(model)),
        read_batch=read_batch,
        join=torch.cat,
        on_tokens=on_tokens,
    )


def _same(states: Tensor) -> Tensor:
    """Nothing is left to be waited for."""
    return states


def _batch_tokens(model: LanguageModel) -> int:
    of_a_token = (model.n_layers + 1) * model.config.hidden_size * model.model.dtype.itemsize
    return int(max(1, _STATES_AT_ONCE // of_a_token))


class StateFile:
    """Vectors in a file, so that memory does not grow with their number."""

    def __init__(self, path: Path, width: int, dtype: torch.dtype) -> None:
        """Begins a new file.

        Args:
            path: Where; overwritten.
            width: Numbers in a vector.
            dtype: Their type.
        """
        self.path = path
        self.width = width
        self.dtype = dtype
        self._n = 0
        path.write_bytes(b"")

    def __len__(self) -> int:
        return self._n

    def append(self, states: Tensor) -> None:
        """Adds vectors, [n, width]."""
        with self.path.open("ab") as file:
            file.write(states.to(self.dtype).contiguous().view(torch.uint8).numpy().tobytes())
        self._n += len(states)

    def __getitem__(self, rows: np.ndarray) -> Tensor:
        """The vectors in rows, int64 [n], as float32 [n, width]."""
        # Mapped anew each time: pages of a mapping count as this process's memory while it lasts.
        shape = (self._n, self.width * self.dtype.itemsize)
        mapped = np.memmap(self.path, np.uint8, mode="r", shape=shape)
        numbers = torch.from_numpy(mapped[rows].ravel()).view(self.dtype)
        return numbers.reshape(len(rows), self.width).float()
