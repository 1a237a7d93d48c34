import math
import re
from urllib.parse import quote

import pytest

from models import Cautious, Decoding, Rules
from models.decoding import WORDS


@pytest.mark.parametrize(
    ("decoding", "name"),
    [
        (Decoding(), "top_p=1.0"),
        (Decoding(top_p=0.9), "top_p=0.9"),
        (Decoding(top_p=0.9, temperature=0.7), "top_p=0.9,temperature=0.7"),
        (Decoding(temperature=2.0), "top_p=1.0,temperature=2.0"),
        (Decoding(top_p=1e-9), "top_p=1e-09"),
        (Decoding.greedy(), "greedy"),
        (Decoding(min_p=0.1), "min_p=0.1"),
        (Decoding(top_k=50), "top_k=50"),
        (Decoding(top_k=50, top_p=0.9), "top_k=50,top_p=0.9"),
        (Decoding(0.9, 0.7, 50, 0.05), "top_k=50,top_p=0.9,min_p=0.05,temperature=0.7"),
        (Decoding(min_p=0.1, temperature=1.5), "min_p=0.1,temperature=1.5"),
        (Decoding(0.0, 0.7, 50, 0.05), "greedy"),
        (Decoding(cautious=Cautious()), "cautious"),
        (
            Decoding(0.9, 0.6, cautious=Cautious(10, 0.01, 1.5)),
            "cautious,top_p=0.9,temperature=0.6",
        ),
        (Decoding(min_p=0.1, cautious=Cautious(5, 0.5)), "cautious,trials=5,low=0.5,min_p=0.1"),
        (Decoding(rules=Rules()), "rules"),
        (Decoding(0.0, rules=Rules()), "rules,greedy"),
        (Decoding(rules=Rules(end=0.0, words=WORDS[::-1])), "rules,end=0.0"),
        (Decoding(0.9, rules=Rules(words=((" I", -5.0),))), "rules,words=WORDS,top_p=0.9"),
    ],
)
def test_a_decoding_is_named_by_what_it_is(decoding, name):
    assert re.sub(r"words=[0-9a-f]{8}", "words=WORDS", decoding.name) == name
    assert quote(name, safe="=,.-") == name  # so it is a part of a path, and of a partition's key


def test_greedy_is_a_nucleus_of_one_token():
    assert Decoding.greedy() == Decoding(top_p=0)
    assert Decoding.greedy().is_greedy
    assert not Decoding(top_p=1e-9).is_greedy


@pytest.mark.parametrize("top_p", [-0.1, 1.1, float("nan"), float("inf")])
def test_a_top_p_that_is_no_probability_is_refused(top_p):
    with pytest.raises(ValueError, match=r"top_p is .* and must lie in"):
        Decoding(top_p=top_p)


@pytest.mark.parametrize("temperature", [0, -1.0, 1e-300, float("nan"), float("inf")])
def test_a_temperature_that_cannot_divide_is_refused(temperature):
    with pytest.raises(ValueError, match=r"temperature is .* and must be from 0.001 to 1000"):
        Decoding(temperature=temperature)


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ({"top_k": -1}, "top_k is -1, and must be a whole number from 2"),
        ({"top_k": 2.5}, "top_k is 2.5, and must be a whole number from 2"),
        ({"top_k": float("nan")}, "top_k is nan, and must be a whole number from 2"),
        ({"top_k": 1}, "top_k is 1, which is greedy decoding: write greedy"),
        ({"min_p": -0.1}, r"min_p is -0.1, and must lie in \(0, 1\]"),
        ({"min_p": 1.1}, r"min_p is 1.1, and must lie in \(0, 1\]"),
    ],
)
def test_a_limit_that_is_none_is_refused(limit, words):
    with pytest.raises(ValueError, match=words):
        Decoding(**limit)


def test_equal_decodings_have_one_name():
    assert Decoding(top_p=1) == Decoding(top_p=1.0)
    assert Decoding(top_p=1).name == Decoding(top_p=1.0).name


@pytest.mark.parametrize(
    ("entropy", "n_trials"),
    [(0, 1), (0.01, 1), (0.17, 1), (0.18, 2), (0.7, 5), (1.49, 9), (1.5, 10), (math.log(1e5), 10)],
)
def test_the_more_open_the_next_token_the_more_trials(entropy, n_trials):
    assert Cautious().n_trials(entropy) == n_trials


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Cautious(trials=1), "trials is 1, and must be a whole number from 2 to 1000"),
        (lambda: Cautious(trials=2.5), "trials is 2.5, and must be a whole number from 2 to 1000"),
        (lambda: Cautious(low=2), "low is 2.0 and high is 1.5: they are entropies in nats"),
        (lambda: Cautious(high=math.inf), "low is 0.01 and high is inf"),
        (lambda: Rules(end=math.nan), "'end' is nan, and must be from -1000 to 1000"),
        (lambda: Rules(words=(("a", 2000),)), "'a' is 2000.0, and must be from -1000 to 1000"),
        (lambda: Decoding(0, cautious=Cautious()), "a greedy decoding has nothing to be"),
        (
            lambda: Decoding(cautious=Cautious(), rules=Rules()),
            "cautious or has rules, not both",
        ),
    ],
)
def test_a_treatment_that_is_none_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_words_of_their_own_name_a_decoding():
    names = {Rules(words=words).name for words in [(), (("a", 1.0),), (("a", 2.0),), WORDS]}
    assert len(names) == 4
