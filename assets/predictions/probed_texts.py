"""The texts that probes are trained, tuned and tested on: which, and which for what."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from assets.study.digests import digest

if TYPE_CHECKING:
    from models import Text

FOLDS = 5
"""Parts that a set's prompts are cut into: a probe is tested on one, and tuned on another."""
LEAST_PROMPTS = 3
"""So that each part of the work has some."""


@dataclass
class ProbedTexts:
    """The texts of one writer and set of prompts; none is without tokens.

    Attributes:
        generator: Who wrote them.
        decoding: How.
        corpus: The set of prompts.
        texts: The texts as the model reads them.
        items: Of each its prompt.
    """

    generator: str
    decoding: str
    corpus: str
    texts: list[Text] = field(default_factory=list)
    items: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What the part is called among those kept."""
        return f"{self.generator} {self.corpus}"

    @property
    def n_folds(self) -> int:
        """Parts that their prompts are cut into."""
        return min(FOLDS, len(set(self.items)))

    def limited(self, n_train: int, seed: int) -> ProbedTexts:
        """As many of them as it takes to train on so many tokens.

        A first text of each prompt is taken, then a second of each, and so on; of as many prompts
        at least as there are folds.
        """
        n_tokens = n_train * self.n_folds / (self.n_folds - 2)
        place = {item: i for i, item in enumerate(_shuffled(self.items, seed))}
        seen: dict[str, int] = {}
        turns = []
        for item in self.items:
            seen[item] = seen.get(item, -1) + 1
            turns.append((seen[item], place[item]))
        chosen = ProbedTexts(self.generator, self.decoding, self.corpus)
        for i in sorted(range(len(turns)), key=turns.__getitem__):
            if n_tokens <= 0 and len(chosen.texts) >= self.n_folds:
                break
            chosen.texts.append(self.texts[i])
            chosen.items.append(self.items[i])
            n_tokens -= len(self.texts[i].token_ids)
        return chosen


def _shuffled(items: list[str], seed: int) -> list[str]:
    """Each item once, in an order that depends on the seed alone."""
    return sorted(set(items), key=lambda item: digest([seed, item]))


class Split:
    """Texts' tokens, one text after the other, and which of them a probe may learn from."""

    def __init__(self, texts: ProbedTexts, seed: int) -> None:
        """Cuts the prompts into folds; all texts of a prompt are in one."""
        lengths = [len(text.token_ids) for text in texts.texts]
        self.tokens = np.concatenate([np.asarray(t.token_ids, np.int64) for t in texts.texts])
        self.text = np.repeat(np.arange(len(lengths)), lengths)
        self.n_folds = texts.n_folds
        place = {item: i for i, item in enumerate(_shuffled(texts.items, seed))}
        self._fold = np.array([place[item] % self.n_folds for item in texts.items])
        numbers: dict[tuple[int, ...], int] = {}
        self._same = np.array(
            [numbers.setdefault(tuple(text.token_ids), len(numbers)) for text in texts.texts]
        )

    def parts(self, horizon: int, fold: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Places to train on, to tune on and to test on, each followed by its target.

        No text is in two of them, under whatever prompts it stands.

        Args:
            horizon: Steps from the token that is predicted at a place to the target.
            fold: The one that is tested.

        Returns:
            int64 arrays of indices into `tokens`.
        """
        n = len(self.tokens) - horizon
        places = np.flatnonzero(self.text[: max(n, 0)] == self.text[horizon:])
        tested = self._fold == fold
        held = np.isin(self._same, self._same[tested])
        tuned = ~held & (self._fold == (fold + 1) % self.n_folds)
        held |= np.isin(self._same, self._same[tuned])
        text = self.text[places]
        return places[~held[text]], places[tuned[text]], places[tested[text]]

    def previous(self, places: np.ndarray, horizon: int) -> np.ndarray:
        """What a guess without hidden states may know: the token predicted at places, int64.

        Where that is the target itself, the one before it; -1 at the beginning of a text.
        """
        before = np.where(np.diff(self.text, prepend=-1), -1, np.roll(self.tokens, 1))
        read: np.ndarray = (self.tokens if horizon else before)[places]
        return read
