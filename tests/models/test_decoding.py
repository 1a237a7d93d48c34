import pytest

from models import Decoding


@pytest.mark.parametrize(
    ("decoding", "name"),
    [
        (Decoding(), "top_p=1.0"),
        (Decoding(top_p=0.9), "top_p=0.9"),
        (Decoding(top_p=0.9, temperature=0.7), "top_p=0.9,temperature=0.7"),
        (Decoding(temperature=2.0), "top_p=1.0,temperature=2.0"),
        (Decoding(top_p=1e-9), "top_p=1e-09"),
        (Decoding.greedy(), "greedy"),
    ],
)
def test_a_decoding_is_named_by_what_it_is(decoding, name):
    assert decoding.name == name


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


def test_equal_decodings_have_one_name():
    assert Decoding(top_p=1) == Decoding(top_p=1.0)
    assert Decoding(top_p=1).name == Decoding(top_p=1.0).name
