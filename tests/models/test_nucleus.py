import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models import Decoding, nucleus
from models.randomness import uniforms
from tests.models import reference

TOP_P = (0.0, 1e-9, 0.5, 0.9, 0.999, 1.0)
ALMOST_ONE = 1 - 2**-53


@pytest.fixture(scope="module", autouse=True)
def _tensors_on_each_device(device):
    with torch.device(device):
        yield


def draw(logits, top_p, temperature, uniform, *, top_k=None, min_p=None):
    rows = len(logits)

    def limit(values, kind):
        return torch.as_tensor(np.broadcast_to(kind(values), rows).copy())

    return nucleus.draw(
        torch.tensor(np.array(logits, dtype=np.float32)),
        limits=nucleus.Limits(
            limit(top_p, np.float64),
            None if top_k is None else limit(top_k, np.int64),
            None if min_p is None else limit(min_p, np.float64),
        ),
        temperature=torch.full((rows,), temperature, dtype=torch.float32),
        uniform=torch.as_tensor(np.broadcast_to(np.float64(uniform), rows).copy()),
    ).tolist()


def make_logits(shape, kind, random):
    values = random.standard_normal(shape).astype(np.float32)
    match kind:
        case "typical":  # the nucleus lies within the first part
            return values * 2 + 10
        case "peaked":
            return values * 12
        case "flat":  # the nucleus takes the larger parts, in the end all of the vocabulary
            return values * 0.01
        case "ties":
            return np.round(values * 2)
        case "equal":
            return values * 0 - 3
        case "rising":  # the likely ones are behind the last whole block
            return np.sort(values)
        case "masked":  # as where some tokens are forbidden
            values[:, 1::2] = -np.inf
            return values
    raise AssertionError(kind)


@pytest.mark.parametrize("kind", ["typical", "peaked", "flat", "ties", "equal", "masked"])
@pytest.mark.parametrize(
    "vocabulary",
    [1, 2, 50, 64, 65, 1000, 1025, 20_000, pytest.param(70_000, marks=pytest.mark.whole)],
)
def test_draw_is_that_of_the_full_sort(vocabulary, kind):
    random = np.random.default_rng(vocabulary)
    large = vocabulary > 10_000
    rows = (3 if large else 6) * len(TOP_P)
    logits = make_logits((rows, vocabulary), kind, random)
    top_p = np.tile(TOP_P, rows // len(TOP_P))  # mixed in one batch
    uniform = random.random(rows)
    uniform[: len(TOP_P)] = 0
    for temperature in (1.0,) if large else (1.0, 0.25, 2.5):
        drawn = draw(logits, top_p, temperature, uniform)
        arguments = list(zip(logits, top_p, uniform, strict=True))
        expected = [reference.draw(row, p, temperature, u) for row, p, u in arguments]
        possible = [
            reference.possible_tokens(row, p, temperature, u, reference.ROUNDING)
            for row, p, u in arguments
        ]
        # Where float32 cannot tell on which side of a boundary a number lies, both sides are right.
        assert all(token in tokens for token, tokens in zip(drawn, possible, strict=True))
        if kind in ("typical", "peaked", "masked"):  # there that is rare
            assert sum(a == b for a, b in zip(drawn, expected, strict=True)) >= rows - 1


@pytest.mark.parametrize(
    ("probabilities", "top_p", "uniform", "token"),
    [
        # The order is 1, 2, 0, 3: equally likely tokens by id. 0.5 + 0.2 crosses 0.6.
        ([0.2, 0.5, 0.2, 0.1], 0.6, 0.0, 1),
        ([0.2, 0.5, 0.2, 0.1], 0.6, 0.5 / 0.7 - 1e-6, 1),
        ([0.2, 0.5, 0.2, 0.1], 0.6, 0.5 / 0.7 + 1e-6, 0),
        ([0.2, 0.5, 0.2, 0.1], 0.6, ALMOST_ONE, 0),
        ([0.2, 0.5, 0.2, 0.1], 0.71, ALMOST_ONE, 2),
        ([0.2, 0.5, 0.2, 0.1], 0.91, ALMOST_ONE, 3),
        ([0.2, 0.5, 0.2, 0.1], 1.0, 0.89, 2),
        ([0.2, 0.5, 0.2, 0.1], 1.0, 0.91, 3),
        ([0.2, 0.5, 0.2, 0.1], 0.0, ALMOST_ONE, 1),
        ([0.2, 0.5, 0.2, 0.1], 1e-9, ALMOST_ONE, 1),
        ([0.25, 0.25, 0.25, 0.25], 0.49, ALMOST_ONE, 1),
        ([0.25, 0.25, 0.25, 0.25], 0.51, ALMOST_ONE, 2),
        ([0.25, 0.25, 0.25, 0.25], 0.0, ALMOST_ONE, 0),
        ([1.0], 0.9, ALMOST_ONE, 0),
    ],
)
def test_draw_known_answers(probabilities, top_p, uniform, token):
    assert draw(np.log([probabilities]), top_p, 1.0, uniform) == [token]


def test_temperature_divides_logits():
    # 4 : 1 at temperature 0.5 is 16 : 1, at temperature 2 it is 2 : 1.
    logits = np.log([[4.0, 1.0]])
    for temperature, first in [(0.5, 16 / 17), (1.0, 4 / 5), (2.0, 2 / 3)]:
        assert draw(logits, 1.0, temperature, first - 1e-6) == [0]
        assert draw(logits, 1.0, temperature, first + 1e-6) == [1]


@settings(deadline=None)
@given(data=st.data())
def test_draw_is_that_of_the_full_sort_whatever_the_logits(data):
    number = st.one_of(st.integers(-4, 4), st.floats(-15, 15, width=32))
    logits = data.draw(st.lists(number, min_size=1, max_size=150))
    top_p = data.draw(st.one_of(st.sampled_from(TOP_P), st.floats(0, 1)))
    temperature = data.draw(st.floats(0.5, 4, width=32))
    uniform = data.draw(st.floats(0, 1 - 1e-5))
    (token,) = draw([logits], top_p, temperature, uniform)
    row = np.array(logits, dtype=np.float32)
    slack = reference.ROUNDING
    assert token in reference.possible_tokens(row, top_p, temperature, uniform, slack)


@settings(deadline=None)
@given(
    st.lists(st.integers(-6, 6), min_size=1, max_size=120),
    st.floats(0, 1),
    st.floats(0, 1, exclude_max=True),
    st.sets(st.integers(1, 119), max_size=4),
)
def test_draw_does_not_depend_on_the_sizes_of_the_parts(logits, top_p, uniform, parts):
    with pytest.MonkeyPatch.context() as patch:
        drawn = []
        for sizes in ((), tuple(sorted(parts))):
            patch.setattr(nucleus, "_PARTS", sizes)
            drawn += draw([logits], top_p, 1.0, uniform)
    assert drawn[0] == drawn[1]


def test_draw_leaves_logits_unchanged_and_takes_half_precision():
    random = np.random.default_rng(0)
    logits = torch.tensor(random.standard_normal((5, 3000))).bfloat16()
    before = logits.clone()
    arguments = {
        "limits": nucleus.Limits(torch.full((5,), 0.9, dtype=torch.float64)),
        "temperature": torch.full((5,), 0.7),
        "uniform": torch.linspace(0, 0.99, 5, dtype=torch.float64),
    }
    tokens = nucleus.draw(logits, **arguments)
    assert torch.equal(logits, before)
    # Ties are heavy in bfloat16, and these are the very same numbers.
    assert torch.equal(tokens, nucleus.draw(logits.float(), **arguments))


@pytest.mark.whole
@pytest.mark.parametrize("top_p", [0.3, 0.9, 1.0])
def test_frequencies_are_those_of_the_nucleus(top_p):
    rows = 20_000
    logits = np.random.default_rng(3).standard_normal(200).astype(np.float32) * 1.5
    uniform = np.array([uniforms(0, "prompt", sample, 1)[0] for sample in range(rows)])
    drawn = draw(np.broadcast_to(logits, (rows, 200)), top_p, 1.0, uniform)
    order, cumulative = reference.nucleus(logits, top_p)
    expected = np.zeros(200)
    expected[order] = np.diff(cumulative, prepend=0) / cumulative[-1] * rows
    observed = np.bincount(drawn, minlength=200)
    assert not observed[expected == 0].any()
    assert abs(reference.chi_square(observed, expected)) < 3


LIMITED = (
    Decoding(top_k=2),
    Decoding(top_k=50),
    Decoding(top_k=64),
    Decoding(top_k=65),
    Decoding(top_k=700, top_p=0.5),
    Decoding(top_k=10**9),
    Decoding(min_p=1.0),
    Decoding(min_p=0.1),
    Decoding(min_p=1e-9, temperature=2.0),
    Decoding(top_k=40, min_p=0.3),
    Decoding(top_p=0.9, min_p=0.05),
    Decoding(top_k=50, top_p=0.9, temperature=0.7),
    Decoding(top_k=500, top_p=0.95, min_p=0.02, temperature=1.5),
    Decoding(top_p=0.9),
    Decoding(),
    Decoding.greedy(),
)


@pytest.mark.parametrize("kind", ["typical", "flat", "ties", "equal", "masked"])
@pytest.mark.parametrize("vocabulary", [2, 65, 3000])
def test_draw_under_all_limits_is_that_of_the_full_sort(vocabulary, kind):
    random = np.random.default_rng(vocabulary)
    rows = 3 * len(LIMITED)  # mixed in one batch
    decodings = LIMITED * 3
    logits = make_logits((rows, vocabulary), kind, random)
    uniform = random.random(rows)
    uniform[: len(LIMITED)] = 0
    drawn = nucleus.draw(
        torch.tensor(logits),
        limits=nucleus.Limits.of(decodings, torch.get_default_device()),
        temperature=torch.tensor([d.temperature for d in decodings]),
        uniform=torch.as_tensor(uniform),
    )
    equal = []
    for row, decoding, u, token in zip(logits, decodings, uniform, drawn.tolist(), strict=True):
        left = reference.left_of(row, decoding)
        assert token in left
        tokens, cumulative = list(left), np.cumsum(list(left.values()))
        # The cumulative probability that it stands for holds the uniform number.
        place = tokens.index(token)
        # Of equal ones rounding decides whether the last of the nucleus is in it.
        slack = 1 / len(left) if kind == "equal" else 1e-5
        assert u <= cumulative[place] + slack
        assert u >= cumulative[place] - left[token] - slack
        equal.append(token == tokens[min(int((cumulative <= u).sum()), len(left) - 1)])
    assert sum(equal) >= rows - 1 - (kind in ("flat", "equal"))


@pytest.mark.parametrize(
    ("limits", "tokens"),
    [
        # Probabilities 0.4, 0.2, 0.2, 0.1, 0.1 of tokens 4, 1, 3, 0, 2.
        ({"top_k": 2}, [4, 1]),  # of the two that are equal the lower one
        ({"top_k": 4}, [4, 1, 3, 0]),
        ({"top_k": 99}, [4, 1, 3, 0, 2]),
        ({"min_p": 0.49}, [4, 1, 3]),  # equal ones go together
        ({"min_p": 0.24}, [4, 1, 3, 0, 2]),
        ({"min_p": 1.0}, [4]),
        ({"top_p": 0.55}, [4, 1]),
        ({"top_k": 3, "top_p": 0.55}, [4, 1]),  # 0.5, 0.25, 0.25 of what top_k left
        ({"top_k": 3, "top_p": 0.45}, [4]),
        ({"top_k": 3, "min_p": 0.3}, [4, 1, 3]),
        ({"top_p": 0.85, "min_p": 0.3}, [4, 1, 3]),
        ({"top_p": 0.75, "min_p": 0.2}, [4, 1, 3]),  # not what is left of min_p's 1.0
        ({"top_k": 4, "top_p": 0.999, "min_p": 0.6}, [4]),
    ],
)
def test_which_tokens_are_left(limits, tokens):
    logits = np.log([[0.1, 0.2, 0.1, 0.2, 0.4]])
    steps = np.linspace(0, ALMOST_ONE, 401)
    rows = np.repeat(logits, len(steps), axis=0)
    others = {name: value for name, value in limits.items() if name != "top_p"}
    drawn = draw(rows, limits.get("top_p", 1.0), 1.0, steps, **others)
    assert list(dict.fromkeys(drawn)) == tokens
    assert list(reference.left_of(logits[0], Decoding(**limits))) == tokens


@pytest.mark.parametrize("decoding", LIMITED[7:13], ids=lambda decoding: decoding.name)
@pytest.mark.parametrize("kind", ["typical", "ties"])
def test_frequencies_are_those_of_a_plain_sampler_that_sorts(decoding, kind):
    rows, vocabulary = 10_000, 130
    logits = make_logits((1, vocabulary), kind, np.random.default_rng(9))
    uniform = uniforms(0, "prompt", 0, rows)
    drawn = draw(
        np.broadcast_to(logits, (rows, vocabulary)),
        decoding.top_p,
        decoding.temperature,
        uniform,
        top_k=decoding.top_k,
        min_p=decoding.min_p,
    )
    expected = np.zeros(vocabulary)
    for token, probability in reference.left_of(logits[0], decoding).items():
        expected[token] = probability * rows
    observed = np.bincount(drawn, minlength=vocabulary)
    assert not observed[expected == 0].any()
    if (expected >= 10).sum() > 1:
        assert abs(reference.chi_square(observed, expected)) < 3


@pytest.mark.parametrize("decoding", LIMITED, ids=lambda decoding: decoding.name)
@pytest.mark.parametrize("kind", ["typical", "ties", "masked"])
def test_a_measured_draw_is_that_of_draw_and_says_of_what(decoding, kind):
    rows, vocabulary = 6, 1500
    random = np.random.default_rng(8)
    logits = make_logits((rows, vocabulary), kind, random)
    options = {
        "limits": nucleus.Limits.of([decoding] * rows, torch.device("cpu")),
        "temperature": torch.full((rows,), decoding.temperature),
        "uniform": torch.from_numpy(random.random(rows)),
    }
    measured = nucleus.draw_measured(torch.from_numpy(logits), **options)
    assert measured.tokens.tolist() == nucleus.draw(torch.from_numpy(logits), **options).tolist()
    for row, (token, logprob, entropy) in enumerate(zip(*measured, strict=True)):
        left = {t: p for t, p in reference.left_of(logits[row], decoding).items() if p > 0}
        assert logprob == pytest.approx(np.log(left[int(token)]), abs=1e-5)
        assert entropy == pytest.approx(-sum(p * np.log(p) for p in left.values()), abs=1e-5)


@pytest.mark.parametrize("vocabulary", [64, 1000, 20_000])
def test_a_token_of_no_probability_is_never_drawn(vocabulary):
    random = np.random.default_rng(0)
    logits = make_logits((200, vocabulary), "masked", random)
    drawn = draw(logits, 1.0, 1.0, ALMOST_ONE)
    assert np.isfinite(logits[np.arange(200), drawn]).all()


def test_draw_does_not_depend_on_the_size_of_the_logits():
    # A number added to all logits changes no probability; multiples of 1/64 make the sums exact.
    random = np.random.default_rng(0)
    logits = np.round(random.standard_normal((50, 5000)) * 64) / 64
    uniform = random.random(50)
    expected = [reference.draw(row, 0.9, 1.0, u) for row, u in zip(logits, uniform, strict=True)]
    assert draw(logits - 2000, 0.9, 1.0, uniform) == expected


@pytest.mark.whole
@pytest.mark.parametrize("kind", ["typical", "rising", "ties", "equal", "masked"])
@pytest.mark.parametrize("n", [1, 2, 63, 64, 65, 128, 129, 1000, 8197, 70_000])
def test_top_is_the_start_of_the_sort(n, kind):
    values = make_logits((4, n), kind, np.random.default_rng(n))
    for k in {1, 2, 64, 1024, n // 2, n - 1, n} & set(range(1, n + 1)):
        best, ids = (x.cpu().numpy() for x in nucleus.top(torch.tensor(values), k))
        order = np.stack([np.lexsort((np.arange(n), -row)) for row in values])[:, :k]
        assert np.array_equal(best, np.take_along_axis(values, order, 1))
        assert np.array_equal(best, np.take_along_axis(values, ids, 1))
        # Which of the tokens that equal the last one are returned is open; the others are not.
        certain = best > best[:, -1:] if k < n else np.ones_like(best, dtype=bool)
        assert np.array_equal(ids[certain], order[certain])
        assert all(len(set(row)) == k for row in ids.tolist())
        tied = best[:, 1:] == best[:, :-1]
        assert (np.diff(ids, axis=1)[tied] > 0).all()
