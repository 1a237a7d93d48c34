"""The rules of `models.decoding.Rules`, for the rows of a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from models.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from models.decoding import Decoding, Rules
    from models.language_model import LanguageModel

_BEFORE = ("\n", "a", ".", "=")
"""What a word is written after to see whether it is one token: after one of these no token of the
text before it takes a part of it in."""


@dataclass
class RuleBook:
    """What rules add to the logits of a batch's rows.

    Attributes:
        end: float32 [rows], nats for each token said; 0 where a row has no rules.
        repeat: float32 [rows], nats that a token costs once it was said.
        shifts: float32 [decodings, n], nats of the tokens that some decoding's words are.
        shifted: int64 [n], these tokens.
        decoding: int64 [rows], which of the shifts are a row's.
        stops: int64 [s], the tokens that end a generation.
        said: int64 [rows, t], the tokens of the response so far.
    """

    end: Tensor
    repeat: Tensor
    shifts: Tensor
    shifted: Tensor
    decoding: Tensor
    stops: Tensor
    said: Tensor

    @classmethod
    def of(cls, model: LanguageModel, decodings: Sequence[Decoding]) -> Self | None:
        """The rules of some decodings, a row each; None where no decoding has any.

        Raises:
            ModelError: A word that the study gives is not one token.
        """
        kinds = list(dict.fromkeys(d.rules for d in decodings))
        if not any(kinds):
            return None
        shifts = [{} if k is None else token_shifts(model.tokenizer, k) for k in kinds]
        shifted = sorted({token for by_token in shifts for token in by_token})
        device = model.device

        def of_rows(values: list[float]) -> Tensor:
            return torch.tensor(values, dtype=torch.float32, device=device)

        return cls(
            end=of_rows([d.rules.end if d.rules else 0 for d in decodings]),
            repeat=of_rows([d.rules.repeat if d.rules else 0 for d in decodings]),
            shifts=of_rows([[by.get(token, 0) for token in shifted] for by in shifts]),  # type: ignore[misc]
            shifted=torch.tensor(shifted, dtype=torch.long, device=device),
            decoding=torch.tensor([kinds.index(d.rules) for d in decodings], device=device),
            stops=torch.tensor(sorted(model.stop_token_ids), dtype=torch.long, device=device),
            said=torch.empty((len(decodings), 0), dtype=torch.long, device=device),
        )

    def applied(self, logits: Tensor) -> Tensor:
        """The logits [rows, vocabulary] with what the rules add, as float32; they are unchanged."""
        changed = logits.to(torch.float32, copy=True)
        changed[:, self.shifted] += self.shifts[self.decoding]
        changed[:, self.stops] += (self.end * self.said.shape[1])[:, None]
        # A token that was said repeatedly is written repeatedly, with the same value.
        changed.scatter_(1, self.said, changed.gather(1, self.said) - self.repeat[:, None])
        return changed

    def say(self, tokens: Tensor) -> None:
        """Takes each row's next token in, int64 [rows]."""
        self.said = torch.cat([self.said, tokens[:, None]], dim=1)

    def keep(self, rows: Tensor) -> None:
        """Keeps these rows, in this order."""
        self.end, self.repeat, self.decoding, self.said = (
            values[rows] for values in (self.end, self.repeat, self.decoding, self.said)
        )


def token_shifts(tokenizer: Any, rules: Rules) -> dict[int, float]:
    """By how many nats tokens are shifted, by their ids.

    The paper's words are tokens of Llama 2; those that are not one token of another tokenizer are
    passed over, and `passed_over` names them.

    Args:
        tokenizer: The transformers tokenizer.
        rules: The rules.

    Raises:
        ModelError: A word that the study gives is not one token.
    """
    check_words(tokenizer, rules)
    by_token: dict[int, float] = {}
    for word, shift in rules.words:
        token = _token_of(tokenizer, word)
        if token is not None:
            by_token.setdefault(token, shift)
    return by_token


def check_words(tokenizer: Any, rules: Rules) -> None:
    """Looks whether the words that a study gives are tokens.

    Raises:
        ModelError: One of them is not.
    """
    if rules.has_own_words and (missing := passed_over(tokenizer, rules)):
        raise ModelError(
            f"words of the decoding {rules.name} must be single tokens, and the tokenizer has none "
            f"for {', '.join(map(repr, missing))}: leave them out, or take others"
        )


def passed_over(tokenizer: Any, rules: Rules) -> list[str]:
    """The words of rules that are not one token of a tokenizer."""
    return [word for word, _ in rules.words if _token_of(tokenizer, word) is None]


def _token_of(tokenizer: Any, word: str) -> int | None:
    """The token that adds a word, with its leading spaces, to a text; None where several do.

    What a text begins with is often tokenized otherwise, so the word is written after another.
    """
    for before in _BEFORE:
        alone, longer = (
            tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
            for text in (before, before + word)
        )
        if longer[:-1] == alone and len(longer) == len(alone) + 1:
            return int(longer[-1])
    return None
