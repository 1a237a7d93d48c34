"""Probes find what is in hidden states, and nothing where nothing is."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from models import Text
from models.probes import KINDS, Baseline, Examples, Probe, train
from models.states import StateFile, hidden_states

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WIDTH, VOCABULARY = 24, 40


@pytest.fixture
def file(tmp_path: Path) -> Callable[[torch.Tensor], StateFile]:
    def write(states: torch.Tensor) -> StateFile:
        found = StateFile(
            tmp_path / f"{len(list(tmp_path.iterdir()))}", states.shape[1], torch.float32
        )
        found.append(states)
        return found

    return write


def codes(seed: int = 0, width: int = WIDTH) -> torch.Tensor:
    """A vector for each token."""
    return torch.randn(VOCABULARY, width, generator=torch.Generator().manual_seed(seed))


def parts(states: StateFile, tokens: np.ndarray) -> tuple[Examples, Examples, Examples]:
    """To train on, to tune on and to test on."""
    n = len(tokens)
    cuts = np.split(np.arange(n), [6 * n // 10, 8 * n // 10])
    first, second, third = (Examples(states, rows, tokens[rows]) for rows in cuts)
    return first, second, third


def share(probe: Probe, examples: Examples) -> float:
    return float((probe.predict(examples) == examples.tokens).mean())


@pytest.mark.whole
@pytest.mark.parametrize("kind", KINDS)
def test_a_token_that_is_plainly_there_is_read_and_a_shuffled_one_is_not(file, kind):
    random = np.random.default_rng(0)
    # Frequent and rare tokens; the commonest is a fifth of all.
    tokens = random.choice(VOCABULARY, size=4000, p=np.r_[0.2, np.full(39, 0.8 / 39)])
    noise = torch.randn(4000, WIDTH, generator=torch.Generator().manual_seed(1))
    states = file(3.0 * codes()[tokens] + 0.3 * noise + 5.0)
    learned, tuned, tested = parts(states, tokens)
    output = codes(7)
    probe, _ = train(learned, tuned, kind=kind, output_weights=output, seed=0)
    assert share(probe, tested) > 0.98

    shuffled = random.permutation(tokens)
    learned, tuned, tested = parts(states, shuffled)
    probe, _ = train(learned, tuned, kind=kind, output_weights=output, seed=0)
    frequent = float((tested.tokens == 0).mean())
    assert share(probe, tested) == pytest.approx(frequent, abs=0.03)


@pytest.mark.parametrize("kind", KINDS)
def test_training_is_gradient_descent_on_the_cross_entropy(file, kind):
    """The same steps by hand, over scores of the whole vocabulary."""
    random = np.random.default_rng(3)
    tokens = random.integers(5, 30, size=900)
    states = codes()[tokens] + torch.from_numpy(random.normal(0, 2, (900, WIDTH))).float() + 1.0
    output = codes(4)
    learned, tuned, tested = parts(file(states), tokens)
    probe, curve = train(learned, tuned, kind=kind, output_weights=output, seed=11)

    mine = states[learned.rows].double()
    mean, scale = mine.mean(0), mine.std(0, correction=0)
    size = VOCABULARY if kind == "vocabulary" else WIDTH
    weights = torch.zeros(WIDTH, size, dtype=torch.double, requires_grad=True)
    bias = torch.zeros(size, dtype=torch.double, requires_grad=True)
    missing = torch.ones(VOCABULARY, dtype=torch.bool)
    missing[torch.from_numpy(np.unique(learned.tokens))] = False
    rate = {"vocabulary": 1e-3, "output_layer": 3e-4}[kind]
    if kind == "vocabulary":
        frequency = np.bincount(learned.tokens, minlength=VOCABULARY) / len(learned)
        bias = torch.from_numpy(np.log(frequency, where=frequency > 0, out=np.zeros(VOCABULARY)))
        bias.requires_grad_()
    optimizer = torch.optim.Adam([weights, bias], lr=rate)

    def scores(rows: np.ndarray) -> torch.Tensor:
        mapped = (states[rows].double() - mean) / scale @ weights + bias
        everything = mapped if kind == "vocabulary" else mapped @ output.double().T
        return everything.masked_fill(missing, -torch.inf)

    def loss(rows: np.ndarray) -> torch.Tensor:
        chosen = scores(rows).log_softmax(1)
        return -chosen[torch.arange(len(rows)), torch.from_numpy(tokens[rows])].mean()

    order = np.random.default_rng(11)
    training, validation, predictions = [], [], []
    for _ in curve.training:
        steps, total = order.permutation(len(learned)), 0.0
        for start in range(0, len(learned), 256):
            rows = learned.rows[steps[start : start + 256]]
            found = loss(rows)
            optimizer.zero_grad()
            found.backward()
            optimizer.step()
            total += found.item() * len(rows)
        training.append(total / len(learned))
        known = ~missing[torch.from_numpy(tokens[tuned.rows])].numpy()
        validation.append(float(loss(tuned.rows[known])))
        predictions.append(scores(tested.rows).argmax(1).tolist())
    assert curve.training == pytest.approx(training, rel=1e-3)
    assert curve.validation == pytest.approx(validation, rel=1e-3)
    best = int(np.argmin(validation))
    assert curve.best == best
    agree = np.array(predictions[best]) == probe.predict(tested)
    assert agree.mean() > 0.99  # ties to rounding apart
    assert len(validation) == min(50, best + 4)


def test_the_output_layer_probe_that_changes_nothing_is_the_model(tiny_model):
    """Identity on the last hidden state, then the model's output layer: its own likeliest token."""
    ids = torch.randint(4, 260, (60,), generator=torch.Generator().manual_seed(5)).tolist()
    ((_, states),) = next(hidden_states(tiny_model, [Text("t", [0], ids)], tiny_model.n_layers))
    mean, scale = states.mean(0), states.std(0)
    probe = Probe(
        kind="output_layer",
        tokens=torch.arange(tiny_model.vocab_size),
        mean=mean,
        scale=scale,
        weights=scale.diag(),
        bias=mean,
        output=tiny_model.output_weights,
    )
    with torch.inference_mode():
        logits = tiny_model.model(torch.tensor([[0, *ids]])).logits[0, :-1]
    assert probe.tokens[probe.scores(states).argmax(1)].tolist() == logits.argmax(1).tolist()


@pytest.mark.whole
def test_the_output_layer_probe_learns_what_the_output_layer_makes_of_states(file):
    """Horizon 0 at the last layer: the token that the model itself would write."""
    output = 10 * codes(2, width=16)
    states = torch.randn(20_000, 16, generator=torch.Generator().manual_seed(6))
    likeliest = (states @ output.T).argmax(1).numpy()
    learned, tuned, tested = parts(file(states), likeliest)
    probe, _ = train(learned, tuned, kind="output_layer", output_weights=output, seed=0)
    assert share(probe, tested) > 0.95


def test_the_same_seed_gives_the_same_probe(file):
    tokens = np.random.default_rng(0).integers(0, 30, size=700)
    learned, tuned, _ = parts(file(codes()[tokens]), tokens)
    (one, first), (same, again), (other, _) = (
        train(learned, tuned, kind="vocabulary", seed=seed) for seed in (0, 0, 1)
    )
    assert torch.equal(one.weights, same.weights)
    assert first == again
    assert not torch.equal(one.weights, other.weights)


def test_tokens_that_a_probe_never_saw_are_wrong_and_do_not_stop_it(file):
    tokens = np.r_[np.arange(20).repeat(20), np.full(10, 30), np.full(10, 31)]
    states = file(codes()[tokens])
    learned = Examples(states, np.arange(400), tokens[:400])
    unknown = Examples(states, np.arange(400, 420), tokens[400:])
    probe, curve = train(learned, unknown, kind="vocabulary", seed=0)
    assert np.isnan(curve.validation).all()
    assert curve.best == len(curve.validation) - 1
    assert share(probe, learned) > 0.98
    assert share(probe, unknown) == 0
    nothing = Examples(states, np.empty(0, np.int64), np.empty(0, np.int64))
    assert probe.predict(nothing).tolist() == []


def test_states_that_never_change_tell_the_most_frequent_token(file):
    tokens = np.array([3, 3, 3, 1, 2] * 40)
    learned, tuned, tested = parts(file(torch.ones(200, 4)), tokens)
    probe, _ = train(learned, tuned, kind="vocabulary", seed=0)
    assert set(probe.predict(tested)) == {3}


def test_baselines_are_counts() -> None:
    random = np.random.default_rng(2)
    previous, tokens = random.integers(0, 12, size=(2, 300))
    baseline = Baseline.of(previous, tokens)
    totals = Counter(tokens.tolist())
    assert baseline.frequent == min(totals, key=lambda token: (-totals[token], token))
    for before in range(12):
        after = Counter(tokens[previous == before].tolist())
        assert baseline.predict(np.array([before])) == min(after, key=lambda t: (-after[t], t))
    assert baseline.predict(np.array([-1, 12, 99])).tolist() == [baseline.frequent] * 3


def test_training_ends_three_epochs_after_the_best(
    file: Callable[[torch.Tensor], StateFile],
) -> None:
    random = np.random.default_rng(3)
    tokens = random.integers(5, 30, size=300)
    states = torch.from_numpy(random.normal(0, 1, (300, WIDTH))).float()  # which tell nothing
    learned, tuned, _ = parts(file(states), tokens)
    _, curve = train(learned, tuned, kind="vocabulary", seed=1)
    assert len(curve.validation) == curve.best + 4 < 50
