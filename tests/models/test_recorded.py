import copy
import dataclasses

import pytest
import torch

from models.recorded import RecordedSteps, _at_least, can_record, record_steps
from models.steps import read_prompts

PROMPTS = ((0, 5, 6, 7, 8, 9, 10, 11), (0, 70, 4), (3,))


@pytest.fixture
def tiny_model(tiny_model, device, put_on):
    """Each tiny model on each device."""
    return put_on(tiny_model, device)


def begin(model, recorded, prompts=PROMPTS, samples=2):
    rows = [ids for ids in prompts for _ in range(samples)]
    return read_prompts(model, rows, recorded)


@torch.inference_mode()
def compare(model, plain, recorded, steps, generator):
    for _ in range(steps):
        tokens = torch.randint(4, 260, (len(plain.logits),), generator=generator).to(model.device)
        plain.step(model, tokens)
        recorded.step(model, tokens)
        torch.testing.assert_close(recorded.logits, plain.logits, rtol=1e-4, atol=1e-4)


@pytest.mark.whole
@torch.inference_mode()
@pytest.mark.parametrize("prompts", [PROMPTS, PROMPTS[:1]], ids=["padded", "of one length"])
def test_recorded_steps_give_the_logits_of_plain_ones(tiny_model, prompts, monkeypatch):
    """While rows leave, in batches one after another that use the same room or a new one."""
    monkeypatch.setattr("models.recorded._SPAN", 16)  # of 48 tokens at most
    generator = torch.Generator().manual_seed(0)
    steps = RecordedSteps(tiny_model, 48)
    for samples in (6, 4, 9):
        plain = begin(tiny_model, None, prompts, samples)
        recorded = begin(tiny_model, steps, prompts, samples)
        torch.testing.assert_close(recorded.logits, plain.logits)
        compare(tiny_model, plain, recorded, 8, generator)
        for kept in ([0, 1, 3], [2, 0], [1]):
            rows = torch.tensor(kept, device=tiny_model.device)
            plain.keep(rows)
            recorded.keep(rows)
            compare(tiny_model, plain, recorded, 8, generator)


@torch.inference_mode()
def test_steps_that_cannot_be_recorded_are_run_as_they_are(tiny_model, monkeypatch):
    forward = RecordedSteps._forward

    def waiting(*args):
        logits = forward(*args)
        assert logits.sum().item() != 0  # which no graph can do
        return logits

    monkeypatch.setattr(RecordedSteps, "_forward", waiting)
    plain = begin(tiny_model, None)
    recorded = begin(tiny_model, RecordedSteps(tiny_model, 48))
    compare(tiny_model, plain, recorded, 5, torch.Generator().manual_seed(0))


def test_there_are_few_graphs_and_none_is_much_too_large():
    sizes = {n: _at_least(n) for n in range(1, 257)}
    assert all(n <= size <= 1.5 * n for n, size in sizes.items())
    assert len(set(sizes.values())) == 16


def test_steps_are_recorded_where_they_are_the_same_kernels_each_time(tiny_llama, monkeypatch):
    def changed(**settings):
        model = dataclasses.replace(tiny_llama)
        model.config = copy.deepcopy(tiny_llama.config)
        for name, value in settings.items():
            setattr(model.config, name, value)
        return model

    monkeypatch.setattr("models.language_model.LanguageModel.device", torch.device("cuda"))
    assert can_record(changed())
    assert can_record(changed(layer_types=["sliding_attention", "full_attention"]))
    assert not can_record(changed(layer_types=["linear_attention", "full_attention"]))
    assert not can_record(changed(sliding_window=8))  # in which layers, it does not say
    assert not can_record(changed(_attn_implementation="eager"))
    assert not can_record(changed(rope_parameters={"rope_type": "dynamic", "factor": 2.0}))
    monkeypatch.setattr(type(tiny_llama.model), "_can_compile_fullgraph", False)
    assert not can_record(changed())


def test_steps_are_not_recorded_without_a_gpu(tiny_llama):
    assert record_steps(tiny_llama, 48) is None
