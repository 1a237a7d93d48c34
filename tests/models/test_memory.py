"""Where memory runs out, batches are halved, and the results are the same."""

from __future__ import annotations

import psutil
import pytest
import torch

from models import Decoding, ModelError, Request, Text, sample, sampling, score, scoring
from models.memory import in_halves, is_out_of_memory


def fails_beyond(rows, work):  # type: ignore[no-untyped-def]
    """A function that runs out of memory with more rows than that, and the rows it was given."""
    given = []

    def limited(model, batch, *rest):  # type: ignore[no-untyped-def]
        given.append(len(batch))
        if len(batch) > rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return work(model, batch, *rest)

    return limited, given


def test_a_batch_is_halved_until_it_fits() -> None:
    given: list[int] = []

    def work(batch):  # type: ignore[no-untyped-def]
        given.append(len(batch))
        if len(batch) > 2:
            raise MemoryError
        return [value * 10 for value in batch]

    assert in_halves(work, [1, 2, 3, 4, 5]) == [10, 20, 30, 40, 50]
    assert given == [5, 2, 3, 1, 2]


def test_what_no_memory_would_hold_is_said() -> None:
    def work(batch):  # type: ignore[no-untyped-def]
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB\nmore")

    with pytest.raises(ModelError, match=r"one sequence at a time \(CUDA out of memory\. .*GiB\)"):
        in_halves(work, [1, 2])


def test_another_error_is_no_reason_to_try_again() -> None:
    def work(batch):  # type: ignore[no-untyped-def]
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        in_halves(work, [1, 2])


def test_torchs_own_words_on_a_cpu_are_known() -> None:
    too_much = 64 * psutil.virtual_memory().total
    with pytest.raises(RuntimeError) as error:
        torch.empty(too_much, dtype=torch.uint8)
    assert is_out_of_memory(error.value)


def test_generations_come_out_the_same(tiny_llama, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    requests = [Request("a", (0, 70, 80), i, Decoding(top_p=0.9)) for i in range(6)]

    def drawn():  # type: ignore[no-untyped-def]
        batches = sample(tiny_llama, requests, max_new_tokens=6, seed=0)
        return {c.request: c.token_ids for batch in batches for c in batch}

    expected = drawn()
    limited, given = fails_beyond(2, sampling._run_batch)
    monkeypatch.setattr(sampling, "_run_batch", limited)
    assert drawn() == expected
    assert given == [6, 3, 1, 2, 3, 1, 2]


def test_scores_come_out_the_same(tiny_llama, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    texts = [Text(str(i), [0], list(range(20, 30 + i))) for i in range(5)]

    def scored():  # type: ignore[no-untyped-def]
        return {
            s.text.name: s.distributions.logprob.tolist()
            for group in score(tiny_llama, texts)
            for s in group
        }

    expected = scored()
    limited, given = fails_beyond(1, scoring._start_batch)
    monkeypatch.setattr(scoring, "_start_batch", limited)
    for name, logprobs in scored().items():
        assert logprobs == pytest.approx(expected[name], abs=1e-5)
    assert given[0] == 5
    assert given.count(1) == 5
