from __future__ import annotations

import copy
import dataclasses
import types
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from models import Decoding, LanguageModel, ModelError, Request, Text, sample, score, shared_prompts
from models.reading import Window, groups, read, side_by_side, windows
from models.shared_prompts import batches, share_prompts
from tests.models.reference import distribution

if TYPE_CHECKING:
    from models.distributions import Distributions


def texts_of(*lengths: int, context: int = 1) -> list[Text]:
    generator = torch.Generator().manual_seed(1)
    return [
        Text(
            str(i),
            tuple(torch.randint(4, 260, (context + i % 3 * (context > 1),), generator=generator)),
            tuple(torch.randint(4, 260, (length,), generator=generator).tolist()),
        )
        for i, length in enumerate(lengths)
    ]


_SLOW: dict[tuple, list[dict]] = {}


def slowly(model, text: Text) -> list[dict]:
    """Every token by itself, after all that it is allowed to see; made once for each text."""
    text_ids = tuple(map(int, text.context_ids)), tuple(text.token_ids)
    key = (id(model.model), model.context_length, *text_ids)
    if key not in _SLOW:
        _SLOW[key] = _slowly(model, text)
    return _SLOW[key]


def _slowly(model, text: Text) -> list[dict]:
    everything = [*map(int, text.context_ids), *text.token_ids]
    found = []
    for window in windows(text.context_ids, text.token_ids, model.context_length):
        inputs = list(map(int, window.inputs))
        for i, target in enumerate(window.targets):
            seen = torch.tensor([inputs[: window.skipped + i + 1]], device=model.device)
            with torch.inference_mode():
                logits = model.model(seen, use_cache=False).logits[0, -1].cpu()
            found.append(distribution(logits, int(target)) | {"token": int(target)})
    assert [row["token"] for row in found] == everything[len(text.context_ids) :]
    return found


def assert_equal(found: Distributions, expected: list[dict]) -> None:
    assert len(found) == len(expected)
    for row, one in enumerate(expected):
        assert found.logprob[row] == pytest.approx(one["logprob"], abs=2e-4)
        assert found.rank[row] == one["rank"]
        assert found.entropy[row] == pytest.approx(one["entropy"], abs=2e-4)
        assert found.support[row] == one["support"]
        assert found.top_mass[row] == pytest.approx(one["top_mass"], abs=1e-4)
        assert found.top_ids[row].tolist() == one["top_ids"]


@pytest.fixture
def tiny_model(tiny_model, device, put_on):
    """Each tiny model on each device."""
    return put_on(tiny_model, device)


@pytest.fixture(params=[16, 256])
def model(request, tiny_model, monkeypatch):
    """Each tiny model, with a context that is shorter, and one that is longer, than its texts."""
    monkeypatch.setattr(tiny_model.config, "max_position_embeddings", request.param)
    return tiny_model


@pytest.mark.parametrize("batch_tokens", [pytest.param(1, marks=pytest.mark.whole), 7, 40, 10_000])
@pytest.mark.parametrize("group_tokens", [1, 30, 10_000])
def test_scores_are_those_of_one_token_at_a_time(model, batch_tokens, group_tokens):
    texts = texts_of(5, 1, 40, 16, 17, 15, 33, 2)
    groups = list(score(model, texts, batch_tokens=batch_tokens, group_tokens=group_tokens))
    found = [scored for group in groups for scored in group]
    assert [scored.text for scored in found] == texts
    for scored in found:
        assert_equal(scored.distributions, slowly(model, scored.text))


def test_a_text_is_scored_given_its_context(model):
    texts = texts_of(6, 1, 30, 12, context=9)
    (found,) = score(model, texts, batch_tokens=30)
    for scored in found:
        assert len(scored.distributions) == len(scored.text.token_ids)
        assert_equal(scored.distributions, slowly(model, scored.text))


def samples_of(*prompts: tuple[int, int], longest: int = 9) -> list[Text]:
    """Texts after prompts of (tokens, samples); the samples take turns in length, from 1."""
    generator = torch.Generator().manual_seed(2)

    def drawn(length: int) -> tuple[int, ...]:
        return tuple(torch.randint(4, 260, (length,), generator=generator).tolist())

    texts = []
    for number, (length, n_samples) in enumerate(prompts):
        prompt = drawn(length)
        for i in range(n_samples):
            texts.append(Text(f"{number}/{i}", prompt, drawn(1 + i * 4 % longest)))
    return texts


def read_by(model, monkeypatch) -> list[tuple[int, int]]:
    """Rows and columns of each forward pass of a model from now on."""
    shapes: list[tuple[int, int]] = []
    forward = LanguageModel.forward

    def noted(self, ids, **options):
        shapes.append(tuple(ids.shape))
        return forward(self, ids, **options)

    monkeypatch.setattr(LanguageModel, "forward", noted)
    return shapes


@pytest.mark.parametrize("batch_tokens", [7, 10_000])
def test_samples_are_scored_behind_their_prompt_as_with_it(model, batch_tokens):
    """Windows of 8 tokens slide out of some prompts, and some texts are longer than a context."""
    texts = samples_of((3, 5), (12, 4), (2, 1), (12, 2), (9, 3), (1, 2), (2, 2))
    scored = [s for group in score(model, texts, batch_tokens=batch_tokens) for s in group]
    assert [s.text for s in scored] == texts
    for s in scored:
        assert_equal(s.distributions, slowly(model, s.text))


def test_a_prompt_is_read_once_for_its_samples(tiny_llama, monkeypatch):
    texts = samples_of((50, 8), (30, 8), longest=5)
    shapes = read_by(tiny_llama, monkeypatch)
    list(score(tiny_llama, texts))
    assert shapes == [(2, 49), (16, 5)]  # without a prompt's last token, which each sample follows


def test_a_prompt_of_one_sample_is_read_with_it(tiny_llama, monkeypatch):
    shapes = read_by(tiny_llama, monkeypatch)
    list(score(tiny_llama, samples_of((20, 1), (20, 1))))
    assert shapes == [(2, 20)]


def test_layers_that_are_not_attention_read_prompts_with_samples(tiny_llama, monkeypatch):
    batch = windows_of(samples_of((20, 4)))
    assert share_prompts(tiny_llama, batch)
    kinds = ["linear_attention", "full_attention"]
    monkeypatch.setattr(tiny_llama.config, "layer_types", kinds, raising=False)
    assert not share_prompts(tiny_llama, batch)


def windows_of(texts: list[Text]) -> list[Window]:
    return [w for text in texts for w in windows(text.context_ids, text.token_ids, 256)]


@pytest.mark.parametrize("batch_tokens", [None, 100, 3])
def test_batches_hold_each_window_once_and_no_more_than_memory(
    tiny_llama, monkeypatch, batch_tokens
):
    monkeypatch.setattr(tiny_llama, "batch_tokens", batch_tokens)
    monkeypatch.setattr(shared_prompts, "_CACHE", 120 * tiny_llama.cache_bytes)
    monkeypatch.setattr(shared_prompts, "_TOKENS", 70)
    some = windows_of([*samples_of((20, 9), (5, 19), (5, 19), (7, 1)), *texts_of(4, 40)])
    cut = list(batches(tiny_llama, some, 6))
    assert sorted(i for batch in cut for i in batch) == list(range(len(some)))
    shared = [[some[i] for i in batch] for batch in cut]
    shared = [batch for batch in shared if share_prompts(tiny_llama, batch)]
    for batch in shared:
        n_prompts = len({w.prompt for w in batch})
        longest, width = max(w.skipped for w in batch), max(len(w.targets) for w in batch)
        assert len(batch) <= 6
        assert len(batch) * (longest + width) <= (batch_tokens or 120)
        assert n_prompts * longest + len(batch) * width <= 70
    assert len(shared) == 0 if batch_tokens == 3 else len(shared) >= 8


def test_the_samples_of_a_prompt_are_read_together(tiny_llama):
    """Each batch has at most one prompt that the one before it does not have."""
    some = windows_of(samples_of((8, 20), (8, 20), (8, 20)))
    prompts = [{some[i].prompt for i in batch} for batch in batches(tiny_llama, some, 7)]
    assert sum(map(len, prompts)) <= len(prompts) + 2


def test_what_is_left_to_score_comes_out_bit_by_bit_as_it_would_have(tiny_model):
    texts = samples_of((12, 6), (5, 6), (9, 6))
    whole = {s.text.name: s.distributions for g in score(tiny_model, texts) for s in g}
    done = frozenset(text.name for text in texts[:11])
    groups_left = list(score(tiny_model, texts, finished=done, group_tokens=10_000))
    left = {s.text.name: s.distributions for g in groups_left for s in g}
    assert set(left) >= {text.name for text in texts} - done
    for name, distributions in left.items():
        for column in dataclasses.fields(distributions):
            bits = getattr(distributions, column.name)
            assert np.array_equal(bits, getattr(whole[name], column.name))


def test_windows_score_every_token_once_and_fill_up_the_last():
    assert [(list(w.inputs), list(w.targets)) for w in windows([0], range(1, 11), 4)] == [
        ([0, 1, 2, 3], [1, 2, 3, 4]),
        ([4, 5, 6, 7], [5, 6, 7, 8]),
        ([6, 7, 8, 9], [9, 10]),
    ]
    assert [(list(w.inputs), list(w.targets)) for w in windows([7, 8, 9], [1, 2, 3], 4)] == [
        ([7, 8, 9, 1], [1, 2]),
        ([8, 9, 1, 2], [3]),
    ]
    assert [(list(w.inputs), list(w.targets)) for w in windows([0], [1, 2], 4)] == [
        ([0, 1], [1, 2])
    ]
    assert list(windows([0], [], 4)) == []


@pytest.mark.parametrize("context", [1, 3, 8])
@pytest.mark.parametrize("length", [1, 7, 8, 9, 16, 17, 100])
def test_no_window_is_longer_than_what_a_model_reads(context, length):
    text = list(range(100, 100 + length))
    found = list(windows(range(context), text, 8))
    assert [token for window in found for token in window.targets] == text
    assert all(0 < len(window.targets) <= len(window.inputs) <= 8 for window in found)
    assert all(len(window.inputs) == 8 for window in found[1:])


def test_a_context_longer_than_what_the_model_reads_is_refused(model):
    with pytest.raises(ModelError, match="a prompt of 300 tokens is more than the"):
        list(score(model, [Text("long", (0,) * 300, (5, 6))]))


def test_a_text_without_tokens_is_passed_over(tiny_llama):
    (found,) = score(tiny_llama, [Text("none", (0,), ()), *texts_of(3)])
    assert [scored.text.name for scored in found] == ["0"]
    assert list(score(tiny_llama, [])) == []


def test_texts_are_read_only_as_they_are_needed(tiny_llama, device, put_on):
    """On a GPU, which is not to wait, one group ahead."""
    read = []

    def texts():
        for text in texts_of(*[10] * 20):
            read.append(text)
            yield text

    first = next(score(put_on(tiny_llama, device), texts(), group_tokens=33))
    assert [s.text.name for s in first] == ["0", "1", "2"]
    assert len(read) == (3 if device == "cpu" else 6)


def test_a_group_is_started_before_the_one_before_it_is_waited_for():
    events = []

    def read_batch(batch):
        names = [window.targets[0] for window in batch]
        events.append(f"start {names}")
        return [lambda name=name: events.append(f"wait {name}") or name for name in names]

    texts = [Text(str(i), (0,), (i,)) for i in range(3)]
    arguments = {
        "context_length": 8,
        "cut": lambda windows: side_by_side(windows, 8),
        "read_batch": read_batch,
        "join": list,
    }
    found = list(read(groups(texts, 1), **arguments, ahead=True))
    assert found == [[(text, [i])] for i, text in enumerate(texts)]
    assert events == ["start [0]", "start [1]", "wait 0", "start [2]", "wait 1", "wait 2"]
    events.clear()
    list(read(groups(texts, 1), **arguments))
    assert events == ["start [0]", "wait 0", "start [1]", "wait 1", "start [2]", "wait 2"]


def test_progress_counts_every_token(model):
    counted: list[int] = []
    list(score(model, texts_of(5, 40, 16), batch_tokens=20, on_tokens=counted.append))
    assert sum(counted) == 61


@pytest.mark.parametrize("top_p", [0.0, 1.0])
def test_own_text_is_scored_as_it_was_drawn(tiny_model, top_p):
    """The likeliest token is the one that greedy decoding took, everywhere, the end included."""
    prompt = (0, 70, 80, 90)
    requests = [Request("p", prompt, i, Decoding(top_p=top_p)) for i in range(3)]
    (made,) = sample(tiny_model, requests, max_new_tokens=40, seed=0)
    texts = [Text(str(i), prompt, completion.token_ids) for i, completion in enumerate(made)]
    (found,) = score(tiny_model, texts)
    for scored in found:
        assert len(scored.distributions) == len(scored.text.token_ids)
        if top_p == 0:
            assert (scored.distributions.rank == 1).all()
            assert np.array_equal(scored.distributions.top_ids[:, 0], scored.text.token_ids)
        else:
            assert (scored.distributions.rank > 1).any()
        assert_equal(scored.distributions, slowly(tiny_model, scored.text))


@pytest.mark.parametrize(
    ("special", "expected"), [({}, 0), ({"bos_token": None}, 1), ({"eos_token": None}, 0)]
)
def test_bos_or_else_eos_comes_before_a_text(tiny_llama, special, expected):
    tokenizer = copy.deepcopy(tiny_llama.tokenizer)
    for name, value in special.items():
        setattr(tokenizer, name, value)
    assert dataclasses.replace(tiny_llama, tokenizer=tokenizer).start_token_id == expected


def test_a_tokenizer_with_neither_bos_nor_eos_is_refused(tiny_llama):
    tokenizer = copy.deepcopy(tiny_llama.tokenizer)
    tokenizer.bos_token = tokenizer.eos_token = None
    with pytest.raises(ModelError, match="neither a BOS nor an EOS token"):
        _ = dataclasses.replace(tiny_llama, tokenizer=tokenizer).start_token_id


def test_a_model_reads_what_its_config_or_else_its_tokenizer_says(tiny_llama):
    assert tiny_llama.context_length == 256
    tokenizer = copy.deepcopy(tiny_llama.tokenizer)
    model = dataclasses.replace(tiny_llama, tokenizer=tokenizer)
    model.config = types.SimpleNamespace()
    assert model.context_length == 2048
    tokenizer.model_max_length = 77
    assert model.context_length == 77
    model.config = types.SimpleNamespace(n_ctx=33)
    assert model.context_length == 33
