"""Many generations at once: large batches, prompts read once, finished sequences leaving."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import torch

from models.cautious import write_cautiously
from models.completions import Completion
from models.memory import in_halves
from models.nucleus import Limits, draw
from models.randomness import uniforms
from models.rules import RuleBook
from models.shards import run
from models.steps import LEAVE_AT, read_prompts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence, Set

    from models.completions import Request
    from models.language_model import LanguageModel
    from models.recorded import RecordedSteps


def sample(
    model: LanguageModel,
    requests: Sequence[Request],
    *,
    max_new_tokens: int,
    seed: int,
    batch_size: int | None = None,
    finished: Set[Request] = frozenset(),
    on_tokens: Callable[[int, int], None] = lambda drawn, settled: None,
) -> Iterator[list[Completion]]:
    """Makes the generations, a batch at a time.

    What is generated does not depend on the batch size nor on which requests are made together, up
    to floating-point differences of the forward pass.

    Args:
        model: The model.
        requests: What to generate, in any order; those with a cautious decoding come last.
        max_new_tokens: Tokens at which a generation is cut, at least 1.
        seed: The study's seed.
        batch_size: Rows at once; by default as many as memory holds, a power of two. A cautious
            generation takes as many as it may have trials.
        finished: Those that were made before. They are passed over, and keep their places in the
            batches, so that the others come out as they would have then.
        on_tokens: Called after each step with the tokens drawn and the tokens settled; these
            include those that a generation which just stopped left of its `max_new_tokens`.

    Yields:
        The completions of each batch; of a model in several processes, as soon as they are there.

    Raises:
        ModelError: Memory does not hold a single generation, or the rules of a decoding name words
            that are not tokens of the model.
    """
    longest = max((len(r.prompt_ids) for r in requests), default=0) + max_new_tokens
    plain = [r for r in requests if r.decoding.cautious is None]
    cautious = [r for r in requests if r.decoding.cautious is not None]
    trials = max((r.decoding.cautious.trials for r in cautious if r.decoding.cautious), default=1)

    def cut(rows: int) -> Iterator[list[Request]]:
        return chain(
            _batches(plain, rows, finished), _batches(cautious, max(1, rows // trials), finished)
        )

    yield from run(model, _Sampling(longest, max_new_tokens, seed, batch_size), cut, on_tokens)


@dataclass(frozen=True)
class _Sampling:
    """Making generations, a batch a piece; its decodings are all cautious, or none is."""

    longest: int
    max_new_tokens: int
    seed: int
    batch_size: int | None

    def room(self, model: LanguageModel) -> int:
        """Rows at once."""
        return self.batch_size or model.rows_that_fit(self.longest)

    def results(
        self,
        model: LanguageModel,
        room: int,
        pieces: Iterable[list[Request]],
        told: Callable[..., None],
    ) -> Iterator[list[Completion]]:
        recorded = _record_steps(model, self.longest)

        def complete(batch: Sequence[Request]) -> list[Completion]:
            if batch[0].decoding.cautious is not None:
                return write_cautiously(model, batch, self.max_new_tokens, self.seed, told)
            return _run_batch(model, batch, self.max_new_tokens, self.seed, told, recorded)

        for batch in pieces:
            yield in_halves(complete, batch)


def _batches(
    requests: Sequence[Request], rows: int, finished: Set[Request]
) -> Iterator[list[Request]]:
    # Prompts of like length share a batch, so that little of it is padding; a prompt's requests
    # stay together, so that it is read once.
    queue = sorted(requests, key=lambda r: (len(r.prompt_ids), r.prompt_ids, r.prompt_key))
    for start in range(0, len(queue), rows):
        if batch := [r for r in queue[start : start + rows] if r not in finished]:
            yield batch


def _record_steps(model: LanguageModel, length: int) -> RecordedSteps | None:
    if model.device.type != "cuda":
        return None
    from models.recorded import record_steps  # imports transformers, which takes long

    return record_steps(model, length)


@torch.inference_mode()
def _run_batch(
    model: LanguageModel,
    batch: Sequence[Request],
    max_new_tokens: int,
    seed: int,
    on_tokens: Callable[[int, int], None],
    recorded: RecordedSteps | None,
) -> list[Completion]:
    device = model.device
    random = np.stack([uniforms(seed, r.prompt_key, r.sample, max_new_tokens) for r in batch])
    uniform = torch.from_numpy(random).to(device)
    limits = Limits.of([r.decoding for r in batch], device)
    temperature = None
    if any(r.decoding.temperature != 1 for r in batch):
        temperature = torch.tensor([r.decoding.temperature for r in batch], device=device)
    stops = np.array(sorted(model.stop_token_ids), dtype=np.int64)
    rules = RuleBook.of(model, [r.decoding for r in batch])

    state = read_prompts(model, [r.prompt_ids for r in batch], recorded)
    alive = np.arange(len(batch))  # which request each row is
    drawn: list[tuple[np.ndarray, np.ndarray]] = []  # at each position: the requests, their tokens
    stopped = np.zeros(len(batch), dtype=bool)
    for position in range(max_new_tokens):
        tokens = draw(
            state.logits if rules is None else rules.applied(state.logits),
            limits=limits,
            temperature=temperature,
            uniform=uniform[:, position],
        )
        token_ids = tokens.cpu().numpy()  # all that is waited for in a step
        running = ~stopped[alive]
        ended = np.isin(token_ids, stops)
        drawn.append((alive[running], token_ids[running]))
        stopped[alive[ended]] = True
        just_ended = int((ended & running).sum())
        n_drawn = int(running.sum())
        on_tokens(n_drawn, n_drawn + just_ended * (max_new_tokens - position - 1))
        if rules is not None:
            rules.say(tokens)
        remaining = running & ~ended
        n_remaining = int(remaining.sum())
        if n_remaining == 0 or position + 1 == max_new_tokens:
            break
        if n_remaining <= LEAVE_AT * len(alive):
            alive = alive[remaining]
            rows = torch.from_numpy(remaining.nonzero()[0]).to(device)
            state.keep(rows)
            tokens, limits, uniform = tokens[rows], limits.rows(rows), uniform[rows]
            temperature = None if temperature is None else temperature[rows]
            if rules is not None:
                rules.keep(rows)
        state.step(model, tokens)
    return _collect(batch, drawn, stopped)


def _collect(
    batch: Sequence[Request], drawn: list[tuple[np.ndarray, np.ndarray]], stopped: np.ndarray
) -> list[Completion]:
    sequences: list[list[int]] = [[] for _ in batch]
    for rows, tokens in drawn:
        for row, token in zip(rows.tolist(), tokens.tolist(), strict=True):
            sequences[row].append(token)
    return [
        Completion(request, tuple(ids), "stop" if ended else "length", forward_passes=len(ids))
        for request, ids, ended in zip(batch, sequences, stopped.tolist(), strict=True)
    ]
