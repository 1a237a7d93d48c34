import dataclasses
import itertools

import numpy as np
import pytest
import torch

from models import Decoding, ModelError, Request, Rules, sample
from models.nucleus import Limits, draw
from models.rules import RuleBook, check_words, passed_over, token_shifts
from tests.models import reference

SEED = 4
RULES = Rules(end=0.4, repeat=2.5, words=(("e", 3.0), ("!", -2.0)))
DECODINGS = (
    Decoding(top_p=0.9),
    Decoding(rules=Rules()),
    Decoding(rules=RULES, top_p=0.8, temperature=1.3),
    Decoding(rules=RULES, top_p=0),
)
REQUESTS = [
    Request(key, ids, number, decoding)
    for key, ids in {"short": (0,), "long": tuple(range(4, 64, 3))}.items()
    for number in range(2)
    for decoding in DECODINGS
]


@pytest.fixture(scope="module")
def model(tiny_gemma, device, put_on):
    """A tiny model that stops often."""
    return dataclasses.replace(
        put_on(tiny_gemma, device), stop_token_ids=frozenset(range(1, 260, 32))
    )


@pytest.mark.whole
@pytest.mark.parametrize("batch_size", [3, None])
def test_generations_are_those_of_the_slow_loop_beside_plain_ones(model, batch_size):
    batches = sample(model, REQUESTS, max_new_tokens=14, seed=SEED, batch_size=batch_size)
    made = {c.request: (c.token_ids, c.finish_reason) for c in itertools.chain(*batches)}
    assert made == {r: reference.generate(model, r, 14, SEED) for r in REQUESTS}
    assert {reason for _, reason in made.values()} == {"stop", "length"}


def test_each_rule_adds_what_it_says(tiny_llama):
    stops = dataclasses.replace(tiny_llama, stop_token_ids=frozenset({1, 2}))
    book = RuleBook.of(stops, [Decoding(rules=RULES), Decoding()])
    logits = torch.zeros((2, 260), dtype=torch.bfloat16)
    for token in (7, 9, 7):
        book.say(torch.tensor([token, token]))
    changed = book.applied(logits).numpy()
    (e,), (mark,) = (tiny_llama.encode(text) for text in "e!")
    expected = np.zeros(260)
    expected[[1, 2]] = 3 * 0.4
    expected[[7, 9]] = -2.5  # once, however often it was said
    expected[e], expected[mark] = 3, -2
    assert np.allclose(changed[0], expected, atol=1e-6)
    assert not changed[1].any()
    assert not logits.any()


def test_draws_are_those_of_the_product_of_two_distributions(tiny_llama):
    n = 10_000
    random = np.random.default_rng(0)
    logits = random.standard_normal(260).astype(np.float32) * 2
    said = [7, 9, 40, 7]
    book = RuleBook.of(tiny_llama, [Decoding(rules=RULES)] * n)
    for token in said:
        book.say(torch.full((n,), token))
    changed = book.applied(torch.from_numpy(logits).expand(n, -1))
    limits = Limits(torch.ones(n, dtype=torch.float64))
    drawn = draw(changed, limits=limits, uniform=torch.from_numpy(random.random(n)))
    of_the_model = np.exp(logits.astype(float)) / np.exp(logits.astype(float)).sum()
    of_the_rules = np.exp(reference.rule_scores(tiny_llama, RULES, said))
    product = of_the_model * of_the_rules / of_the_rules.sum()
    observed = np.bincount(drawn, minlength=260)
    assert abs(reference.chi_square(observed, product / product.sum() * n)) < 3
    assert reference.chi_square(observed, of_the_model * n) > 10


def test_a_word_is_the_token_that_adds_it_to_a_text(tokenizer):
    """A byte is a token here, so that longer words are several."""
    missing = passed_over(tokenizer, Rules())
    assert missing == sorted(
        [" <", " I", " We", "What", " should", " -", " *", "    ", " #", " ##"]
    )
    shifts = token_shifts(tokenizer, Rules())
    texts = {tokenizer.decode([token]): shift for token, shift in shifts.items()}
    assert texts == {"<": -4, "|": -4, "I": -5, "\n": 1, "!": 1}


def test_a_word_of_the_study_that_is_no_token_is_refused(tokenizer):
    check_words(tokenizer, Rules())  # the paper's are passed over
    check_words(tokenizer, RULES)
    with pytest.raises(ModelError, match=r"single tokens, and the tokenizer has none for ' Sure'"):
        check_words(tokenizer, Rules(words=(("e", 1.0), (" Sure", 4.0))))
