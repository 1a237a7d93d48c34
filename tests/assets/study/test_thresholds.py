"""The section `thresholds:` of a study."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from assets.measures.declared import SQL_FOLDER
from assets.study.errors import InputError
from assets.study.study import load_study
from assets.study.thresholds import MOST_TOP_K, Thresholds
from models.distributions import PAPERS, Kept

if TYPE_CHECKING:
    from pathlib import Path

    from assets.study.study import Study

ONE = "name: s\ncheckpoints:\n  - {name: a, source: 'pypi:x'}\n"
LISTS = ("ngram_lengths", "ngram_diversity_lengths", "top_k")


def load(tmp_path: Path, text: str) -> Study:
    path = tmp_path / "study.yaml"
    path.write_text(ONE + text)
    return load_study(path)


def problem(tmp_path: Path, text: str) -> str:
    """What is said of a wrong study, without the file's name."""
    with pytest.raises(InputError) as caught:
        load(tmp_path, text)
    return str(caught.value).removeprefix(f"{tmp_path / 'study.yaml'}: ")


def test_what_is_kept_by_default_is_what_a_study_has_by_default() -> None:
    assert Kept(Thresholds().top_k, Thresholds().support) == PAPERS


def test_a_study_changes_some_and_has_the_papers_for_the_others(tmp_path: Path) -> None:
    study = load(tmp_path, "thresholds: {ngram_lengths: [3, 10], spans: 4}\n")
    assert study.thresholds == Thresholds(ngram_lengths=(3, 10), spans=4)
    assert study.thresholds.changed() == {"ngram_lengths": (3, 10), "spans": 4}
    assert load(tmp_path, "").thresholds.changed() == {}
    assert load(tmp_path, "thresholds: {span_share: 0.2}").thresholds.changed() == {}


@pytest.mark.parametrize("written", ["1e-6", "1.0e-6", "0.000001"])
def test_a_small_number_is_written_as_people_write_it(tmp_path: Path, written: str) -> None:
    # To YAML, what has no point in it is text.
    assert load(tmp_path, f"thresholds: {{support: {written}}}").thresholds.support == 1e-6


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        *(
            (key, value, words)
            for key in LISTS
            for value, words in (
                ("[]", "at least 1 item"),
                ("[1, 5, 5]", "must rise from number to number, each once"),
                ("[1, 9, 5]", "must rise from number to number, each once"),
                ("[0, 5]", "[0]: found 0; input should be greater than or equal to 1"),
                ("[-5]", "[0]: found -5; input should be greater than or equal to 1"),
                ("[1, 2.5]", "[1]: found 2.5; input should be a valid integer"),
                ("[1, true]", "[1]: found True; input should be a valid integer"),
                ("[1, ten]", "[1]: found 'ten'; input should be a valid integer"),
                ("5", "found 5; input should be a valid list"),
            )
        ),
        ("top_k", "[2, 5]", "must begin with 1, the most likely token alone"),
        ("top_k", f"{[*range(1, MOST_TOP_K + 2)]}", f"at most {MOST_TOP_K} items"),
        *(
            (key, value, words)
            for key in (
                "ngram_spread_length",
                "opening_words",
                "kept_by",
                "aligned_with",
                "span_characters",
                "spans",
            )
            for value, words in (
                ("0", "found 0; input should be greater than or equal to 1"),
                ("-1", "found -1; input should be greater than or equal to 1"),
                ("2000000", "found 2000000; input should be less than or equal to"),
                ("1.5", "found 1.5; input should be a valid integer"),
                ("true", "found True; input should be a valid integer"),
                ("many", "found 'many'; input should be a valid integer"),
            )
        ),
        ("ngram_similarity_length", "6", "found 6; input should be less than or equal to 5"),
        ("phrase_lengths", "[3, 6]", "[1]: found 6; input should be less than or equal to 5"),
        ("phrase_lengths", "[1, 2]", "[0]: found 1; input should be greater than or equal to 2"),
        ("phrase_lengths", "[4, 3]", "must rise from number to number, each once"),
        ("phrase_prior", "0", "found 0; input should be greater than or equal to 1"),
        ("distinct_vocabulary", "1", "found 1; input should be greater than or equal to 2"),
        ("distinct_vocabulary", "10000001", "found 10000001; input should be less than"),
        ("loop_times", "1", "found 1; input should be greater than or equal to 2"),
        ("loop_times", "2.5", "found 2.5; input should be a valid integer"),
        *(
            (key, value, words)
            for key in ("span_share", "phrase_share", "support")
            for value, words in (
                ("0", "input should be greater than 0"),
                ("-0.2", "input should be greater than 0"),
                ("1.2", "input should be less than"),
                (".nan", "nan"),
                (".inf", "input should be less than"),
                ("true", "found True; input should be a valid number"),
                ("few", "found 'few'; input should be a valid number"),
            )
        ),
        (
            "span_shares",
            "0.2",
            "is no key (did you mean span_share?); allowed here: ngram_lengths, ",
        ),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path: Path, key: str, value: str, words: str) -> None:
    message = problem(tmp_path, f"thresholds: {{{key}: {value}}}\n")
    assert message.startswith(f"thresholds.{key}")
    assert words in message
    assert len(message.splitlines()) == 1


def test_what_is_no_section_is_said(tmp_path: Path) -> None:
    assert problem(tmp_path, "thresholds: 5") == (
        "thresholds: found 5; here must be keys and values"
    )


def test_drift_of_10_grams_needs_them(tmp_path: Path) -> None:
    rule = "drift: [{measure: ngram_sharing, over: 0.5}]\n"
    message = problem(tmp_path, rule + "thresholds: {ngram_lengths: [5, 25]}")
    assert message == "drift: ngram_sharing is of 10-grams, and thresholds.ngram_lengths has no 10"
    assert load(tmp_path, rule + "thresholds: {ngram_lengths: [10]}").drift


def test_sql_uses_every_threshold() -> None:
    queries = "".join(path.read_text() for path in SQL_FOLDER.rglob("*.sql"))
    used = set(re.findall(r"\$([a-z_]+)", queries))
    # Classes of sentences are not made by SQL, and the likeliest tokens are counted by Python.
    by_python = {"same_sentence", "likeliest"}
    assert used | by_python == set(Thresholds.model_fields)


def test_rows_have_as_many_masses_as_a_study_may_ask_for() -> None:
    query = (SQL_FOLDER / "text_statistics.sql").read_text()
    assert f"top_mass[{MOST_TOP_K}]" in query
    assert f"top_mass[{MOST_TOP_K + 1}]" not in query
