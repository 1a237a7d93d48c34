"""The model that was used last, kept for whoever uses it next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from models.loading import load
from models.shards import ShardedModel

if TYPE_CHECKING:
    from models.language_model import LanguageModel
    from models.sources.source import Source


class ModelPool:
    """Keeps the model used last, so that the steps of a run share one."""

    def __init__(self) -> None:
        self._key: tuple[Source, str, str | None, str, int] | None = None
        self._model: LanguageModel | None = None

    def get(
        self,
        source: Source,
        *,
        device: str | None = None,
        dtype: str = "auto",
        batch_tokens: int | None = None,
        weights: str = "",
        shards: int = 1,
    ) -> LanguageModel:
        """The model, loaded unless it is the one used last; raises `ModelError` as `load` does.

        Args:
            source: Where it is.
            device: As for `load`.
            dtype: As for `load`.
            batch_tokens: As of `LanguageModel`.
            weights: Tells the weights that are there from others that were there before.
            shards: Processes that have it; one is this one.
        """
        key = (source, weights, device, dtype, shards)
        if self._model is None or self._key != key:
            self.release()  # before the next model takes as much memory
            if shards > 1:
                self._model = ShardedModel(source, shards, device=device, dtype=dtype)
            else:
                self._model = load(source, device=device, dtype=dtype)
            self._key = key
        self._model.batch_tokens = batch_tokens
        return self._model

    def release(self) -> None:
        """Forgets the model, so that its memory is free."""
        if isinstance(self._model, ShardedModel):
            self._model.close()
        self._key = self._model = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
