"""Steps of a batch as CUDA graphs: launching a step's kernels one by one takes longer than they do.

A graph replays the same kernels on the same addresses. So keys, values and inputs have rooms of a
fixed size, and there is one graph for each of a few numbers of rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from transformers.cache_utils import Cache, DynamicLayer

from models.memory import is_out_of_memory

if TYPE_CHECKING:
    from torch import Tensor

    from models.language_model import LanguageModel

_ROOM = 64
"""Rooms are for a multiple of so many tokens."""
_SPAN = 256
"""A graph reads so many tokens of a room, or a multiple, as it cannot read just those there are."""


def record_steps(model: LanguageModel, length: int) -> RecordedSteps | None:
    """What runs the steps of batches as CUDA graphs; None where the model's cannot be.

    Args:
        model: The model.
        length: Tokens of a row at most, the prompt's included.
    """
    return RecordedSteps(model, length) if can_record(model) else None


def can_record(model: LanguageModel) -> bool:
    """Whether the model's steps are the same kernels, whatever the tokens.

    transformers says of an architecture whether it is. Its layers must be of plain attention, over
    everything or a sliding window, and its rotary embedding must not change with the length.
    """
    config = model.config
    kinds = getattr(config, "layer_types", None)
    windowed = kinds is None and getattr(config, "sliding_window", None) is not None
    return (
        model.device.type == "cuda"
        and bool(getattr(model.model, "_can_compile_fullgraph", False))
        and config._attn_implementation == "sdpa"
        and not windowed
        and set(kinds or ()) <= {"full_attention", "sliding_attention"}
        and "'dynamic'" not in str(getattr(config, "rope_parameters", None))
    )


class _RoomLayer(DynamicLayer):  # type: ignore[misc]
    """Keys and values in a room, the next ones written at a place that a tensor holds."""

    def __init__(self, keys: Tensor, values: Tensor, place: Tensor) -> None:
        super().__init__()
        self.keys, self.values, self._place = keys, values, place
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Writes one token's keys and values, and returns the whole room."""
        self.keys.index_copy_(2, self._place, key_states)
        self.values.index_copy_(2, self._place, value_states)
        return self.keys, self.values


class RecordedSteps:
    """The rooms of one batch after another, and the graphs that work in them."""

    def __init__(self, model: LanguageModel, length: int) -> None:
        """Begins with no room.

        Args:
            model: One that `can_record`.
            length: Tokens of a row at most, the prompt's included.
        """
        self._model = model
        self._length = -(-length // _ROOM) * _ROOM
        self._rows = self._width = 0
        self._recording = model.device.type == "cuda"

    def begin(self, cache: Cache, attention: Tensor | None, rows: Tensor) -> None:
        """Takes a batch in, whose prompts were read.

        Args:
            cache: Keys and values of the distinct prompts.
            attention: int64 [prompts, width], 0 on padding; None where there is none.
            rows: int64 [n], the prompt of each row.
        """
        n = len(rows)
        if not n <= self._rows < 2 * n:
            self._make_room(cache, _at_least(n))
        self._width = cache.get_seq_length()
        for (keys, values), layer in zip(self._layers, cache.layers, strict=True):
            keys[:n, :, : self._width] = layer.keys[rows]
            values[:n, :, : self._width] = layer.values[rows]
        self._seen.zero_()
        self._seen[:n, : self._width] = True if attention is None else attention[rows].bool()
        self._positions.copy_(self._seen.sum(1, keepdim=True))
        self._place.fill_(self._width)

    def _make_room(self, cache: Cache, rows: int) -> None:
        self._rows = 0
        self._layers: list[tuple[Tensor, Tensor]] = []  # frees what the last ones took
        self._graphs: dict[tuple[int, int], tuple[torch.cuda.CUDAGraph, Tensor]] = {}

        def room(states: Tensor) -> Tensor:
            _, heads, _, width = states.shape
            return states.new_zeros((rows, heads, self._length, width))

        self._layers = [(room(layer.keys), room(layer.values)) for layer in cache.layers]
        device = self._model.device
        self._seen = torch.zeros((rows, self._length), dtype=torch.bool, device=device)
        self._places = torch.arange(self._length, device=device)
        self._place = torch.zeros(1, dtype=torch.long, device=device)
        self._positions = torch.zeros((rows, 1), dtype=torch.long, device=device)
        self._tokens = torch.zeros((rows, 1), dtype=torch.long, device=device)
        self._rows = rows

    def keep(self, rows: Tensor) -> None:
        """Keeps these rows, in this order."""
        n = len(rows)
        for keys, values in self._layers:
            keys[:n, :, : self._width] = keys[rows, :, : self._width]
            values[:n, :, : self._width] = values[rows, :, : self._width]
        self._seen[:n] = self._seen[rows]
        self._positions[:n] = self._positions[rows]

    def step(self, tokens: Tensor) -> Tensor:
        """Reads one more token a row, int64 [n], and gives the logits [n, vocabulary] after it.

        They are overwritten by the next step.
        """
        n = len(tokens)
        self._tokens[:n, 0] = tokens
        length = min(_SPAN * _at_least(self._width // _SPAN + 1), self._length)
        logits = self._run(_at_least(n), length)
        self._width += 1
        self._place += 1
        self._positions += 1
        return logits[:n]

    def _run(self, size: int, length: int) -> Tensor:
        """The logits of the first rows, whose tokens are in the first part of their rooms."""
        if self._recording and (size, length) not in self._graphs:
            try:
                with torch.cuda.device(self._model.device):
                    self._graphs[size, length] = self._record(size, length)
            except RuntimeError as error:
                if is_out_of_memory(error):
                    raise
                self._recording = False  # the model waits for its own results, as no graph can
        if not self._recording:
            return self._forward(self._cache(size, length), size, length)
        graph, logits = self._graphs[size, length]
        graph.replay()
        return logits

    def _record(self, size: int, length: int) -> tuple[torch.cuda.CUDAGraph, Tensor]:
        cache = self._cache(size, length)
        # What is only set up once must not be recorded. Writing a token twice does no harm.
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._forward(cache, size, length)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        pool = next(iter(self._graphs.values()))[0].pool() if self._graphs else None
        with torch.cuda.graph(graph, pool=pool):  # only one of them runs at a time
            logits = self._forward(cache, size, length)
        return graph, logits

    def _cache(self, size: int, length: int) -> Cache:
        return Cache(
            layers=[
                _RoomLayer(keys[:size, :, :length], values[:size, :, :length], self._place)
                for keys, values in self._layers
            ]
        )

    def _forward(self, cache: Cache, size: int, length: int) -> Tensor:
        config = self._model.config
        seen = self._seen[:size, :length]
        seen.index_fill_(1, self._place, True)
        attention: Any = self._mask(seen)
        if "sliding_attention" in (getattr(config, "layer_types", None) or ()):
            window = seen & (self._places[:length] > self._place - config.sliding_window)
            attention = {"full_attention": attention, "sliding_attention": self._mask(window)}
        return self._model.forward(
            self._tokens[:size],
            cache=cache,
            attention=attention,
            positions=self._positions[:size],
        )[:, 0]

    def _mask(self, visible: Tensor) -> Tensor:
        """What is added to a row's attention scores, [rows, 1, 1, length]."""
        mask = torch.zeros_like(visible, dtype=self._model.model.dtype)
        return mask.masked_fill(~visible, -torch.inf)[:, None, None]


def _at_least(n: int) -> int:
    """The first of 1, 2, 3, 4, 6, 8, 12, 16, 24, ... that is no less than n."""
    power = 1 << (n - 1).bit_length()
    return power if n > power * 3 // 4 else power * 3 // 4
