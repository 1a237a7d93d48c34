"""Two models over the same tokens, against one token at a time in float64."""

from __future__ import annotations

import copy
import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from models import LanguageModel, ModelError, Text
from models.divergence import (
    Divergences,
    bytes_of_logits,
    check_alike,
    diverge_in_turn,
    diverge_together,
)
from models.reading import windows

if TYPE_CHECKING:
    from pathlib import Path

_LENGTHS = (5, 1, 40, 16, 17, 33, 2)


def texts_of(*lengths: int) -> list[Text]:
    """Texts of random tokens after contexts of several lengths."""
    generator = torch.Generator().manual_seed(1)

    def drawn(n: int) -> list[int]:
        ids: list[int] = torch.randint(4, 260, (n,), generator=generator).tolist()
        return ids

    return [Text(str(i), drawn(1 + i % 3), drawn(length)) for i, length in enumerate(lengths)]


@pytest.fixture(scope="module")
def noisy(tiny_llama: LanguageModel) -> LanguageModel:
    """The tiny Llama with noise in its weights, as if it had been trained on."""
    moved = copy.deepcopy(tiny_llama.model)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for weights in moved.parameters():
            weights += 0.05 * torch.randn(weights.shape, generator=generator)
    return dataclasses.replace(tiny_llama, model=moved)


@pytest.fixture(params=[16, 256])
def pair(
    request: pytest.FixtureRequest,
    tiny_llama: LanguageModel,
    noisy: LanguageModel,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[LanguageModel, LanguageModel]:
    """The two, the base with a context that is shorter, and one that is longer, than the texts."""
    monkeypatch.setattr(tiny_llama.config, "max_position_embeddings", request.param)
    return noisy, tiny_llama


_SLOW: dict[int, list[list[dict[str, float]]]] = {}


def slowly(pair: tuple[LanguageModel, LanguageModel]) -> list[list[dict[str, float]]]:
    """Every token by itself, after all that both models may see, over float64 softmaxes."""
    context_length = min(model.context_length for model in pair)
    if context_length not in _SLOW:
        _SLOW[context_length] = [_slowly(pair, t, context_length) for t in texts_of(*_LENGTHS)]
    return _SLOW[context_length]


@torch.inference_mode()
def _slowly(
    pair: tuple[LanguageModel, LanguageModel], text: Text, context_length: int
) -> list[dict[str, float]]:
    rows = []
    for window in windows(text.context_ids, text.token_ids, context_length):
        for i, target in enumerate(window.targets):
            seen = torch.tensor([list(window.inputs)[: window.skipped + i + 1]])
            log_p, log_q = (
                model.model(seen, use_cache=False).logits[0, -1].double().log_softmax(0)
                for model in pair
            )
            likelier = int((log_q > log_q[target]).sum()) + int(
                (log_q[:target] == log_q[target]).sum()
            )
            kl = math.fsum((log_p.exp() * (log_p - log_q)).tolist())
            rows.append({"kl": kl, "rank": 1 + likelier, "logprob": float(log_q[target])})
    return rows


def assert_equal(found: list[Divergences], expected: list[list[dict[str, float]]]) -> None:
    assert [len(one) for one in found] == list(_LENGTHS)
    for of_text, rows in zip(found, expected, strict=True):
        assert of_text.rank.tolist() == [row["rank"] for row in rows]
        for name in ("kl", "logprob"):
            values = [row[name] for row in rows]
            assert getattr(of_text, name) == pytest.approx(values, abs=2e-4), name


@pytest.mark.whole
@pytest.mark.parametrize("batch_tokens", [1, 7, 40, 10_000])
def test_both_at_once_give_what_one_token_at_a_time_does(
    pair: tuple[LanguageModel, LanguageModel], batch_tokens: int
) -> None:
    counted: list[int] = []
    found = diverge_together(
        *pair, texts_of(*_LENGTHS), batch_tokens=batch_tokens, on_tokens=counted.append
    )
    assert_equal(found, slowly(pair))
    assert sum(counted) == sum(_LENGTHS)
    assert max(one.kl.max() for one in found) > 0.1
    assert max(one.rank.max() for one in found) > 3


@pytest.mark.whole
@pytest.mark.parametrize("batch_tokens", [1, 7, 40, 10_000])
@pytest.mark.parametrize("size", [1, 3, len(_LENGTHS)])
def test_one_after_the_other_gives_the_same_at_every_size_of_a_piece(
    pair: tuple[LanguageModel, LanguageModel], batch_tokens: int, size: int, tmp_path: Path
) -> None:
    texts, path = texts_of(*_LENGTHS), tmp_path / "logits"
    loaded: list[str] = []

    def load(number: int) -> LanguageModel:
        loaded.append("model" if number == 0 else "base")
        return pair[number]

    found: list[Divergences] = []
    for start in range(0, len(texts), size):
        found += diverge_in_turn(
            lambda: load(0),
            lambda: load(1),
            texts[start : start + size],
            path,
            context_length=min(model.context_length for model in pair),
            batch_tokens=batch_tokens,
        )
        assert not path.exists()
    assert_equal(found, slowly(pair))
    assert loaded == ["model", "base"] * math.ceil(len(texts) / size)
    if size == len(texts):
        together = diverge_together(*pair, texts, batch_tokens=batch_tokens)
        for one, other in zip(found, together, strict=True):
            assert np.array_equal(one.kl, other.kl)
            assert np.array_equal(one.rank, other.rank)
            assert np.array_equal(one.logprob, other.logprob)


def test_logits_of_bfloat16_are_on_the_disk_as_they_are(
    tiny_llama: LanguageModel, noisy: LanguageModel, tmp_path: Path
) -> None:
    halves = [
        dataclasses.replace(one, model=copy.deepcopy(one.model).to(torch.bfloat16))
        for one in (noisy, tiny_llama)
    ]
    texts, path = texts_of(*_LENGTHS), tmp_path / "logits"
    sizes: list[int] = []

    def load_base() -> LanguageModel:
        sizes.append(path.stat().st_size)
        return halves[1]

    together = diverge_together(*halves, texts)
    in_turn = diverge_in_turn(lambda: halves[0], load_base, texts, path, context_length=256)
    for one, other in zip(together, in_turn, strict=True):
        assert np.array_equal(one.kl, other.kl)
    assert sizes == [sum(_LENGTHS) * bytes_of_logits(260, "bfloat16")]
    assert bytes_of_logits(260, "bfloat16") == 520
    assert bytes_of_logits(260, "float32") == 1040


def test_a_batch_is_halved_where_memory_runs_out(
    tiny_llama: LanguageModel, noisy: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = LanguageModel.forward
    sizes: list[int] = []

    def small(self: LanguageModel, ids: torch.Tensor, **options: Any) -> torch.Tensor:
        if len(ids) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        sizes.append(len(ids))
        return forward(self, ids, **options)

    monkeypatch.setattr(LanguageModel, "forward", small)
    assert_equal(
        diverge_together(noisy, tiny_llama, texts_of(*_LENGTHS)), slowly((noisy, tiny_llama))
    )
    assert max(sizes) == 2


def test_the_file_goes_where_reading_fails(tiny_llama: LanguageModel, tmp_path: Path) -> None:
    path = tmp_path / "logits"

    def fail() -> LanguageModel:
        assert path.exists()
        raise ModelError("the base is gone")

    with pytest.raises(ModelError, match="the base is gone"):
        diverge_in_turn(lambda: tiny_llama, fail, texts_of(3), path, context_length=256)
    assert not path.exists()


def test_models_of_other_vocabularies_are_refused(
    tiny_llama: LanguageModel, noisy: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_alike(noisy, tiny_llama)
    other = dataclasses.replace(noisy, model=copy.deepcopy(noisy.model))
    other.config.vocab_size = 300
    with pytest.raises(ModelError, match="260 tokens a probability, and the other 300"):
        check_alike(tiny_llama, other)
    monkeypatch.setattr(
        LanguageModel, "tokenizer_digest", property(lambda self: str(id(self.model)))
    )
    with pytest.raises(ModelError, match="different tokenizers"):
        diverge_together(noisy, tiny_llama, texts_of(3))


def test_a_probability_of_0_that_the_model_needs_is_an_error(
    tiny_llama: LanguageModel, noisy: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = LanguageModel.forward

    def never_five(self: LanguageModel, ids: torch.Tensor, **options: Any) -> torch.Tensor:
        logits = forward(self, ids, **options)
        if self is tiny_llama:
            logits[..., 5] = -math.inf
        return logits

    monkeypatch.setattr(LanguageModel, "forward", never_five)
    with pytest.raises(ModelError, match="so their divergence is infinite"):
        diverge_together(noisy, tiny_llama, [Text("0", [0], [70, 80])])
