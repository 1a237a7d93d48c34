from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from models import score
from models.reading import windows
from models.states import StateFile, hidden_states
from tests.models.test_scoring import texts_of

if TYPE_CHECKING:
    from pathlib import Path


_SLOW = {}


def slowly(model, text) -> list[torch.Tensor]:
    """For each layer the states before every token, each read by itself; made once for each text.

    A token is read after all that it is allowed to see.
    """
    text_ids = tuple(map(int, text.context_ids)), tuple(text.token_ids)
    key = (id(model.model), model.context_length, *text_ids)
    if key not in _SLOW:
        _SLOW[key] = _slowly(model, text)
    return _SLOW[key]


def _slowly(model, text) -> list[torch.Tensor]:
    found = []
    for window in windows(text.context_ids, text.token_ids, model.context_length):
        for i in range(len(window.targets)):
            seen = torch.tensor([list(map(int, window.inputs[: window.skipped + i + 1]))])
            with torch.inference_mode():
                output = model.model(seen, output_hidden_states=True, use_cache=False)
            found.append(torch.stack([states[0, -1] for states in output.hidden_states]))
    return list(torch.stack(found, dim=1))


@pytest.mark.parametrize("context_length", [16, 256])
@pytest.mark.parametrize(("batch_tokens", "group_tokens"), [(1, 30), (40, 10_000), (10_000, 1)])
def test_states_are_those_before_each_token(
    tiny_model, monkeypatch, context_length, batch_tokens, group_tokens
):
    monkeypatch.setattr(tiny_model.config, "max_position_embeddings", context_length)
    texts = [*texts_of(5, 1, 33, 16), *texts_of(6, 20, context=9)]
    for layer in range(tiny_model.n_layers + 1):
        groups = hidden_states(
            tiny_model, texts, layer, batch_tokens=batch_tokens, group_tokens=group_tokens
        )
        found = [pair for group in groups for pair in group]
        assert [text for text, _ in found] == texts
        for text, states in found:
            assert states.shape == (len(text.token_ids), tiny_model.config.hidden_size)
            assert torch.allclose(states, slowly(tiny_model, text)[layer], atol=2e-4)


def test_the_last_layer_is_what_the_output_layer_reads(tiny_model):
    texts = texts_of(30, 12)
    (found,) = hidden_states(tiny_model, texts, tiny_model.n_layers)
    (scored,) = score(tiny_model, texts)
    for (_, states), one in zip(found, scored, strict=True):
        likeliest = (states @ tiny_model.output_weights.T).argmax(1)
        assert likeliest.tolist() == one.distributions.top_ids[:, 0].tolist()


def test_a_text_without_tokens_has_no_states(tiny_llama):
    assert list(hidden_states(tiny_llama, texts_of(0), 1)) == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_file_gives_back_the_vectors_that_it_was_given(tmp_path: Path, dtype: torch.dtype):
    vectors = torch.randn(50, 7, generator=torch.Generator().manual_seed(0)).to(dtype)
    states = StateFile(tmp_path / "states", 7, dtype)
    for start in range(0, 50, 20):
        states.append(vectors[start : start + 20])
    assert len(states) == 50
    assert (tmp_path / "states").stat().st_size == 50 * 7 * dtype.itemsize
    rows = np.array([49, 0, 3, 3, 20])
    assert torch.equal(states[rows], vectors[rows].float())
    assert states[np.empty(0, np.int64)].shape == (0, 7)
