"""What is said of numbers: their digits, their changes, and how sure they are."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from assets.measures.declared import PLACEHOLDERS, declared_measures
from assets.measures.sentences import (
    Number,
    change,
    conclusion,
    p_text,
    sentence,
    value_text,
    verdict,
)
from warehouse.measure_headers import FORMATS, Measure


def measure_of(kind: str, **changes: Any) -> Measure:
    values: dict[str, Any] = {
        "name": "length",
        "description": "How long.",
        "reads": ("generations",),
        "item": "prompt",
        "statistic": "mean",
        "format": kind,
        "says": "{value} of it",
        "title": "length",
        "group": "other",
        "level": None,
        "headline": None,
        "floor": None,
        "comparable": None,
        "empty": None,
        "header": "",
        "query": "",
        "path": Path("length.sql"),
    }
    return Measure(**values | changes)


def row_of(value: float, other: float, half: float, **changes: Any) -> dict[str, Any]:
    """A row of `comparisons` whose difference is known to within `half`, and its ratio likewise."""
    difference, ratio = value - other, value / other if other else None
    return {
        "value": value,
        "other_value": other,
        "difference": difference,
        "difference_low": difference - half,
        "difference_high": difference + half,
        "ratio": ratio,
        "ratio_low": None if ratio is None else ratio - half / abs(other),
        "ratio_high": None if ratio is None else ratio + half / abs(other),
        "n_items": 20,
        "p": 0.012,
        "p_least": 1 / 10_001,
        "p_adjusted": None,
        "condition": "-",
        "unit": "-",
        "level": 0,
        "collection": "*",
    } | changes


@pytest.mark.parametrize(
    ("kind", "number", "text"),
    [
        ("share", Number(0.342, 0.25, 0.43), "34% [25, 43]"),
        ("share", Number(0.342, 0.3394, 0.3446), "34.2% [33.9, 34.5]"),
        ("share", Number(0.5, 0.1, 0.9), "50% [10, 90]"),
        ("share", Number(0.0004, 0.0002, 0.0007), "0.04% [0.02, 0.07]"),
        ("share", Number(1.0, 1.0, 1.0), "100% [100, 100]"),
        ("share", Number(0.0, 0.0, 0.0), "0% [0, 0]"),
        ("number", Number(1.031, 0.977, 1.102), "1.03 [0.98, 1.10]"),
        ("number", Number(12.34, 9.1, 15.8), "12 [9, 16]"),
        ("number", Number(1.5, 1.5, 1.5), "1.50 [1.50, 1.50]"),
        ("count", Number(12345.6, 12000.2, 12700.9), "12,346 [12,000, 12,701]"),
        ("bits", Number(1.2345, 1.2301, 1.2399), "1.234 [1.230, 1.240]"),
        ("perplexity", Number(23.456, 21.0, 26.5), "23 [21, 26]"),
        ("signed", Number(-0.42, -0.71, -0.1), "-0.4 [-0.7, -0.1]"),
        ("signed", Number(-0.02, -0.31, 0.3), "0.0 [-0.3, 0.3]"),
        ("perplexity", Number(math.inf, 3.0, math.inf), "inf"),
    ],
)
def test_a_number_has_the_digits_that_its_interval_bears(
    kind: str, number: Number, text: str
) -> None:
    assert number.text(kind) == text


@pytest.mark.parametrize(
    ("kind", "row", "text"),
    [
        ("share", row_of(0.342, 0.08, 0.06), "+26 points [+20, +32]"),
        ("share", row_of(0.342, 0.3399, 0.004), "+0.2 points [-0.2, +0.6]"),
        ("share", row_of(0.08, 0.342, 0.06), "-26 points [-32, -20]"),
        ("share", row_of(0.126, 0.0, 0.0), "+13 points [+13, +13]"),
        ("share", row_of(0.338, 0.34, 0.06), "+0 points [-6, +6]"),
        ("number", row_of(1.5, 1.25, 0.13), "+0.2 [+0.1, +0.4]"),
        ("signed", row_of(-0.5, 0.5, 0.02), "-1.00 [-1.02, -0.98]"),
        ("perplexity", row_of(88.0, 100.0, 3.0), "-12% [-15, -9]"),
        ("bits", row_of(1.1, 1.0, 0.004), "+10.0% [+9.6, +10.4]"),
        ("count", row_of(3000.0, 100.0, 90.0), "+2,900% [+2,810, +2,990]"),
        ("count", row_of(3.0, 0.0, 1.0), "beyond all numbers"),
        ("number", row_of(3.0, 0.0, 1.0), "+3 [+2, +4]"),
    ],
)
def test_a_change_is_in_points_of_shares_and_in_percent_of_what_is_relative(
    kind: str, row: dict[str, Any], text: str
) -> None:
    assert change(row, kind) == text


def test_values_of_a_comparison_have_the_digits_of_their_difference() -> None:
    row = row_of(0.3421, 0.0812, 0.004)
    assert value_text(row, measure_of("share")) == "34.2%"
    assert value_text(row, measure_of("share"), "other_value") == "8.1%"
    assert change(row, "share") == "+26.1 points [+25.7, +26.5]"
    wide = row_of(0.3421, 0.0812, 0.04)
    assert value_text(wide, measure_of("share")) == "34%"
    assert value_text(row_of(12345.6, 12.0, 30.0), measure_of("count")) == "12,346"
    infinite = row_of(1.0, 2.0, 0.1) | dict.fromkeys(
        ["value", "difference", "difference_low", "difference_high"]
    )
    assert value_text(infinite, measure_of("perplexity")) == "a number beyond all"
    assert value_text(infinite, measure_of("perplexity"), "other_value") == "2.00"


def decimals_of(text: str) -> set[int]:
    """How many digits its numbers have after the point."""
    found = re.findall(r"\d[\d,]*(?:\.(\d+))?", text)
    return {len(digits) for digits in found}


@pytest.mark.parametrize(
    ("value", "other", "texts"),
    [
        (0.126, 0.0, ("13%", "0%", "+13 points [+13, +13]")),
        (0.126, 0.121, ("12.6%", "12.1%", "+0.5 points [+0.5, +0.5]")),
        (0.5, 0.5, ("50%", "50%", "+0 points [+0, +0]")),
    ],
)
def test_what_is_the_same_in_every_draw_has_one_rounding_too(
    value: float, other: float, texts: tuple[str, str, str]
) -> None:
    row, share = row_of(value, other, 0.0), measure_of("share")
    said = (value_text(row, share), value_text(row, share, "other_value"), change(row, "share"))
    assert said == texts


number_between = st.floats(0.001, 1, allow_subnormal=False)


@given(number_between, number_between, st.floats(1e-4, 0.4))
def test_numbers_of_one_sentence_have_one_rounding(value: float, other: float, half: float) -> None:
    # Not where half of the interval is a power of ten, give or take how doubles round.
    assume(abs(math.log10(half) - round(math.log10(half))) > 1e-6)
    row = row_of(value, other, half)
    for kind in ("share", "number", "signed"):
        measure = measure_of(kind)
        texts = [
            value_text(row, measure),
            value_text(row, measure, "other_value"),
            change(row, kind),
            Number(row["difference"], row["difference_low"], row["difference_high"]).text(kind),
        ]
        assert len(set.union(*map(decimals_of, texts))) == 1
        said = sentence(row, measure, "new", "old")
        assert texts[0] in said
        assert texts[1] in said
        assert texts[2] in said


@given(st.sampled_from(FORMATS), st.floats(-1e6, 1e6), st.floats(0, 1e3), st.floats(0, 1e3))
def test_a_number_and_its_ends_have_as_many_digits(
    kind: str, value: float, below: float, above: float
) -> None:
    text = Number(value, value - below, value + above).text(kind)
    assert len(decimals_of(text)) == 1
    assert not re.search(r"-0(\.0+)?(?![\d.,])", text)  # what rounds to 0 has no sign


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "higher"),
        ({"difference": -0.1}, "lower"),
        ({"p": 0.05}, "no clear difference"),
        ({"p": 0.0499}, "higher"),
        ({"p": 0.001, "p_adjusted": 0.06}, "no clear difference"),
        ({"p": 0.04, "p_adjusted": 0.04}, "higher"),
        ({"p_least": 2 / 2**5, "p": 2 / 2**5}, "too few to tell"),
        ({"p_least": 0.05, "p": 0.9}, "too few to tell"),
        ({"p_least": 0.001, "p": 0.001, "p_adjusted": 0.06}, "too few to tell"),
        ({"p_least": 0.001, "p": 0.001, "p_adjusted": 0.04}, "higher"),
        ({"p_least": 2 / 2**6, "p": 2 / 2**6}, "higher"),
        ({"p": None}, "no clear difference"),
        ({"difference": None}, "no clear difference"),
        ({"difference": 0.0}, "no clear difference"),
    ],
)
def test_a_verdict_goes_by_p_and_by_what_so_few_items_can_tell(
    changes: dict[str, Any], said: str
) -> None:
    assert verdict(row_of(2.0, 1.0, 0.5) | changes) == said


def test_p_is_that_of_the_family_where_there_is_one() -> None:
    row = row_of(2.0, 1.0, 0.5)
    assert p_text(row) == "p = 0.012"
    assert p_text(row | {"p_adjusted": 0.24}) == "adjusted p = 0.24"
    assert p_text(row | {"p": 0.0001}) == "p < 0.001"
    assert p_text(row | {"p": 1.0}) == "p = 1"
    assert p_text(row | {"p": None}) == "no p"


def test_a_p_never_reads_as_the_limit_that_it_is_under() -> None:
    for p in (0.0499, 0.04999, 0.0496):
        row = row_of(2.0, 1.0, 0.5, p=p)
        assert verdict(row) == "higher"
        assert p_text(row) == "p < 0.05"
    assert p_text(row_of(2.0, 1.0, 0.5, p=0.0502)) == "p = 0.05"
    assert p_text(row_of(2.0, 1.0, 0.5, p=0.0494)) == "p = 0.049"


def test_a_sentence_says_whose_what_how_sure_and_of_how_many() -> None:
    share = measure_of("share", says="{value} hold its {level}-gram", level="n", headline=10)
    row = row_of(0.342, 0.08, 0.06, level=10, unit="word", p_adjusted=0.03)
    assert sentence(row, share, "dpo", "base") == (
        "dpo: 34% hold its 10-gram (words); base: 8%. "
        "Higher (+26 points [+20, +32], adjusted p = 0.03, 20 prompts)."
    )
    matched = row | {"condition": "matched", "collection": "wild", "n_items": 1, "p_least": 1.0}
    human = row | {"condition": "gold", "n_items": 32, "unit": "-"}
    of_documents = replace(share, items_of=(("gold", "document"),))
    assert sentence(human, of_documents, "dpo", "base").endswith(
        "adjusted p = 0.03, 32 documents)."
    )
    assert sentence(row, of_documents, "dpo", "base").endswith("20 prompts).")
    assert sentence(matched, share, "dpo", "base") == (
        "Cut to as many words a prompt: dpo: 34% hold its 10-gram (words) (wild); base: 8%. "
        "Too few to tell (+26 points [+20, +32], adjusted p = 0.03, 1 prompt)."
    )


def test_a_conclusion_names_the_surest_measures() -> None:
    measures = {name: measure_of("number", name=name, title=name) for name in "abcde"}

    def rows(**p_values: float) -> list[dict[str, Any]]:
        return [
            row_of(2, 1, 0.1, measure=name, p=p, p_adjusted=p, p_least=1e-4)
            for name, p in p_values.items()
        ]

    def said(**p_values: float) -> str:
        return conclusion("dpo", "base", rows(**p_values), measures)

    assert said(a=0.2, b=0.9) == "dpo does not clearly differ from base in any of 2 measures."
    assert said(a=0.03, b=0.9) == "dpo differs from base in 1 of 2 measures, in a."
    assert said(a=0.04, b=0.01, c=0.02, d=0.03, e=0.5) == (
        "dpo differs from base in 4 of 5 measures, most surely in b, c and d."
    )
    few = [row | {"p_least": 0.25} for row in rows(a=0.25, b=0.5)]
    assert conclusion("dpo", "base", few, measures) == (
        "There are too few items to tell whether dpo differs from base."
    )
    assert conclusion("dpo", "base", [], measures) == (
        "dpo is not compared with its base base: they have no prompt, document or passage in "
        "common."
    )


def test_a_sentence_of_a_condition_says_what_that_is() -> None:
    (shift,) = (m for m in declared_measures(PLACEHOLDERS) if m.name == "token_shift")
    for condition, text in (
        ("-", "tuned: 34% of its own tokens are not among the 3 that its base finds likeliest; "),
        ("marginal", "tuned: 34% of its own tokens are second or third with its base; "),
        ("unshifted", "tuned: 34% of its own tokens are first with its base; "),
    ):
        row = row_of(0.342, 0.08, 0.06, condition=condition)
        assert sentence(row, shift, "tuned", "earlier").startswith(text)


def test_a_value_that_has_an_interval_is_written_as_everywhere_else() -> None:
    share = measure_of("share", says="{value} hold it")
    row = row_of(0.342, 0.08, 0.006)
    ends = {"value_low": 0.25, "value_high": 0.43, "other_value_low": 0.05}
    text = sentence(row | ends | {"other_value_high": 0.11}, share, "dpo", "base")
    assert text.startswith(f"dpo: {Number(0.342, 0.25, 0.43).text('share')} hold it; ")
    assert "base: 8% [5, 11]. " in text
    assert "34.2%" not in text
