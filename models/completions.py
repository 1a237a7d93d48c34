"""What a sampler is asked for, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.decoding import Decoding


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
        forward_passes: How many next tokens' distributions the model gave for it; None where that
            is not known.
    """

    request: Request
    token_ids: tuple[int, ...]
    finish_reason: str
    logprobs: tuple[float, ...] | None = None
    forward_passes: int | None = None
