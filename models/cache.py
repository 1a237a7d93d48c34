"""Keys and values of the tokens seen, written in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

if TYPE_CHECKING:
    from torch import Tensor


class GrowingLayer(DynamicLayer):  # type: ignore[misc]
    """A cache layer that writes each token in spare room instead of copying all of them.

    The stock layer concatenates, which copies the whole cache at every token. This one keeps room
    for half as many tokens again, and hands out views of what is filled.
    """

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Appends the new keys and values, [rows, heads, new, width], and returns all of them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._room: list[Tensor | None] = [None, None]
        length = self.get_seq_length()
        self.keys = self._append(0, self.keys, key_states, length)  # type: ignore[has-type]
        self.values = self._append(1, self.values, value_states, length)  # type: ignore[has-type]
        return self.keys, self.values

    def _append(self, side: int, held: Tensor, new: Tensor, length: int) -> Tensor:
        total = length + new.shape[-2]
        room = self._room[side]
        # Selecting or repeating rows replaces `held`; then the room behind it is no longer its own.
        stale = room is None or held.data_ptr() != room.data_ptr() or len(held) != len(room)
        if room is None or stale or room.shape[-2] < total:
            room = new.new_empty((*new.shape[:2], total + max(total // 2, 16), new.shape[-1]))
            if length:
                room[:, :, :length] = held
            self._room[side] = room
        room[:, :, length:total] = new
        return room[:, :, :total]


def has_only_attention(config: Any) -> bool:
    """Whether every layer is attention, to all that came before or to a sliding window of it."""
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    return kinds <= {"full_attention", "sliding_attention"}


def new_cache(config: Any) -> Cache:
    """An empty cache for a model of this configuration.

    Only attention layers are written in place: a sliding window's mask hides what has left the
    window. Models with other kinds of layers get the cache that transformers makes for them.
    """
    if has_only_attention(config):
        return Cache(layer_class_to_replicate=GrowingLayer)
    return DynamicCache(config=config)
