"""Fine-tuning learns, stops where it should, and goes on where it was stopped."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any

import pytest
import torch

from models import LanguageModel, ModelError, Text, finetuning
from models.finetuning import Schedule, finetune, mean_loss

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.whole

SENTENCES = ["the lake is deep", "the anchor holds", "deep is the lake", "the rope is long"]


def schedule(**changes: Any) -> Schedule:
    values: dict[str, Any] = {
        "method": "full",
        "steps": 12,
        "documents_per_step": 2,
        "learning_rate": 3e-3,
        "rank": 4,
        "evaluate_every": 4,
        "seed": 0,
    }
    return Schedule(**(values | changes))


def documents(model: LanguageModel, n: int = 10) -> list[Text]:
    """Texts of a few sentences, that can be learned."""
    return [
        Text(
            str(i),
            [0],
            model.encode(" and ".join(SENTENCES[(i + j) % 4] for j in range(i % 3 + 1))),
        )
        for i in range(n)
    ]


@pytest.fixture
def fresh(tiny_model):
    """Copies of a model that may be changed."""

    def make() -> LanguageModel:
        return LanguageModel(
            copy.deepcopy(tiny_model.model), tiny_model.tokenizer, tiny_model.stop_token_ids
        )

    return make


_UNINTERRUPTED: dict[tuple[int, str], tuple[Any, dict[str, torch.Tensor]]] = {}


@pytest.fixture
def uninterrupted(tiny_model, fresh, tmp_path_factory, monkeypatch):
    """The course and the weights of a whole fine-tuning, made once for each model and method."""

    def course(method: str) -> tuple[Any, dict[str, torch.Tensor]]:
        key = id(tiny_model.model), method
        if key not in _UNINTERRUPTED:
            monkeypatch.setattr(finetuning, "_SAVE_SECONDS", 0.0)
            model, texts = fresh(), documents(fresh())
            folder = tmp_path_factory.mktemp("whole")
            course = finetune(model, texts[:8], texts[8:], schedule(method=method), folder)
            _UNINTERRUPTED[key] = course, weights(model)
        return _UNINTERRUPTED[key]

    return course


def weights(model: LanguageModel) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.model.named_parameters()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_text_is_predicted_better_afterwards(fresh, tmp_path: Path, method):
    model = fresh()
    texts = documents(model)
    before = mean_loss(model, texts[8:])
    course = finetune(
        model, texts[:8], texts[8:], schedule(method=method, learning_rate=1e-2), tmp_path
    )
    after = mean_loss(model, texts[8:])
    assert course.steps == [0, 4, 8, 12]
    assert course.validation[0] == before
    assert after == pytest.approx(min(course.validation), abs=1e-5)
    assert after < before - 0.3
    assert not any(p.requires_grad for p in model.model.parameters())


def test_adapters_leave_the_models_own_weights_as_they_were(fresh, tmp_path: Path):
    model, texts = fresh(), documents(fresh())
    own = weights(model)
    finetune(model, texts[:8], texts[8:], schedule(method="lora"), tmp_path)
    found = weights(model)
    for name, value in own.items():
        stem, _, last = name.rpartition(".")
        assert torch.equal(found.get(name, found.get(f"{stem}.base_layer.{last}")), value)
    assert any("lora" in name for name in found)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_the_same_seed_gives_the_same_weights(fresh, tmp_path: Path, method):
    found = []
    for number, seed in enumerate((0, 0, 1)):
        model = fresh()
        texts = documents(model)
        folder = tmp_path / str(number)
        folder.mkdir()
        finetune(model, texts[:8], texts[8:], schedule(method=method, seed=seed), folder)
        found.append(weights(model))
    assert same(found[0], found[1])
    assert not same(found[0], found[2])


@pytest.mark.parametrize("method", ["full", "lora"])
@pytest.mark.parametrize("stop", [1, 4, 5, 11, 12])
def test_what_was_stopped_ends_as_if_it_never_was(
    fresh, uninterrupted, tmp_path: Path, monkeypatch, method, stop
):
    expected, expected_weights = uninterrupted(method)
    monkeypatch.setattr(finetuning, "_SAVE_SECONDS", 0.0)
    texts = documents(fresh())
    plan = schedule(method=method)

    def interrupt(step: int) -> None:
        if step == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finetune(fresh(), texts[:8], texts[8:], plan, tmp_path, on_step=interrupt)
    model, steps = fresh(), []
    course = finetune(model, texts[:8], texts[8:], plan, tmp_path, on_step=steps.append)
    assert course == expected
    assert same(weights(model), expected_weights)
    assert steps[0] == stop - 1


def test_nothing_is_saved_of_work_that_is_soon_done(fresh, tmp_path: Path):
    texts = documents(fresh())
    finetune(fresh(), texts[:8], texts[8:], schedule(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["weights-000012.pt"]


def test_weights_that_only_got_worse_are_not_kept(fresh, tmp_path: Path):
    model = fresh()
    texts = documents(model)
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
    finetune(model, texts, texts, schedule(steps=60, learning_rate=1e-2), tmp_path / "first")
    own = weights(model)
    others = [Text("0", [0], model.encode("0123456789 " * 3))]
    course = finetune(model, others, texts, schedule(learning_rate=1e-2), tmp_path / "second")
    assert course.validation[0] == min(course.validation) < max(course.validation)
    assert course.best == 0
    assert same(weights(model), own)


def test_fine_tuning_that_goes_astray_says_so(tiny_llama, fresh, tmp_path: Path):
    texts = documents(tiny_llama)
    with pytest.raises(ModelError, match="lower `learning_rate:`"):
        finetune(fresh(), texts[:8], texts[8:], schedule(learning_rate=1e30), tmp_path)


@pytest.mark.parametrize("positions", [1, 7, 10_000])
def test_a_step_follows_the_mean_over_all_of_its_tokens(fresh, monkeypatch, positions):
    """However many of them are in memory at once."""
    monkeypatch.setattr(finetuning, "positions_at_once", lambda model: positions)
    monkeypatch.setattr(finetuning, "_LONGEST_WINDOW", 16)
    model, slow = fresh(), fresh()
    texts = [*documents(model, 3), Text("long", [0], model.encode("a long text. " * 5))]
    found = finetuning._learn(model, texts, torch.float32)
    total, n_tokens = torch.zeros(()), 0
    for text in texts:
        for window in finetuning.windows(text.context_ids, text.token_ids, 16):
            logits = slow.model(torch.tensor([window.inputs])).logits[0, window.skipped :]
            chosen = logits.log_softmax(1)[torch.arange(len(window.targets)), window.targets]
            total, n_tokens = total - chosen.sum(), n_tokens + len(window.targets)
    (total / n_tokens).backward()
    assert found == pytest.approx(total.item() / n_tokens, rel=1e-5)
    for one, other in zip(model.model.parameters(), slow.model.parameters(), strict=True):
        assert torch.allclose(one.grad, other.grad, atol=1e-5)


def test_documents_come_in_turn_and_in_another_order_each_time():
    plan = schedule(documents_per_step=4)
    drawn = [i for step in range(9) for i in plan.documents(step, 6)]
    rounds = [drawn[start : start + 6] for start in range(0, 36, 6)]
    assert all(sorted(one) == list(range(6)) for one in rounds)
    assert len({tuple(one) for one in rounds}) > 1
    assert plan.documents(3, 6) == plan.documents(3, 6)
    assert drawn != [
        i for step in range(9) for i in schedule(seed=1, documents_per_step=4).documents(step, 6)
    ]


def test_the_learning_rate_rises_and_then_falls_to_nothing():
    plan = schedule(steps=100, learning_rate=1.0)
    rates = [plan.learning_rate_at(step) for step in range(100)]
    assert rates[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert rates[10:] == pytest.approx([(100 - i) / 90 for i in range(10, 100)])
    assert schedule(steps=1, learning_rate=1.0).learning_rate_at(0) == 1.0
    assert all(0 < schedule(steps=2).learning_rate_at(i) <= 3e-3 for i in range(2))


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_checkpoint_of_lower_precision_is_learned_in_its_own(tiny_llama, tmp_path, method):
    model = LanguageModel(
        copy.deepcopy(tiny_llama.model).bfloat16(), tiny_llama.tokenizer, tiny_llama.stop_token_ids
    )
    texts = documents(model)
    before = mean_loss(model, texts[8:])
    finetune(model, texts[:8], texts[8:], schedule(method=method, learning_rate=1e-2), tmp_path)
    assert model.model.dtype == torch.bfloat16
    learned = [p for name, p in model.model.named_parameters() if "lora" in name]
    assert all(p.dtype == torch.float32 for p in learned)
    after = mean_loss(model, texts[8:])
    assert math.isfinite(after)
    assert after < before


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("method", ["full", "lora"])
def test_weights_that_hardly_change_predict_as_before(tiny_model, tmp_path, dtype, method):
    model = LanguageModel(
        copy.deepcopy(tiny_model.model).to(dtype), tiny_model.tokenizer, tiny_model.stop_token_ids
    )
    texts = documents(model)
    before = mean_loss(model, texts)
    plan = schedule(method=method, learning_rate=1e-30, steps=2)
    finetune(model, texts[:8], texts[8:], plan, tmp_path)
    assert mean_loss(model, texts) == before


@pytest.mark.parametrize("killed", range(1, 9))
def test_a_kill_while_something_is_saved_changes_nothing(
    fresh, uninterrupted, tmp_path: Path, monkeypatch, killed
):
    """Between the weights of the best step and the state, and the other way round."""
    expected, expected_weights = uninterrupted("full")
    monkeypatch.setattr(finetuning, "_SAVE_SECONDS", 0.0)
    texts = documents(fresh())
    save, saved = finetuning._save, []

    def kill(path: Path, value: object) -> None:
        save(path, value)
        saved.append(path)
        if len(saved) == killed:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(finetuning, "_save", kill)
        with pytest.raises(KeyboardInterrupt):
            finetune(fresh(), texts[:8], texts[8:], schedule(), tmp_path)
    model = fresh()
    assert finetune(model, texts[:8], texts[8:], schedule(), tmp_path) == expected
    assert same(weights(model), expected_weights)
