from __future__ import annotations

import pytest

from assets.semantics.sentences import sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ('He said "Go." Then he left.', ['He said "Go."', "Then he left."]),
        ("Dr. Smith came at 5 p.m. on foot. Mr. J. Doe did not.", 2),
        ("1. First item\n2. Second item", ["1. First item", "2. Second item"]),
        ("It costs 3.50 in all. So be it.", ["It costs 3.50 in all.", "So be it."]),
        ("Wait... what? No", ["Wait... what?", "No"]),
        ("A title\n\nA line without an end", ["A title", "A line without an end"]),
        ("You and I. We go.", ["You and I.", "We go."]),
        ("今日は。明日は。", ["今日は。", "明日は。"]),
        ("---\n* * *\nText.", ["Text."]),
        ("", []),
        (" \n ", []),
    ],
)
def test_texts_are_cut_where_sentences_end(text: str, expected: list[str] | int) -> None:
    found = [sentence.text for sentence in sentences(text)]
    assert (len(found) if isinstance(expected, int) else found) == expected


def test_a_sentence_stands_where_it_says_it_does() -> None:
    text = "  One  two. \n\n Three?  Four"
    assert [s.start for s in sentences(text)] == [2, 15, 23]
    assert all(text[s.start :].startswith(s.text) for s in sentences(text))
