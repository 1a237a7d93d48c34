"""Where the forward pass of a batch stands: prompts are read once, then a token a row at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.language_model import LanguageModel
    from models.recorded import RecordedSteps

LEAVE_AT = 0.8
"""A batch is rebuilt without its finished rows once no more than this share is still running."""


@dataclass
class State:
    """Where the forward pass of a batch stands.

    Attributes:
        cache: Keys and values of every row.
        logits: [rows, vocabulary], for each row's next token.
        attention: int64 [rows, seen], 0 on the padding left of shorter prompts; None without any.
    """

    cache: Any
    logits: Tensor
    attention: Tensor | None

    def keep(self, rows: Tensor) -> None:
        """Drops the other rows; a row may be kept repeatedly."""
        with torch.inference_mode():
            self.cache.batch_select_indices(rows)
        self.logits = self.logits[rows]
        if self.attention is not None:
            self.attention = self.attention[rows]

    def step(self, model: LanguageModel, tokens: Tensor) -> None:
        """Reads one more token a row, int64 [rows]."""
        self.logits = self.read(model, tokens[:, None])[:, 0]

    def read(self, model: LanguageModel, ids: Tensor, *, keep: int = 1) -> Tensor:
        """Reads more tokens of each row, int64 [rows, new], and gives logits after the last ones.

        Returns:
            [rows, keep, vocabulary].
        """
        positions = None
        if self.attention is not None:
            seen = self.attention.sum(1, keepdim=True)
            positions = seen + torch.arange(ids.shape[1], device=ids.device)
            self.attention = torch.cat([self.attention, torch.ones_like(ids)], dim=1)
        return model.forward(
            ids, cache=self.cache, attention=self.attention, positions=positions, keep=keep
        )


class RecordedState:
    """The same, where steps are recorded."""

    def __init__(self, steps: RecordedSteps, logits: Tensor) -> None:
        self._steps = steps
        self.logits = logits

    def keep(self, rows: Tensor) -> None:
        """Keeps these rows, in this order."""
        self._steps.keep(rows)
        self.logits = self.logits[rows]

    def step(self, model: LanguageModel, tokens: Tensor) -> None:
        """Reads one more token a row, int64 [rows]."""
        self.logits = self._steps.step(tokens)


def read_prompts(
    model: LanguageModel,
    rows_prompts: Sequence[tuple[int, ...]],
    recorded: RecordedSteps | None = None,
) -> State | RecordedState:
    """Reads each distinct prompt of a batch once, and copies what was computed to its rows.

    Args:
        model: The model.
        rows_prompts: The tokens that each row begins with.
        recorded: What the steps after it are recorded with, if they are.
    """
    prompts = list(dict.fromkeys(rows_prompts))
    place = {prompt: i for i, prompt in enumerate(prompts)}
    width = max(map(len, prompts))
    ids = torch.zeros((len(prompts), width), dtype=torch.long)
    attention = torch.zeros_like(ids)
    for i, prompt in enumerate(prompts):
        ids[i, width - len(prompt) :] = torch.tensor(prompt)
        attention[i, width - len(prompt) :] = 1
    ids, attention = ids.to(model.device), attention.to(model.device)
    padded = not bool(attention.all())
    cache = model.new_cache()
    logits = model.forward(
        ids,
        cache=cache,
        attention=attention if padded else None,
        positions=(attention.cumsum(1) - 1).clamp(min=0) if padded else None,
    )[:, 0]
    rows = torch.tensor([place[prompt] for prompt in rows_prompts], device=model.device)
    if recorded is not None:
        recorded.begin(cache, attention if padded else None, rows)
        return RecordedState(recorded, logits[rows])
    state = State(cache, logits, attention if padded else None)
    state.keep(rows)
    return state
