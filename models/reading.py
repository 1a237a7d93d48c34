"""Reading texts side by side, in windows that are no longer than what a model reads."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from models.errors import ModelError
from models.memory import in_halves

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence, Set

GROUP_TOKENS = 1 << 14
"""Tokens sorted by length together. All that is in memory at once is theirs."""

Found = TypeVar("Found")


@dataclass(frozen=True)
class Text:
    """Tokens to read, and what they come after.

    Attributes:
        name: What the caller knows it by.
        context_ids: What they come after, at least one token.
        token_ids: The tokens.
    """

    name: str
    context_ids: Sequence[int]
    token_ids: Sequence[int]


@dataclass(frozen=True)
class Window:
    """A part of a text that is read in one go.

    Attributes:
        inputs: What is read.
        targets: The tokens that are predicted; they come after the last of the inputs.
    """

    inputs: Sequence[int]
    targets: Sequence[int]

    @property
    def skipped(self) -> int:
        """Inputs before the one that the first target comes after."""
        return len(self.inputs) - len(self.targets)

    @property
    def prompt(self) -> tuple[int, ...]:
        """The inputs that are skipped."""
        return tuple(self.inputs[: self.skipped])


def windows(
    context_ids: Sequence[int], token_ids: Sequence[int], context_length: int
) -> Iterator[Window]:
    """Cuts a text as lm-evaluation-harness does for its rolling log-likelihood.

    Every token is predicted once. The first window begins with the context; each further one
    predicts as many tokens as a model reads, and the last is filled up with what comes before it.

    Args:
        context_ids: What comes before the text, at least one token.
        token_ids: The text.
        context_length: Tokens that the model reads at most.

    Raises:
        ModelError: The context alone is longer than that.
    """
    if len(context_ids) > context_length:
        raise ModelError(
            f"a prompt of {len(context_ids)} tokens is more than the {context_length} that the "
            "model reads; shorten it, or leave it out"
        )
    everything = [*context_ids, *token_ids]
    done = len(context_ids)
    end = min(context_length + 1, len(everything))
    while done < len(everything):
        start = max(0, end - context_length - 1)
        yield Window(everything[start : end - 1], everything[done:end])
        done, end = end, min(end + context_length, len(everything))


def groups(
    texts: Iterable[Text], group_tokens: int, finished: Set[str] = frozenset()
) -> Iterator[list[Text]]:
    """Cuts texts into groups, which are in memory at once and sorted by length together.

    The groups are the same whatever is finished, so a run that goes on reads what is left side by
    side with what the stopped one would have.

    Args:
        texts: Read as they are needed; a text without tokens is passed over.
        group_tokens: Tokens of a group, those of contexts included.
        finished: Names of texts that were read before; groups of these alone are passed over.
    """
    group: list[Text] = []
    size = 0
    for text in texts:
        if len(text.token_ids) == 0:
            continue
        group.append(text)
        size += len(text.context_ids) + len(text.token_ids)
        if size >= group_tokens:
            if not all(text.name in finished for text in group):
                yield group
            group, size = [], 0
    if group and not all(text.name in finished for text in group):
        yield group


def read(
    groups: Iterable[list[Text]],
    *,
    context_length: int,
    cut: Callable[[Sequence[Window]], Iterable[list[int]]],
    read_batch: Callable[[Sequence[Window]], Sequence[Callable[[], Found]]],
    join: Callable[[list[Found]], Found],
    on_tokens: Callable[[int], None] = lambda read: None,
    ahead: bool = False,
) -> Iterator[list[tuple[Text, Found]]]:
    """Reads texts, a group of them at a time.

    Args:
        groups: The texts, as `groups` cuts them; read as they are needed.
        context_length: Tokens that a window has at most.
        cut: Cuts a group's windows into batches: the numbers of those that are read side by side.
        read_batch: Starts to read a batch, and returns for each of its windows a function that
            waits for what is wanted of it.
        join: Makes of what was found of a text's windows what is found of the text.
        on_tokens: Called with the number of tokens that were predicted since the last call.
        ahead: Whether a group is started before the one before it is waited for.

    Yields:
        Groups of texts, in the order in which they came, with what was found of them.

    Raises:
        ModelError: A context is longer than what the model reads, or memory does not hold a window.
    """

    def start(group: list[Text]) -> Callable[[], list[tuple[Text, Found]]]:
        placed = [
            (number, window)
            for number, text in enumerate(group)
            for window in windows(text.context_ids, text.token_ids, context_length)
        ]
        waiting: dict[int, Callable[[], Found]] = {}
        for batch in cut([window for _, window in placed]):
            some = [placed[i][1] for i in batch]
            waiting |= dict(zip(batch, in_halves(read_batch, some), strict=True))
            on_tokens(sum(len(window.targets) for window in some))

        def finish() -> list[tuple[Text, Found]]:
            parts: list[list[Found]] = [[] for _ in group]
            for i, (number, _) in enumerate(placed):
                parts[number].append(waiting[i]())
            return [(text, join(of_text)) for text, of_text in zip(group, parts, strict=True)]

        return finish

    started: deque[Callable[[], list[tuple[Text, Found]]]] = deque()
    for group in groups:
        started.append(start(group))
        if len(started) > ahead:
            yield started.popleft()()
    for finish in started:
        yield finish()


def side_by_side(windows: Sequence[Window], batch_tokens: int) -> Iterator[list[int]]:
    """Batches of windows that skip alike and are of like length, so little is read in vain.

    Args:
        windows: In any order.
        batch_tokens: Inputs that are read at once, padding included; a longer window is by itself.

    Yields:
        The numbers of the windows of a batch.
    """
    order = sorted(range(len(windows)), key=lambda i: (windows[i].skipped, len(windows[i].inputs)))
    for batch in batches([windows[i] for i in order], batch_tokens):
        yield [order[i] for i in batch]


def batches(ordered: Sequence[Window], batch_tokens: int) -> Iterator[list[int]]:
    """Neighbours whose inputs, padded to the longest, are no more than `batch_tokens`; or one."""
    batch: list[int] = []
    width = 0
    for i, window in enumerate(ordered):
        width = max(width, len(window.inputs))
        if batch and width * (len(batch) + 1) > batch_tokens:
            yield batch
            batch, width = [], len(window.inputs)
        batch.append(i)
    if batch:
        yield batch


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on a device, without waiting for what a GPU does meanwhile."""
    if device.type != "cuda" or tensor.is_cuda:
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def as_tensors(batch: Sequence[Window]) -> tuple[Tensor, Tensor]:
    """A batch's inputs and targets, int64 [windows, width].

    Padding stands on the right, where no token before it can see it, so that no mask is needed. A
    target stands where the input is that it comes after; there is -1 where there is none.
    """
    width = max(len(window.inputs) for window in batch)
    ids = torch.zeros((len(batch), width), dtype=torch.long)
    targets = torch.full((len(batch), width), -1, dtype=torch.long)
    for row, window in enumerate(batch):
        ids[row, : len(window.inputs)] = torch.tensor(window.inputs)
        targets[row, window.skipped : len(window.inputs)] = torch.tensor(window.targets)
    return ids, targets
