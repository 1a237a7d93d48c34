"""Cross-encoders say how surely two texts say the same."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from models import ModelError, Source
from models.pair_classifier import load_pair_classifier
from tests.encoders import save_classifier

if TYPE_CHECKING:
    from pathlib import Path

OTHERS = ["the tide is in", "a fox", "nobody came to see it"]


def logits(folder: Path, pairs: list[tuple[str, str]]) -> torch.Tensor:
    """What transformers makes of them, one by one."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        read = [model(**tokenizer(*pair, return_tensors="pt")).logits[0] for pair in pairs]
    return torch.stack(read)


def test_a_score_is_of_one_label_of_two_or_of_entailment_both_ways(tmp_path: Path) -> None:
    text = "the tide is out"
    one_way = [(other, text) for other in OTHERS]
    both_ways = [*one_way, *((text, other) for other in OTHERS)]
    for labels in (["score"], ["other", "same"], ["contradiction", "ENTAILMENT", "neutral"]):
        folder = save_classifier(tmp_path / str(len(labels)), *labels)
        source = Source("dir", str(folder))
        scores = load_pair_classifier(source, source.digest(), "cpu").scores(text, OTHERS)
        if len(labels) == 1:
            expected = logits(folder, one_way).sigmoid()[:, 0]
        elif len(labels) == 2:
            expected = logits(folder, one_way).softmax(1)[:, 1]
        else:
            expected = logits(folder, both_ways).softmax(1)[:, 1].reshape(2, -1).amin(0)
        assert scores == pytest.approx(expected.numpy(), abs=1e-5)
        assert np.ptp(scores) > 1e-3


def test_labels_that_say_nothing_of_sameness_are_refused(tmp_path: Path) -> None:
    source = Source("dir", str(save_classifier(tmp_path / "c", "joy", "anger", "fear")))
    with pytest.raises(ModelError, match=re.escape("its labels are joy, anger, fear; name a mod")):
        load_pair_classifier(source, source.digest(), "cpu")
