"""Whether two texts say the same, by a cross-encoder of sentence-transformers that reads both."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch

from models.embedding import library_version, load_from
from models.errors import ModelError, sentence
from models.sources.folders import check_folder
from models.sources.plausible import check_tokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from models.sources.source import Source

_ENTAILMENT = "entailment"
_BATCH = 64


class PairClassifier:
    """A cross-encoder, ready to run.

    A model of one label gives a score, as those of semantic textual similarity do; of two labels
    the second one says that both are the same; of more, one must be called entailment, and what
    counts is the lesser of the probabilities that either text entails the other.
    """

    def __init__(self, model: Any, labels: Sequence[str]) -> None:
        """Takes a `CrossEncoder` and what its labels are called, in order.

        Raises:
            ModelError: It has several labels, and which of them stands for the same is not known.
        """
        self._model = model
        self._n_labels = len(labels)
        named = [label.lower() for label in labels]
        self._both_ways = _ENTAILMENT in named
        if self._n_labels > 2 and not self._both_ways:
            raise ModelError(
                f"its labels are {', '.join(labels)[:100]}; name a model of one score, of two "
                f"labels, or with the label {_ENTAILMENT}"
            )
        self._same = named.index(_ENTAILMENT) if self._both_ways else self._n_labels - 1

    def scores(self, text: str, others: Sequence[str]) -> np.ndarray:
        """How surely a text says the same as each of others, float [others], from 0 to 1."""
        scores = self._probability([(other, text) for other in others])
        if self._both_ways:
            scores = scores.clip(max=self._probability([(text, other) for other in others]))
        return scores

    def _probability(self, pairs: list[tuple[str, str]]) -> np.ndarray:
        activation = torch.nn.Sigmoid() if self._n_labels == 1 else torch.nn.Softmax(dim=-1)
        predicted: np.ndarray = self._model.predict(
            pairs, batch_size=_BATCH, activation_fn=activation, show_progress_bar=False
        )
        return predicted.reshape(len(pairs), -1)[:, self._same].astype(float)


def check_pair_classifier(source: Source) -> None:
    """Looks whether there is such a model here, without loading or downloading it.

    Raises:
        ModelError: There is none, or sentence-transformers is not installed.
    """
    library_version()
    source.check()


@lru_cache(maxsize=1)
def load_pair_classifier(source: Source, digest: str, device: str | None = None) -> PairClassifier:
    """Loads a cross-encoder; the one that was loaded last is kept.

    Args:
        source: Where it is.
        digest: That of the source, by which another one at the same place is noticed.
        device: A torch device; by default the GPU where there is one.

    Raises:
        ModelError: It is not there, sentence-transformers cannot load it, or its labels tell
            nothing.
    """
    library_version()
    folder = source.locate().folder
    check_folder(folder)
    check_tokenizer(folder)
    from sentence_transformers import CrossEncoder
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        model = load_from(CrossEncoder, folder, device)
    except Exception as error:  # what the libraries raise here has no common type
        raise ModelError(
            f"{source} cannot be loaded as a cross-encoder: {sentence(error)}"
        ) from error
    try:
        return PairClassifier(model.eval(), [config.id2label[i] for i in range(config.num_labels)])
    except ModelError as error:
        raise ModelError(f"{source}: {error}") from None
