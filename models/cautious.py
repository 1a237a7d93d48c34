"""Several continuations where the next token is uncertain: `models.decoding.Cautious` for a batch.

A generation has one row of the batch while its tokens are drawn one by one. Where the next token is
uncertain that row becomes several, its trials. Once all of them have ended, the best is kept, and
the generation waits until nothing else of the batch can go on; then the texts so far of all that
wait are read, and go on. A generation's trials, and when it waits, depend on itself alone, so it
comes out the same whatever else is in the batch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from models.completions import Completion
from models.nucleus import Limits, Measured, draw_measured
from models.randomness import trial_uniforms, uniforms
from models.steps import LEAVE_AT, read_prompts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from models.completions import Request
    from models.decoding import Cautious
    from models.language_model import LanguageModel
    from models.steps import RecordedState, State

MARKS = frozenset(".,\n?!:;)]}")
"""What ends a trial: the paper's punctuation marks."""


@dataclass(eq=False)
class _Writing:
    """A generation that is being made.

    Attributes:
        request: What it answers.
        place: Its place in the batch.
        token_ids: Its tokens so far, those of trials that may not be kept not among them.
        trials: What it may go on with, where it is uncertain.
        forward_passes: How many next tokens' distributions the model gave for it so far.
        finish_reason: None until it is finished.
    """

    request: Request
    place: int
    token_ids: list[int] = field(default_factory=list)
    trials: list[_Row] = field(default_factory=list)
    forward_passes: int = 0
    finish_reason: str | None = None

    @property
    def cautious(self) -> Cautious:
        """How its continuations are chosen."""
        assert self.request.decoding.cautious is not None
        return self.request.decoding.cautious


@dataclass(eq=False)
class _Row:
    """A row of the batch: a generation that goes on token by token, or one of its trials.

    Attributes:
        writing: The generation.
        uniform: Its random numbers, from the position at which it begins.
        is_trial: Whether it is a trial.
        token_ids: The tokens drawn in it.
        logprobs: Their log-probabilities in nats, among what they were drawn from.
        has_ended: Whether it goes on no more.
    """

    writing: _Writing
    uniform: np.ndarray
    is_trial: bool
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    has_ended: bool = False

    @property
    def next_uniform(self) -> float:
        """The random number of its next token; any where it has ended."""
        return float(self.uniform[min(len(self.token_ids), len(self.uniform) - 1)])


def write_cautiously(
    model: LanguageModel,
    batch: Sequence[Request],
    max_new_tokens: int,
    seed: int,
    on_tokens: Callable[[int, int], None],
) -> list[Completion]:
    """Makes generations whose decodings are cautious.

    Args:
        model: The model.
        batch: What to generate; each takes as many rows as its decoding may have trials.
        max_new_tokens: Tokens at which a generation is cut.
        seed: The study's seed.
        on_tokens: As in `sampling.sample`; told of a trial's tokens once it is kept.
    """
    return _Batch(model, batch, max_new_tokens, seed, on_tokens).write()


class _Batch:
    """What the generations of a batch share."""

    def __init__(
        self,
        model: LanguageModel,
        batch: Sequence[Request],
        max_new_tokens: int,
        seed: int,
        on_tokens: Callable[[int, int], None],
    ) -> None:
        self._model = model
        self._longest = max_new_tokens
        self._seed = seed
        self._on_tokens = on_tokens
        self._writings = [_Writing(request, place) for place, request in enumerate(batch)]
        self._limits = Limits.of([request.decoding for request in batch], model.device)
        temperatures = [request.decoding.temperature for request in batch]
        self._temperature = torch.tensor(temperatures, device=model.device)
        self._ends_trials = _EndsTrials(model)

    @torch.inference_mode()
    def write(self) -> list[Completion]:
        while waiting := [w for w in self._writings if w.finish_reason is None]:
            self._go_on(waiting)
        return [
            Completion(
                writing.request,
                tuple(writing.token_ids),
                str(writing.finish_reason),
                forward_passes=writing.forward_passes,
            )
            for writing in self._writings
        ]

    def _go_on(self, waiting: list[_Writing]) -> None:
        """Writes until each of these generations is finished, or has kept a trial."""
        state = read_prompts(self._model, [(*w.request.prompt_ids, *w.token_ids) for w in waiting])
        rows = [self._row(writing) for writing in waiting]
        for row in rows:
            row.writing.forward_passes += 1
        while True:
            drawn = self._draw(state, rows)
            several = self._several(rows, drawn.entropies.tolist())
            if several is not None:
                rows, kept = several
                state.keep(torch.tensor(kept, device=self._model.device))
                drawn = self._draw(state, rows)
            self._take(rows, drawn)
            alive = [place for place, row in enumerate(rows) if not row.has_ended]
            if not alive:
                return
            tokens = drawn.tokens
            if len(alive) <= LEAVE_AT * len(rows):
                kept_rows = torch.tensor(alive, device=self._model.device)
                state.keep(kept_rows)
                tokens = tokens[kept_rows]
                rows = [rows[place] for place in alive]
            state.step(self._model, tokens)
            for row in rows:
                row.writing.forward_passes += not row.has_ended

    def _row(self, writing: _Writing) -> _Row:
        """The row in which a generation goes on token by token."""
        request = writing.request
        uniform = uniforms(self._seed, request.prompt_key, request.sample, self._longest)
        return _Row(writing, uniform[len(writing.token_ids) :], is_trial=False)

    def _trials(self, writing: _Writing, n_trials: int) -> list[_Row]:
        request, start = writing.request, len(writing.token_ids)
        identity = self._seed, request.prompt_key, request.sample, start
        return [
            _Row(
                writing,
                trial_uniforms(*identity, trial, self._longest - start),
                is_trial=True,
            )
            for trial in range(n_trials)
        ]

    def _draw(self, state: State | RecordedState, rows: list[_Row]) -> Measured:
        device = self._model.device
        places = torch.tensor([row.writing.place for row in rows], device=device)
        uniform = torch.tensor(
            [row.next_uniform for row in rows], dtype=torch.float64, device=device
        )
        return draw_measured(
            state.logits,
            limits=self._limits.rows(places),
            temperature=self._temperature[places],
            uniform=uniform,
        )

    def _several(
        self, rows: list[_Row], entropies: list[float]
    ) -> tuple[list[_Row], list[int]] | None:
        """The rows with trials in place of those that are uncertain, and which row each was.

        None where no row is uncertain.
        """
        become: list[_Row] = []
        places: list[int] = []
        for place, (row, entropy) in enumerate(zip(rows, entropies, strict=True)):
            instead = [row]
            if not (row.is_trial or row.has_ended):
                n_trials = row.writing.cautious.n_trials(entropy)
                if n_trials > 1:
                    instead = row.writing.trials = self._trials(row.writing, n_trials)
            become += instead
            places += [place] * len(instead)
        return (become, places) if len(become) > len(rows) else None

    def _take(self, rows: list[_Row], drawn: Measured) -> None:
        """Takes each row's next token in, and keeps a trial of those whose trials have ended."""
        ended = []
        for row, token, logprob in zip(
            rows, drawn.tokens.tolist(), drawn.logprobs.tolist(), strict=True
        ):
            if row.has_ended:
                continue
            writing = row.writing
            row.token_ids.append(token)
            row.logprobs.append(logprob)
            if not row.is_trial:
                self._write(writing, [token])
                row.has_ended = writing.finish_reason is not None
                continue
            length = len(writing.token_ids) + len(row.token_ids)
            row.has_ended = self._ends_trials(token) or length == self._longest
            if row.has_ended:
                ended.append(writing)
        for writing in dict.fromkeys(ended):
            if all(trial.has_ended for trial in writing.trials):
                best = max(writing.trials, key=lambda trial: float(np.mean(trial.logprobs)))
                writing.trials = []
                self._write(writing, best.token_ids)

    def _write(self, writing: _Writing, token_ids: list[int]) -> None:
        """Takes tokens into a generation, and sees whether it is finished."""
        writing.token_ids += token_ids
        left = self._longest - len(writing.token_ids)
        if writing.token_ids[-1] in self._model.stop_token_ids:
            writing.finish_reason = "stop"
        elif left == 0:
            writing.finish_reason = "length"
        is_finished = writing.finish_reason is not None
        self._on_tokens(len(token_ids), len(token_ids) + (left if is_finished else 0))


class _EndsTrials:
    """Whether a token ends a trial; each token is looked at once."""

    def __init__(self, model: LanguageModel) -> None:
        self._tokenizer: Any = model.tokenizer
        self._known = dict.fromkeys(model.stop_token_ids, True)

    def __call__(self, token: int) -> bool:
        if token not in self._known:
            text = self._tokenizer.decode(
                [token], skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
            self._known[token] = not MARKS.isdisjoint(text)
        return self._known[token]
