"""Fine-tuning on documents, the same way for every model, and resumable."""

from __future__ import annotations

import math
import time
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from models.errors import ModelError
from models.reading import as_tensors, batches, windows
from models.scoring import positions_at_once, score

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from torch.nn import Parameter

    from models.language_model import LanguageModel
    from models.reading import Text

Method = Literal["full", "lora"]
LEARNING_RATES: dict[Method, float] = {"full": 2e-5, "lora": 2e-4}
DEFAULT_RANK = 16

_WARMUP = 0.1
"""Share of the steps in which the learning rate rises; then it falls to nothing, both linearly."""
_LARGEST_GRADIENT = 1.0
_LONGEST_WINDOW = 1024
"""Tokens; longer documents are learned from in several windows."""
_SAVE_SECONDS = 60.0
"""State is written to the disk after a step that ends as long after the last time."""
_LOSS_NUMBERS = 1 << 21
"""Logits as float32 at once, where a loss and its gradient are computed of them."""
_POSITIONS = 4096
"""Learned from at once at most; their activations are in memory together."""
_STATE = "state.pt"


@dataclass(frozen=True)
class Schedule:
    """How a model is fine-tuned; what it does not hold, such as the optimizer, never changes.

    Attributes:
        method: All weights, or low-rank adapters (Hu et al., 2021) of all linear layers but the
            output layer, scaled by 2.
        steps: Steps of the optimizer, AdamW without weight decay.
        documents_per_step: Documents that a step learns from; every token of them counts alike.
        learning_rate: The highest.
        rank: Of the adapters.
        evaluate_every: Steps after which the loss on the validation part is looked at.
        seed: Of the order of the documents, and of the adapters.
    """

    method: Method
    steps: int
    documents_per_step: int
    learning_rate: float
    rank: int
    evaluate_every: int
    seed: int

    def learning_rate_at(self, step: int) -> float:
        """The learning rate of a step, from 0."""
        rising = max(1, round(_WARMUP * self.steps))
        share = min((step + 1) / rising, (self.steps - step) / max(1, self.steps - rising))
        return self.learning_rate * min(1.0, share)

    def documents(self, step: int, n: int) -> list[int]:
        """Which of n documents a step learns from: all in turn, each time in another order."""
        first = step * self.documents_per_step
        return [
            int(np.random.default_rng([self.seed, i // n]).permutation(n)[i % n])
            for i in range(first, first + self.documents_per_step)
        ]


@dataclass
class Course:
    """How fine-tuning went, a number an evaluation.

    Attributes:
        steps: After how many steps; the first is 0.
        training: Mean loss of the steps since the evaluation before, in nats a token; 0 at first.
        validation: That over the validation part; nan where there is none.
    """

    steps: list[int] = field(default_factory=list)
    training: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)

    @property
    def best(self) -> int:
        """The number of steps with the lowest loss on the validation part; the first of equals.

        Where there is no validation part, the last.
        """
        if not np.isfinite(self.validation).any():
            return self.steps[-1]
        return self.steps[int(np.nanargmin(self.validation))]


def finetune(
    model: LanguageModel,
    training: Sequence[Text],
    validation: Sequence[Text],
    schedule: Schedule,
    folder: Path,
    *,
    on_step: Callable[[int], None] = lambda step: None,
) -> Course:
    """Fine-tunes a model, which is left with the weights of its best step.

    Where the folder holds the state of the same work that was stopped, it goes on from there, to
    the same result.

    Args:
        model: Changed in place.
        training: Documents to learn from, at least one.
        validation: Documents that say which step is best, none of them learned from; without any
            the last one is.
        schedule: How.
        folder: For unfinished work; there already, and of this work alone.
        on_step: Called with the number of steps done, while the model has their weights.

    Returns:
        How it went.

    Raises:
        ModelError: The loss is no number any more.
    """
    dtype = model.model.dtype
    learned = _prepare(model, schedule)
    optimizer = torch.optim.AdamW(
        learned.values(), lr=schedule.learning_rate, weight_decay=0.0, fused=True
    )
    course, step = Course(), 0
    losses: list[float] = []
    resumes_from: int | None = None
    if state := _unfinished(folder, learned, model.device):
        _put(learned, state["weights"])
        optimizer.load_state_dict(state["optimizer"])
        course, step, losses = Course(**state["course"]), state["step"], state["losses"]
        resumes_from = course.best
    saved = time.monotonic()
    while True:
        on_step(step)
        due = step % schedule.evaluate_every == 0 or step == schedule.steps
        if due and step not in course.steps:
            course.steps.append(step)
            course.training.append(float(np.mean(losses)) if losses else 0.0)
            course.validation.append(mean_loss(model, validation) if validation else math.nan)
            losses = []
            if course.best == step:
                _save(_weights_of(folder, step), _taken(learned))
                _forget_all_but(folder, course.best, resumes_from)
        if time.monotonic() - saved >= _SAVE_SECONDS:
            state = {"step": step, "losses": losses, "course": asdict(course)}
            tensors = {"weights": _taken(learned), "optimizer": optimizer.state_dict()}
            _save(folder / _STATE, state | tensors)
            resumes_from = course.best
            _forget_all_but(folder, course.best)
            saved = time.monotonic()
        if step == schedule.steps:
            break
        for group in optimizer.param_groups:
            group["lr"] = schedule.learning_rate_at(step)
        chosen = schedule.documents(step, len(training))
        losses.append(_learn(model, [training[i] for i in chosen], dtype))
        if not math.isfinite(losses[-1]):
            raise ModelError(
                f"fine-tuning went astray: after {step} steps the loss is no number; lower "
                "`learning_rate:`"
            )
        torch.nn.utils.clip_grad_norm_(learned.values(), _LARGEST_GRADIENT)
        optimizer.step()
        optimizer.zero_grad()
        step += 1
    best = _weights_of(folder, course.best)
    _put(learned, torch.load(best, map_location=model.device, weights_only=True))
    for parameter in learned.values():
        parameter.requires_grad_(False)
        if schedule.method == "full":
            parameter.data = parameter.data.to(dtype)
    return course


def mean_loss(model: LanguageModel, texts: Sequence[Text]) -> float:
    """Negative log-likelihood of texts, in nats a token."""
    total, n_tokens = 0.0, 0
    for group in score(model, texts):
        for scored in group:
            total -= float(scored.distributions.logprob.sum(dtype="float64"))
            n_tokens += len(scored.distributions)
    return total / n_tokens


def _prepare(model: LanguageModel, schedule: Schedule) -> dict[str, Parameter]:
    """The weights that are learned, by name, as float32.

    Nothing else changes its precision: a model computes its positions from numbers of its own.
    """
    if schedule.method == "lora":
        from peft import LoraConfig

        adapters = LoraConfig(
            r=schedule.rank,
            lora_alpha=2 * schedule.rank,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        )
        with torch.random.fork_rng():
            torch.manual_seed(schedule.seed)
            model.model.add_adapter(adapters)
    else:
        model.model.requires_grad_(True)
    learned = {name: p for name, p in model.model.named_parameters() if p.requires_grad}
    for parameter in learned.values():
        parameter.data = parameter.data.float()
    return learned


def _learn(model: LanguageModel, texts: Sequence[Text], dtype: torch.dtype) -> float:
    """Adds up the gradients of a step; returns its loss, in nats a token."""
    longest = min(model.context_length, _LONGEST_WINDOW)
    cut = [w for text in texts for w in windows(text.context_ids, text.token_ids, longest)]
    cut.sort(key=lambda window: len(window.inputs))
    n_tokens = sum(len(window.targets) for window in cut)
    total = 0.0
    for batch in batches(cut, min(positions_at_once(model), _POSITIONS)):
        ids, targets = as_tensors([cut[i] for i in batch])
        with _precision(model, dtype):
            logits = model.forward(ids.to(model.device), keep=ids.shape[1])
        wanted = targets.to(model.device).flatten()
        flat = logits.flatten(0, 1)
        loss, gradient = _loss(flat.detach(), wanted, 1 / n_tokens)
        flat.backward(gradient)  # type: ignore[no-untyped-call]
        total += loss
    return total / n_tokens


def _loss(logits: Tensor, wanted: Tensor, weight: float) -> tuple[float, Tensor]:
    """Cross-entropy summed over positions, in nats, and its gradient times a weight.

    A few positions at a time, so that neither is ever in memory as float32 numbers as a whole: with
    a large vocabulary moving these takes longer than the model's own layers.

    Args:
        logits: [positions, vocabulary]; written over by the gradient.
        wanted: int64 [positions], -1 where no token is.
        weight: What the gradient is multiplied with.
    """
    total = 0.0
    rows = max(1, _LOSS_NUMBERS // logits.shape[1])
    for some, tokens in zip(torch.split(logits, rows), torch.split(wanted, rows), strict=True):
        known = (tokens >= 0)[:, None]
        place = tokens.clamp(min=0)[:, None]
        logprobs = some.float().log_softmax(1)
        total -= float((logprobs.gather(1, place) * known).sum(dtype=torch.float64))
        slope = logprobs.exp_()
        slope.scatter_add_(1, place, torch.full_like(place, -1, dtype=slope.dtype))
        some.copy_(slope.mul_(known * weight))
    return total, logits


def _precision(model: LanguageModel, dtype: torch.dtype) -> AbstractContextManager[object]:
    """Runs float32 weights at the precision in which the checkpoint runs otherwise."""
    if dtype == torch.float32:
        return nullcontext()
    return torch.autocast(model.device.type, dtype)


def _unfinished(
    folder: Path, learned: dict[str, Parameter], device: torch.device
) -> dict[str, Any] | None:
    """The state that a stopped run left; None where there is none, or not one of these weights.

    One that is damaged, or that another version left, is removed.
    """
    path = folder / _STATE
    if not path.exists():
        return None
    with suppress(Exception):  # what torch raises of a broken file has no common type
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        shapes = {name: weights.shape for name, weights in state["weights"].items()}
        is_whole = {"optimizer", "step", "losses"} <= state.keys()
        best = _weights_of(folder, Course(**state["course"]).best)
        if is_whole and best.exists() and shapes == {n: w.shape for n, w in learned.items()}:
            return state
    path.unlink()
    return None


def _taken(learned: dict[str, Parameter]) -> dict[str, Any]:
    return {name: parameter.detach() for name, parameter in learned.items()}


@torch.no_grad()
def _put(learned: dict[str, Parameter], values: dict[str, Any]) -> None:
    for name, parameter in learned.items():
        parameter.copy_(values[name])


def _weights_of(folder: Path, step: int) -> Path:
    return folder / f"weights-{step:06}.pt"


def _forget_all_but(folder: Path, *steps: int | None) -> None:
    """Removes weights that neither the end nor the state on the disk has a use for."""
    needed = {_weights_of(folder, step) for step in steps if step is not None}
    for path in set(folder.glob("weights-*.pt")) - needed:
        path.unlink()


def _save(path: Path, value: object) -> None:
    """Replaces a file in one step."""
    unfinished = path.with_suffix(".unfinished")
    torch.save(value, unfinished)
    unfinished.replace(path)
