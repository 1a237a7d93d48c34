"""Many generations at once: large batches, prompts read once, finished sequences leaving."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from models.memory import in_halves
from models.nucleus import Limits, draw
from models.randomness import uniforms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence, Set

    from models.decoding import Decoding
    from models.loading import LanguageModel
    from models.recorded import RecordedSteps

_LEAVE_AT = 0.8
"""The batch is rebuilt without its finished rows once no more than this share is still running."""


@dataclass(frozen=True)
class Request:
    """One generation to make.

    Attributes:
        prompt_key: What identifies the prompt; its random numbers belong to it.
        prompt_ids: The prompt's tokens, at least one.
        sample: The generation's number among its prompt's.
        decoding: How its tokens are chosen.
    """

    prompt_key: str
    prompt_ids: tuple[int, ...]
    sample: int
    decoding: Decoding


@dataclass(frozen=True)
class Completion:
    """One generation made.

    Attributes:
        request: What it answers.
        token_ids: Its tokens, the stop token at its end included.
        finish_reason: `stop` where the model ended it, `length` where the limit did.
        logprobs: Of each of its tokens, in nats, under the model's whole distribution; as the
            engine that drew them gives them, and None where it gives none.
    """

    request: Request
    token_ids: tuple[int, ...]
    finish_reason: str
    logprobs: tuple[float, ...] | None = None


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
        requests: What to generate, in any order.
        max_new_tokens: Tokens at which a generation is cut, at least 1.
        seed: The study's seed.
        batch_size: Rows at once; by default as many as memory holds, a power of two.
        finished: Those that were made before. They are passed over, and keep their places in the
            batches, so that the others come out as they would have then.
        on_tokens: Called after each step with the tokens drawn and the tokens settled; these
            include those that a generation which just stopped left of its `max_new_tokens`.

    Yields:
        The completions of each batch.

    Raises:
        ModelError: Memory does not hold a single generation.
    """
    # Prompts of like length share a batch, so that little of it is padding; a prompt's requests
    # stay together, so that it is read once.
    queue = sorted(requests, key=lambda r: (len(r.prompt_ids), r.prompt_ids, r.prompt_key))
    longest = max((len(r.prompt_ids) for r in queue), default=0) + max_new_tokens
    rows = batch_size or model.rows_that_fit(longest)
    recorded = _record_steps(model, longest)
    start = 0
    while start < len(queue):
        batch = [r for r in queue[start : start + rows] if r not in finished]
        start += rows
        if batch:
            yield in_halves(
                lambda part: _run_batch(model, part, max_new_tokens, seed, on_tokens, recorded),
                batch,
            )


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

    state = _read_prompts(model, batch, recorded)
    alive = np.arange(len(batch))  # which request each row is
    drawn: list[tuple[np.ndarray, np.ndarray]] = []  # at each position: the requests, their tokens
    stopped = np.zeros(len(batch), dtype=bool)
    for position in range(max_new_tokens):
        tokens = draw(
            state.logits, limits=limits, temperature=temperature, uniform=uniform[:, position]
        )
        token_ids = tokens.cpu().numpy()  # all that is waited for in a step
        running = ~stopped[alive]
        ended = np.isin(token_ids, stops)
        drawn.append((alive[running], token_ids[running]))
        stopped[alive[ended]] = True
        just_ended = int((ended & running).sum())
        n_drawn = int(running.sum())
        on_tokens(n_drawn, n_drawn + just_ended * (max_new_tokens - position - 1))
        remaining = running & ~ended
        n_remaining = int(remaining.sum())
        if n_remaining == 0 or position + 1 == max_new_tokens:
            break
        if n_remaining <= _LEAVE_AT * len(alive):
            alive = alive[remaining]
            rows = torch.from_numpy(remaining.nonzero()[0]).to(device)
            state.keep(rows)
            tokens, limits, uniform = tokens[rows], limits.rows(rows), uniform[rows]
            temperature = None if temperature is None else temperature[rows]
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
        Completion(request, tuple(ids), "stop" if ended else "length")
        for request, ids, ended in zip(batch, sequences, stopped.tolist(), strict=True)
    ]


@dataclass
class _State:
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
        positions = None
        if self.attention is not None:
            self.attention = torch.cat([self.attention, torch.ones_like(tokens)[:, None]], dim=1)
            positions = self.attention.sum(1, keepdim=True) - 1
        self.logits = model.forward(
            tokens[:, None], cache=self.cache, attention=self.attention, positions=positions
        )[:, 0]


class _RecordedState:
    """The same, where steps are recorded."""

    def __init__(self, steps: RecordedSteps, logits: Tensor) -> None:
        self._steps = steps
        self.logits = logits

    def keep(self, rows: Tensor) -> None:
        self._steps.keep(rows)
        self.logits = self.logits[rows]

    def step(self, model: LanguageModel, tokens: Tensor) -> None:
        self.logits = self._steps.step(tokens)


def _read_prompts(
    model: LanguageModel, batch: Sequence[Request], recorded: RecordedSteps | None
) -> _State | _RecordedState:
    """Reads each distinct prompt of the batch once, and copies what was computed to its rows."""
    prompts = list(dict.fromkeys(request.prompt_ids for request in batch))
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
    rows = torch.tensor([place[r.prompt_ids] for r in batch], device=model.device)
    if recorded is not None:
        recorded.begin(cache, attention if padded else None, rows)
        return _RecordedState(recorded, logits[rows])
    state = _State(cache, logits, attention if padded else None)
    state.keep(rows)
    return state
