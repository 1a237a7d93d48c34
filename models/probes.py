"""Linear probes: what can be read from a hidden state of the tokens to come.

A probe is trained on pairs of a hidden state and a token, and chooses among the tokens that it was
trained on. Two kinds: `vocabulary` goes from the state straight to a score for each token, as Li et
al. (2024, section 4.1) do after Pal et al. (2023, Future Lens, section 2.1); `output_layer` goes to
the width of the last hidden state, and from there through the model's own output layer (section
2.2), so that it has as many weights whatever the vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from models.states import StateFile

Kind = Literal["vocabulary", "output_layer"]
KINDS: tuple[Kind, ...] = ("vocabulary", "output_layer")

_LEARNING_RATES = {"vocabulary": 1e-3, "output_layer": 3e-4}
_BATCH = 256
_READ = 8192
"""States read at once where nothing is learned from them."""
_SCORES = 16 << 20
"""Bytes of scores in memory at once."""
_EPOCHS = 50
_PATIENCE = 3
"""Epochs without a lower loss on the validation part, after which training ends."""


@dataclass(frozen=True)
class Examples:
    """Hidden states, and the token that is to be read from each.

    Attributes:
        states: Where the states are.
        rows: int64 [n], which of them.
        tokens: int64 [n], the tokens.
    """

    states: StateFile
    rows: np.ndarray
    tokens: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def chosen(self, which: np.ndarray) -> Examples:
        """Some of them, by an index or a mask."""
        return Examples(self.states, self.rows[which], self.tokens[which])

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """States, float32 [at most size, width], and tokens, in order."""
        for start in range(0, len(self), size):
            end = start + size
            yield self.states[self.rows[start:end]], torch.from_numpy(self.tokens[start:end])


@dataclass(frozen=True)
class Probe:
    """A linear map from hidden states to scores of tokens.

    Attributes:
        kind: What it goes through.
        tokens: int64 [c], what it chooses among, in order.
        mean: float32 [width], of the states that it was trained on.
        scale: float32 [width], their standard deviation.
        weights: float32 [width, c], or [width, width] where it goes through the output layer.
        bias: float32 [c], or [width].
        output: float32 [c, width], the output layer's rows of the tokens, where it does.
    """

    kind: Kind
    tokens: Tensor
    mean: Tensor
    scale: Tensor
    weights: Tensor
    bias: Tensor
    output: Tensor | None = None

    def scores(self, states: Tensor) -> Tensor:
        """[n, width] to [n, c]."""
        mapped = (states.to(self.mean.device) - self.mean) / self.scale @ self.weights + self.bias
        return mapped if self.output is None else mapped @ self.output.T

    @torch.inference_mode()
    def predict(self, examples: Examples) -> np.ndarray:
        """The token with the highest score for each state, int64 [n]; of equal ones the first."""
        predicted = [
            self.tokens[self.scores(states).argmax(1)].cpu().numpy()
            for states, _ in examples.batches(self._at_once)
        ]
        return np.concatenate([np.empty(0, np.int64), *predicted])

    @torch.inference_mode()
    def loss(self, examples: Examples) -> float:
        """Mean cross-entropy in nats over the examples whose token it knows; nan if there is none.

        What it says of a token that it does not know is the same whatever it learned.
        """
        total, n = 0.0, 0
        for states, tokens in examples.batches(self._at_once):
            places, known = self.places(tokens)
            scores = self.scores(states[known])
            total += float(cross_entropy(scores, places[known].to(scores.device), reduction="sum"))
            n += int(known.sum())
        return total / n if n else float("nan")

    def places(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Where tokens, int64 [n], are among its own, and whether they are at all."""
        vocabulary = self.tokens.cpu()
        places = torch.searchsorted(vocabulary, tokens).clamp(max=len(vocabulary) - 1)
        return places, vocabulary[places] == tokens

    @property
    def _at_once(self) -> int:
        return max(1, min(_READ, _SCORES // (4 * len(self.tokens))))


@dataclass
class Curve:
    """How training went, a number an epoch.

    Attributes:
        training: Mean cross-entropy over the training part while it was learned, in nats.
        validation: That over the validation part afterwards.
    """

    training: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)

    @property
    def best(self) -> int:
        """The epoch with the lowest loss on the validation part, from 0; the first of equals.

        Where nothing of the validation part is known to the probe, the last.
        """
        if not np.isfinite(self.validation).any():
            return len(self.validation) - 1
        return int(np.nanargmin(self.validation))


def train(
    training: Examples,
    validation: Examples,
    *,
    kind: Kind,
    output_weights: Tensor | None = None,
    seed: int,
    device: torch.device | str = "cpu",
    on_tokens: Callable[[int], None] = lambda seen: None,
) -> tuple[Probe, Curve]:
    """Trains a probe by gradient descent on the cross-entropy of the tokens.

    It ends once the loss on the validation part has not come down for some epochs, and gives what
    it had learned at the lowest. The same seed gives the same probe.

    Args:
        training: What it learns from, at least one example.
        validation: What says when to end; of other texts.
        kind: What it goes through.
        output_weights: [vocabulary, width], for the kind `output_layer`.
        seed: Of the order in which examples come.
        device: Where it is trained.
        on_tokens: Called with the number of examples learned from since the last call.

    Returns:
        The probe, and how training went.
    """
    probe = _untrained(training, kind, output_weights, torch.device(device))
    learned = [probe.weights.requires_grad_(), probe.bias.requires_grad_()]
    optimizer = torch.optim.Adam(learned, lr=_LEARNING_RATES[kind], fused=True)
    random = np.random.default_rng(seed)
    curve = Curve()
    best: list[Tensor] = []
    for epoch in range(_EPOCHS):
        total = 0.0
        shuffled = training.chosen(random.permutation(len(training)))
        for states, tokens in shuffled.batches(_BATCH):
            scores = probe.scores(states)
            loss = cross_entropy(scores, probe.places(tokens)[0].to(scores.device))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += float(loss.detach()) * len(tokens)
            on_tokens(len(tokens))
        curve.training.append(total / len(training))
        curve.validation.append(probe.loss(validation))
        if curve.best == epoch:
            best = [tensor.detach().clone() for tensor in learned]
        elif epoch - curve.best == _PATIENCE:
            break
    with torch.no_grad():
        for tensor, value in zip(learned, best, strict=True):
            tensor.requires_grad_(False).copy_(value)
    return probe, curve


def _untrained(
    training: Examples, kind: Kind, output_weights: Tensor | None, device: torch.device
) -> Probe:
    """A probe to which all states are alike.

    It knows how frequent the tokens of the training part are, if it has a number for each.
    """
    values, counts = np.unique(training.tokens, return_counts=True)
    tokens = torch.from_numpy(values)
    mean, scale = _moments(training)
    width = len(mean)
    output = None
    bias = torch.from_numpy(np.log(counts / counts.sum())).float()
    if kind == "output_layer":
        assert output_weights is not None
        output = output_weights[tokens.to(output_weights.device)].float().to(device)
        bias = torch.zeros(width)
    return Probe(
        kind=kind,
        tokens=tokens.to(device),
        mean=mean.to(device),
        scale=scale.to(device),
        weights=torch.zeros((width, len(bias)), device=device),
        bias=bias.to(device),
        output=output,
    )


def _moments(examples: Examples) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the states, float32 [width]; a constant's deviation is 1."""
    total = torch.zeros(examples.states.width, dtype=torch.float64)
    for states, _ in examples.batches(_READ):
        total += states.sum(0, dtype=torch.float64)
    mean = total / len(examples)
    squares = torch.zeros_like(total)
    for states, _ in examples.batches(_READ):
        squares += (states - mean).square().sum(0)
    scale = (squares / len(examples)).sqrt()
    return mean.float(), torch.where(scale > 0, scale, 1.0).float()


@dataclass(frozen=True)
class Baseline:
    """What can be guessed without a hidden state: the token that mostly stands there.

    Attributes:
        frequent: The most frequent token of all; of equally frequent ones the lowest.
        previous: int64 [m], tokens that something is known to follow, in order.
        following: int64 [m], what follows each most often; of equals the lowest.
    """

    frequent: int
    previous: np.ndarray
    following: np.ndarray

    @classmethod
    def of(cls, previous: np.ndarray, tokens: np.ndarray) -> Baseline:
        """Counts.

        Args:
            previous: int64 [n], for each token one that stands some steps before it.
            tokens: int64 [n], at least one.
        """
        values, counts = np.unique(tokens, return_counts=True)
        pairs, times = np.unique(np.stack([previous, tokens], axis=1), axis=0, return_counts=True)
        order = np.lexsort((pairs[:, 1], -times, pairs[:, 0]))
        known, first = np.unique(pairs[order, 0], return_index=True)
        return cls(int(values[counts.argmax()]), known, pairs[order, 1][first])

    def predict(self, previous: np.ndarray) -> np.ndarray:
        """What most often follows each, int64 [n]; the most frequent token after unknown ones."""
        place = np.searchsorted(self.previous, previous).clip(max=len(self.previous) - 1)
        return np.where(self.previous[place] == previous, self.following[place], self.frequent)
