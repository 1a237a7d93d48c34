"""How likely a model finds each of several options, what they have in common being read once.

A question is asked with its options in some orders, and each order has several options. The tokens
that the orders begin with are read once for all of them, the rest of an order once for all of its
options, and of an option what tells it from the others.

No padding ever stands between two tokens of a sequence, so that a sliding window sees what it would
see of the sequence alone: the beginnings are padded on the left, what is read after them is of the
same length in a batch, and options are padded on the right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from models.errors import ModelError
from models.memory import in_halves
from models.scoring import positions_at_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence, Set

    from models.language_model import LanguageModel

Ids = tuple[int, ...]
_TOKENS_ON_CPU = 1 << 11
"""Tokens read at once; more of them are read no faster."""
_TOKENS_ON_GPU = 1 << 16
_ROWS = 64
"""Of logits, that are float64 at once."""


@dataclass(frozen=True)
class Options:
    """Continuations of one context, one of which is to be chosen.

    Attributes:
        name: What the caller knows them by.
        question: What contexts that begin alike have in common.
        context_ids: What they come after, at least one token.
        options: The tokens of each, at least one.
    """

    name: str
    question: str
    context_ids: Ids
    options: tuple[Ids, ...]

    @property
    def n_common(self) -> int:
        """Tokens that all options begin with, one of each being left."""
        return _n_alike(self.options, min(map(len, self.options)) - 1)

    @property
    def read_ids(self) -> Ids:
        """What is read once for all options."""
        return (*self.context_ids, *self.options[0][: self.n_common])


@dataclass(frozen=True)
class _Family:
    """Options whose contexts begin alike, and of which as many tokens are read.

    Attributes:
        members: The options.
        length: Tokens that are read of each.
        n_shared: Of these the first ones that all have in common; the others hold at least the
            context's last token.
    """

    members: tuple[Options, ...]
    length: int
    n_shared: int

    @property
    def n_rest(self) -> int:
        """Tokens of each member that the others need not have."""
        return self.length - self.n_shared

    @property
    def n_predicted(self) -> int:
        """Places at which logits are needed."""
        return sum(
            1 + m.n_common + sum(max(0, len(option) - m.n_common - 1) for option in m.options)
            for m in self.members
        )


def score_options(
    model: LanguageModel,
    asked: Sequence[Options],
    *,
    finished: Set[str] = frozenset(),
    on_options: Callable[[int], None] = lambda scored: None,
) -> Iterator[list[tuple[Options, list[float]]]]:
    """Gives the log-probability of each option after its context, in nats, a batch at a time.

    What is found does not depend on what is asked together, up to floating-point differences of the
    forward pass.

    Args:
        model: The model.
        asked: The options, in any order.
        finished: Names of what was asked before; batches of these alone are passed over.
        on_options: Called with the number of options that were scored since the last call.

    Yields:
        Some of what is asked, with the log-probability of each option.

    Raises:
        ModelError: An option is beyond what the model reads, or its logits are not numbers.
    """
    for options in asked:
        longest = len(options.context_ids) + max(map(len, options.options)) - 1
        if longest > model.context_length:
            raise ModelError(
                f"{options.name} has {longest:,} tokens, more than the {model.context_length:,} "
                "that the model reads; shorten it, or leave it out"
            )
    for batch in _batches(_families(asked), model):
        if all(member.name in finished for family in batch for member in family.members):
            continue
        of_families = in_halves(lambda some: _score(model, some), batch)
        scored = [one for of_family in of_families for one in of_family]
        on_options(sum(len(options.options) for options, _ in scored))
        yield scored


def _families(asked: Iterable[Options]) -> list[_Family]:
    alike: dict[tuple[str, int], list[Options]] = {}
    for options in asked:
        alike.setdefault((options.question, len(options.read_ids)), []).append(options)
    families = []
    for (_, length), members in alike.items():
        contexts = [member.context_ids for member in members]
        n_shared = _n_alike(contexts, min(map(len, contexts)) - 1)
        families.append(_Family(tuple(members), length, n_shared))
    return sorted(families, key=lambda family: (family.n_rest, family.length))


def _batches(families: Sequence[_Family], model: LanguageModel) -> Iterator[list[_Family]]:
    """Neighbours that memory holds at once; in a batch of several, all have a beginning."""
    positions = positions_at_once(model)
    on_gpu = model.device.type == "cuda"
    tokens = model.batch_tokens or (_TOKENS_ON_GPU if on_gpu else _TOKENS_ON_CPU)
    batch: list[_Family] = []
    for family in families:
        some = [*batch, family]
        longest = max(f.length for f in some)
        n_rows = sum(len(m.options) for f in some for m in f.members)
        holds = (
            min(f.length for f in some) > family.n_rest
            and longest * sum(len(f.members) for f in some) <= tokens
            and sum(f.n_predicted for f in some) <= positions
            and n_rows <= model.rows_that_fit(longest)
        )
        if batch and not holds:
            yield batch
            some = [family]
        batch = some
    if batch:
        yield batch


@torch.inference_mode()
def _score(
    model: LanguageModel, families: Sequence[_Family]
) -> list[list[tuple[Options, list[float]]]]:
    """Reads beginnings, then the rest of each order, then of each option its own tokens."""
    n_rest = max(family.n_rest for family in families)
    members = [member for family in families for member in family.members]
    beginnings = [family.members[0].read_ids[: family.length - n_rest] for family in families]
    state = _State(model)
    of_family = [i for i, family in enumerate(families) for _ in family.members]
    if any(beginnings):
        state.read(_padded(beginnings, left=True, model=model), keep=1)
        state.select(of_family)
    most_common = max(member.n_common for member in members)
    rests = [member.read_ids[-n_rest:] for member in members]
    logits = state.read(_padded(rests, left=False, model=model), keep=1 + most_common)

    places = [(row, option) for row, member in enumerate(members) for option in member.options]
    shared, own = _Sums(logits), _Sums(logits)
    for row, member in enumerate(members):
        for column, token in enumerate(member.options[0][: member.n_common]):
            shared.add(row, most_common - member.n_common + column, token, row)
    for place, (row, option) in enumerate(places):
        own.add(row, most_common, option[members[row].n_common], place)
    common_sums, sums = shared.sums(len(members)), own.sums(len(places))
    further = [
        (place, row, option[members[row].n_common :])
        for place, (row, option) in enumerate(places)
        if len(option) > members[row].n_common + 1
    ]
    if further:
        state.select([row for _, row, _ in further])
        ids = _padded([tail[:-1] for _, _, tail in further], left=False, model=model)
        rest = _Sums(state.read(ids, keep=ids.shape[1]))
        for number, (place, _, tail) in enumerate(further):
            for column, token in enumerate(tail[1:]):
                rest.add(number, column, token, place)
        sums = [a + b for a, b in zip(sums, rest.sums(len(places)), strict=True)]

    scores: list[list[float]] = [[] for _ in members]
    for place, (row, _) in enumerate(places):
        scores[row].append(common_sums[row] + sums[place])
    by_family: list[list[tuple[Options, list[float]]]] = [[] for _ in families]
    for row, member in enumerate(members):
        by_family[of_family[row]].append((member, scores[row]))
    return by_family


class _State:
    """Where the forward pass of a batch stands."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self._cache = model.new_cache()
        self._seen: Tensor | None = None  # int64 [rows, seen], 0 on padding

    def read(self, ids: Tensor, keep: int) -> Tensor:
        """Reads tokens, int64 [rows, new], -1 on padding, and gives logits after the last ones."""
        # What is padded on the right is seen by nothing before it, and nothing is read after it.
        new = (ids.cummax(1).values >= 0).long()
        seen = new if self._seen is None else torch.cat([self._seen, new], dim=1)
        self._seen = seen
        padded = not bool(seen.all())
        positions = (seen.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        return self._model.forward(
            ids.clamp(min=0),
            cache=self._cache,
            attention=seen if padded else None,
            positions=positions if padded else None,
            keep=keep,
        )

    def select(self, rows: Sequence[int]) -> None:
        """Goes on with some rows, each as often as it is named."""
        assert self._seen is not None
        chosen = torch.tensor(rows, device=self._seen.device)
        self._cache.batch_select_indices(chosen)
        self._seen = self._seen[chosen]


class _Sums:
    """Log-probabilities of tokens, summed over those that belong together.

    Args:
        logits: [rows, columns, vocabulary].
    """

    def __init__(self, logits: Tensor) -> None:
        self._logits = logits
        self._places: list[tuple[int, int, int]] = []
        self._sums_of: list[int] = []

    def add(self, row: int, column: int, token: int, to: int) -> None:
        """Has a token, at a place, be part of the sum of a number."""
        self._places.append((row, column, token))
        self._sums_of.append(to)

    def sums(self, n: int) -> list[float]:
        """The sums of so many numbers, in nats; float64 throughout."""
        result = [0.0] * n
        if not self._places:
            return result
        rows, columns, tokens = torch.tensor(self._places, device=self._logits.device).T
        needed = list(dict.fromkeys((row, column) for row, column, _ in self._places))
        index = {place: i for i, place in enumerate(needed)}
        at = [index[row, column] for row, column, _ in self._places]
        totals = torch.cat(
            [
                self._logits[tuple(zip(*needed[start : start + _ROWS], strict=True))]
                .double()
                .logsumexp(-1)
                for start in range(0, len(needed), _ROWS)
            ]
        )
        logprobs = self._logits[rows, columns, tokens].double() - totals[at]
        if not bool(logprobs.isfinite().all()):
            raise ModelError(
                "the model's logits are not finite numbers, so nothing can be said of its choices; "
                "set `dtype: float32` or `bfloat16` for this checkpoint, and look whether its "
                "weights are whole"
            )
        for number, logprob in zip(self._sums_of, logprobs.tolist(), strict=True):
            result[number] += logprob
        return result


def _padded(sequences: Sequence[Ids], *, left: bool, model: LanguageModel) -> Tensor:
    """Sequences side by side, int64 [rows, width], -1 on padding."""
    width = max(map(len, sequences))
    ids = torch.full((len(sequences), width), -1, dtype=torch.long)
    for row, sequence in enumerate(sequences):
        start = width - len(sequence) if left else 0
        ids[row, start : start + len(sequence)] = torch.tensor(sequence, dtype=torch.long)
    return ids.to(model.device)


def _n_alike(sequences: Sequence[Ids], most: int) -> int:
    """How many tokens all begin with, at most so many."""
    for place, tokens in enumerate(zip(*sequences, strict=False)):
        if place >= most or len(set(tokens)) > 1:
            return place
    return most
