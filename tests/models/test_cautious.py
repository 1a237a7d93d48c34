import dataclasses
import itertools

import numpy as np
import pytest
import torch

from models import Cautious, Decoding, Request, sample
from models.cautious import MARKS
from tests.models import reference

pytestmark = pytest.mark.whole

SEED = 3
DECODINGS = (
    Decoding(cautious=Cautious(trials=3, low=2.5, high=4.5), top_p=0.9),
    Decoding(cautious=Cautious(trials=4, low=0.5, high=3.0), top_k=20, temperature=0.7),
)
PROMPTS = {"short": (0,), "two": (0, 70), "long": tuple(range(4, 64, 3))}
REQUESTS = [
    Request(key, ids, number, decoding)
    for key, ids in PROMPTS.items()
    for number in range(2)
    for decoding in DECODINGS
]


@pytest.fixture(scope="module", params=["llama", "gemma"])
def model(request, device, put_on):
    """A tiny model that stops often."""
    tiny = put_on(request.getfixturevalue(f"tiny_{request.param}"), device)
    return dataclasses.replace(tiny, stop_token_ids=frozenset(range(1, 260, 16)))


@pytest.fixture(scope="module")
def expected(model):
    return {r: reference.generate_cautiously(model, r, 12, SEED) for r in REQUESTS}


def generate(model, requests, max_new_tokens=12, **options):
    batches = sample(model, requests, max_new_tokens=max_new_tokens, seed=SEED, **options)
    return {
        c.request: (c.token_ids, c.finish_reason, c.forward_passes)
        for c in itertools.chain(*batches)
    }


def test_the_expected_generations_are_worth_comparing_with(expected):
    made = expected.values()
    assert {reason for _, reason, _ in made} == {"stop", "length"}
    assert len({ids for ids, _, _ in made}) > len(REQUESTS) / 2
    # Some tokens were drawn alone, and some trials were thrown away.
    ratios = [passes / len(ids) for ids, _, passes in made]
    assert min(ratios) < 2 < max(ratios)


@pytest.mark.core
@pytest.mark.parametrize("batch_size", [1, 9, None])
def test_generations_and_forward_passes_are_those_of_the_slow_loop(model, expected, batch_size):
    calls = []
    plain = [Request("two", (0, 70), 0, Decoding(top_p=0.9))]  # in a batch of its own
    made = generate(
        model,
        REQUESTS + plain,
        batch_size=batch_size,
        on_tokens=lambda *call: calls.append(call),
    )
    ids, _, passes = made.pop(plain[0])
    assert passes == len(ids)
    assert made == expected
    drawn, settled = (sum(counts) for counts in zip(*calls, strict=True))
    assert drawn == len(ids) + sum(len(ids) for ids, _, _ in expected.values())
    assert settled == 12 * (len(REQUESTS) + 1)


def test_a_generation_that_is_never_uncertain_is_plainly_sampled(tiny_llama):
    plain = [Request(key, ids, 0, Decoding(top_p=0.9)) for key, ids in PROMPTS.items()]
    never = Decoding(top_p=0.9, cautious=Cautious(low=50, high=100))
    calm = [dataclasses.replace(request, decoding=never) for request in plain]
    assert [*generate(tiny_llama, calm).values()] == [*generate(tiny_llama, plain).values()]


def test_the_likeliest_of_several_draws_comes_as_often_as_it_must(tiny_llama):
    """Of generations of one token: all n draws are at most as likely as the one that is kept."""
    n_trials, n = 3, 10_000
    cautious = Cautious(trials=n_trials, low=0, high=1e-9)
    decoding = Decoding(top_p=0.95, temperature=4, cautious=cautious)
    requests = [Request("p", (0, 70), number, decoding) for number in range(n)]
    made = generate(tiny_llama, requests, max_new_tokens=1, batch_size=n)
    with torch.inference_mode():
        logits = tiny_llama.model(torch.tensor([[0, 70]])).logits[0, -1].numpy()
    left = reference.left_of(logits, decoding)
    reaches = np.cumsum(list(left.values())).clip(max=1)
    as_likely_or_less = np.concatenate([[1], 1 - reaches])
    kept = as_likely_or_less[:-1] ** n_trials - as_likely_or_less[1:] ** n_trials
    drawn = [ids[0] for ids, _, _ in made.values()]
    assert set(drawn) <= set(left)
    observed = [drawn.count(token) for token in left]
    assert (kept * n >= 10).sum() >= 15
    assert abs(reference.chi_square(observed, kept * n)) < 3
    plainly = np.array(list(left.values()))
    assert reference.chi_square(observed, plainly * n) > 10  # which is not plain sampling


def test_a_trial_ends_with_a_token_that_holds_a_mark(tiny_llama):
    from models.cautious import _EndsTrials

    ends = _EndsTrials(tiny_llama)
    marks = {byte for byte in range(256) if ends(tiny_llama.encode(chr(byte))[0]) and byte < 128}
    assert {chr(byte) for byte in marks} == MARKS
    assert ends(next(iter(tiny_llama.stop_token_ids)))
