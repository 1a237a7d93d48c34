"""Prompts that are read once for the samples that come after them.

The samples of a prompt are read side by side, behind the keys and values that were computed of it
once for all of them. What is found of a sample is what reading it with its prompt as one sequence
finds, up to floating-point differences of the forward pass. Which samples are read side by side
depends on the windows and on the model alone, not on the memory that is free.

Prompts are padded on the left and samples on the right, so that no padding stands between two
tokens of a sequence, and a sliding window sees what it would see of the sequence alone.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from models.reading import side_by_side
from models.steps import State, read_prompts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from models.language_model import LanguageModel
    from models.reading import Window

_TOKENS = 1 << 11
"""Tokens read at once; more of them are read no faster."""
_CACHE = 256 << 20
"""Bytes of keys and values at once."""


def can_share(model: LanguageModel) -> bool:
    """Whether a model is read behind prompts at all.

    On a GPU it is not: what that would bring there was not measured. Nor where a layer is other
    than attention, as some of those go on from a state by one token only.
    """
    from models.cache import has_only_attention  # of transformers, which takes long to import

    return model.device.type == "cpu" and has_only_attention(model.config)


def share_prompts(model: LanguageModel, batch: Sequence[Window]) -> bool:
    """Whether windows are read behind prompts that some of them have in common."""
    prompts = [window.prompt for window in batch]
    return can_share(model) and all(prompts) and len(set(prompts)) < len(prompts)


def batches(model: LanguageModel, windows: Sequence[Window], positions: int) -> Iterator[list[int]]:
    """Cuts windows into batches, those that share a prompt with others apart from the rest.

    Args:
        model: What reads them.
        windows: In any order.
        positions: Those whose logits are in memory at once.

    Yields:
        The numbers of the windows of a batch.
    """
    n_samples = Counter(window.prompt for window in windows)
    del n_samples[()]
    shares = can_share(model)
    sharing = [i for i, w in enumerate(windows) if shares and n_samples[w.prompt] > 1]
    alone = sorted(set(range(len(windows))) - set(sharing))
    for batch in side_by_side([windows[i] for i in alone], positions):
        yield [alone[i] for i in batch]
    for batch in _behind_prompts(model, [windows[i] for i in sharing], positions):
        yield [sharing[i] for i in batch]


def _behind_prompts(
    model: LanguageModel, windows: Sequence[Window], positions: int
) -> Iterator[list[int]]:
    """Batches of windows that come after prompts, those of a prompt together."""
    most_held = model.batch_tokens or _CACHE // model.cache_bytes
    prompts = [window.prompt for window in windows]
    order = sorted(
        range(len(windows)), key=lambda i: (len(prompts[i]), prompts[i], len(windows[i].targets))
    )
    batch: list[int] = []
    n_prompts = width = 0
    for i in order:
        longest = len(prompts[i])  # of the batch, as they are in order
        is_new = not batch or prompts[i] != prompts[batch[-1]]
        width = max(width, len(windows[i].targets))
        n = len(batch) + 1
        holds = (
            n <= positions
            and (n_prompts + is_new) * longest + n * width <= _TOKENS
            and n * (longest + width) <= most_held
        )
        if batch and not holds:
            yield batch
            batch, n_prompts, is_new, width = [], 0, True, len(windows[i].targets)
        batch.append(i)
        n_prompts += is_new
    if batch:
        yield batch


def read_shared_prompts(model: LanguageModel, batch: Sequence[Window]) -> Callable[..., Tensor]:
    """Reads each prompt of a batch once, and returns what reads on behind them, as `State.read`."""
    state = read_prompts(model, [window.prompt for window in batch])
    assert isinstance(state, State)
    return partial(state.read, model)
