import dataclasses
import random
from collections import Counter

import pytest
import torch

from models import Decoding, LanguageModel, Request, sample
from tests.models import reference

pytestmark = pytest.mark.whole

SEED = 5
DECODINGS = (
    Decoding(top_p=0.9),
    Decoding(top_p=0.6, temperature=1.5),
    Decoding(top_p=1.0, temperature=0.7),
    Decoding(top_k=50, top_p=0.9, min_p=0.05, temperature=0.9),
    Decoding.greedy(),
)
# Of different lengths, so that batches hold padding; two of one length, and two prompts of the same
# tokens, whose random numbers differ all the same.
PROMPTS = {
    "short": (0,),
    "two": (0, 70),
    "pair-a": (0, 90, 75, 200, 31, 8, 64, 64, 64),
    "pair-b": (0, 33, 75, 121, 30, 9, 66, 65, 64),
    "long": tuple(range(4, 64, 3)),
    "long again": tuple(range(4, 64, 3)),
}


def make_requests(samples=2, decodings=DECODINGS, prompts=PROMPTS):
    return [
        Request(key, ids, number, decoding)
        for key, ids in prompts.items()
        for number in range(samples)
        for decoding in decodings
    ]


def generate(model, requests, max_new_tokens=16, **options):
    """What sample() makes of each request: its token ids and why it ended."""
    completions = [
        completion
        for batch in sample(model, requests, max_new_tokens=max_new_tokens, seed=SEED, **options)
        for completion in batch
    ]
    assert Counter(c.request for c in completions) == Counter(requests)
    return {c.request: (c.token_ids, c.finish_reason) for c in completions}


@pytest.fixture
def tiny_model(tiny_model, device, put_on):
    """Each tiny model on each device."""
    return put_on(tiny_model, device)


@pytest.fixture
def llama(tiny_llama, device, put_on):
    """The tiny Llama on each device."""
    return put_on(tiny_llama, device)


@pytest.fixture(scope="module", params=["llama", "gemma"])
def model(request, device, put_on):
    """A tiny model that stops often, so that rows leave their batch at different times."""
    tiny = put_on(request.getfixturevalue(f"tiny_{request.param}"), device)
    return dataclasses.replace(tiny, stop_token_ids=frozenset(range(1, 260, 16)))


@pytest.fixture(scope="module")
def expected(model):
    return {r: reference.generate(model, r, 16, SEED) for r in make_requests()}


def test_the_expected_generations_are_worth_comparing_with(expected):
    lengths = Counter(len(ids) for ids, reason in expected.values() if reason == "stop")
    assert len(lengths) >= 8
    assert 0.2 < sum(lengths.values()) / len(expected) < 0.9
    assert len({ids for ids, _ in expected.values()}) > len(expected) / 2


@pytest.mark.parametrize("batch_size", [1, 3, 7, None])
def test_generations_are_those_of_the_slow_loop(model, expected, batch_size):
    assert generate(model, make_requests(), batch_size=batch_size) == expected


def test_the_order_of_requests_does_not_matter(model, expected):
    requests = make_requests()
    for seed in range(3):
        random.Random(seed).shuffle(requests)
        assert generate(model, requests, batch_size=5 + seed) == expected


@pytest.mark.core
def test_each_generation_alone_is_what_it_is_among_others(model, expected):
    few = make_requests(samples=1, decodings=DECODINGS[:2])
    assert generate(model, few) == {request: expected[request] for request in few}


def test_a_longer_generation_begins_with_the_shorter_one(model, expected):
    for request, (ids, reason) in generate(model, make_requests(), max_new_tokens=5).items():
        longer, why = expected[request]
        assert ids == longer[:5]
        assert reason == ("stop" if why == "stop" and len(longer) <= 5 else "length")


def test_a_stop_token_ends_a_generation_and_is_its_last_token(model):
    for ids, reason in generate(model, make_requests(samples=3)).values():
        stops = [i for i, token in enumerate(ids) if token in model.stop_token_ids]
        if reason == "stop":
            assert stops == [len(ids) - 1]
        else:
            assert reason == "length"
            assert not stops
            assert len(ids) == 16


def test_a_generation_may_stop_at_its_first_token(tiny_model):
    request = Request("p", (0, 70), 0, Decoding.greedy())
    ((first, *_), reason) = generate(tiny_model, [request])[request]
    assert reason == "length"
    stopping = dataclasses.replace(tiny_model, stop_token_ids=frozenset({first}))
    assert generate(stopping, [request]) == {request: ((first,), "stop")}
    # Among others that go on.
    other = Request("q", (0, 90, 75, 200), 0, Decoding.greedy())
    made = generate(stopping, [request, other])
    assert made[request] == ((first,), "stop")
    assert made[other] == generate(stopping, [other])[other]


def test_a_model_without_stop_tokens_goes_on_to_the_limit(llama):
    endless = dataclasses.replace(llama, stop_token_ids=frozenset())
    made = generate(endless, make_requests(), max_new_tokens=4)
    assert {(len(ids), reason) for ids, reason in made.values()} == {(4, "length")}


def test_a_stop_at_the_limit_is_a_stop(llama):
    request = Request("p", (0, 70), 0, Decoding.greedy())
    ids, _ = generate(llama, [request], max_new_tokens=3)[request]
    assert len(set(ids)) == 3
    stopping = dataclasses.replace(llama, stop_token_ids=frozenset({ids[2]}))
    assert generate(stopping, [request], max_new_tokens=3)[request] == (ids, "stop")


def test_greedy_is_that_of_transformers(tiny_model):
    made = generate(tiny_model, make_requests(1, [Decoding.greedy()]), max_new_tokens=30)
    for request, (ids, _) in made.items():
        prompt = torch.tensor([request.prompt_ids], device=tiny_model.device)
        theirs = tiny_model.model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            do_sample=False,
            max_new_tokens=30,
            pad_token_id=0,
        )
        assert list(ids) == theirs[0, prompt.shape[1] :].tolist()


def test_a_sample_does_not_depend_on_how_many_are_asked_for(llama):
    few = generate(llama, make_requests(samples=2))
    many = generate(llama, make_requests(samples=5), batch_size=11)
    assert few == {request: many[request] for request in few}


def test_seed_prompt_and_sample_each_change_what_is_generated(llama):
    first = Request("p", (0, 70), 0, Decoding())
    requests = [
        first,
        dataclasses.replace(first, sample=1),
        dataclasses.replace(first, prompt_key="q"),
    ]
    made = [ids for ids, _ in generate(llama, requests).values()]
    (other_seed,) = sample(llama, [first], max_new_tokens=16, seed=SEED + 1)
    assert len({*made, other_seed[0].token_ids}) == 4


@pytest.mark.parametrize("batch_size", [1, 7, None])
def test_on_tokens_counts_tokens_drawn_and_settled(model, expected, batch_size):
    calls = []
    requests = make_requests()
    generate(model, requests, batch_size=batch_size, on_tokens=lambda *call: calls.append(call))
    drawn, settled = (sum(counts) for counts in zip(*calls, strict=True))
    assert drawn == sum(len(ids) for ids, _ in expected.values())
    assert settled == 16 * len(requests)
    assert all(0 < a <= b for a, b in calls)


def test_batches_hold_no_more_rows_than_asked_for(llama):
    requests = make_requests(samples=3)
    batches = list(sample(llama, requests, max_new_tokens=2, seed=SEED, batch_size=10))
    assert [len(batch) for batch in batches] == [10] * 9
    assert list(sample(llama, [], max_new_tokens=2, seed=SEED)) == []


@pytest.fixture
def shapes(monkeypatch):
    """The [rows, new tokens] of each forward pass, none of them recorded."""
    monkeypatch.setattr("models.sampling._record_steps", lambda model, length: None)
    shapes = []
    forward = LanguageModel.forward

    def counting(self, ids, **rest):
        shapes.append(tuple(ids.shape))
        return forward(self, ids, **rest)

    monkeypatch.setattr(LanguageModel, "forward", counting)
    return shapes


def test_a_prompt_shared_by_requests_is_read_once(llama, shapes):
    requests = make_requests(samples=10, prompts={"a": (0, 70), "b": (0, 71), "c": (0, 70)})
    generate(llama, requests, max_new_tokens=2)
    assert shapes == [(2, 2), (len(requests), 1)]


def test_no_more_than_a_fifth_of_a_batch_has_finished(model, shapes):
    made = generate(model, make_requests())
    running = [sum(len(ids) > step for ids, _ in made.values()) for step in range(1, 16)]
    assert [new for _, new in shapes[1:]] == [1] * 15
    assert all(n <= rows <= n / 0.8 for (rows, _), n in zip(shapes[1:], running, strict=True))


def test_pairs_of_tokens_come_as_often_as_they_are_likely_and_as_from_transformers(tiny_model):
    n, prompt, top_p, temperature = 4000, PROMPTS["pair-a"], 0.8, 0.9
    open_ended = dataclasses.replace(tiny_model, stop_token_ids=frozenset())
    decoding = Decoding(top_p, temperature)
    requests = [Request("p", prompt, number, decoding) for number in range(n)]
    ours = Counter(ids for ids, _ in generate(open_ended, requests, max_new_tokens=2).values())

    inputs = torch.tensor([prompt], device=tiny_model.device)
    with torch.random.fork_rng(), torch.inference_mode():
        torch.manual_seed(0)
        sequences = tiny_model.model.generate(
            inputs,
            attention_mask=torch.ones_like(inputs),
            do_sample=True,
            top_p=top_p,
            top_k=0,
            temperature=temperature,
            num_return_sequences=n,
            max_new_tokens=2,
            eos_token_id=-1,  # none, so that every generation has two tokens
            pad_token_id=0,
        )
        firsts = tiny_model.model(inputs).logits[:, -1].cpu().numpy()
        order, cumulative = reference.nucleus(firsts[0], top_p, temperature)
        after = torch.from_numpy(order)[:, None].to(inputs.device)
        prefixes = torch.cat([inputs.expand(len(order), -1), after], dim=1)
        seconds = tiny_model.model(prefixes).logits[:, -1].cpu().numpy()
    theirs = Counter(map(tuple, sequences[:, len(prompt) :].tolist()))

    exact = {}
    before = 0.0
    for first, upto, logits in zip(order.tolist(), cumulative, seconds, strict=True):
        first_probability = (upto - before) / cumulative[-1]
        before = upto
        nucleus, mass = reference.nucleus(logits, top_p, temperature)
        inner = 0.0
        for second, inner_upto in zip(nucleus.tolist(), mass, strict=True):
            exact[first, second] = first_probability * (inner_upto - inner) / mass[-1]
            inner = inner_upto
    assert abs(sum(exact.values()) - 1) < 1e-9
    assert sum(p * n >= 10 for p in exact.values()) >= 20  # enough cells for the test to see

    assert ours.keys() <= exact.keys()
    assert theirs.keys() <= exact.keys()
    expected = [exact[pair] * n for pair in exact]
    assert abs(reference.chi_square([ours[pair] for pair in exact], expected)) < 3
    assert abs(reference.chi_square([theirs[pair] for pair in exact], expected)) < 3
    assert reference.chi_square_of_two(ours, theirs) < 3
