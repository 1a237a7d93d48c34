"""What a sentence is."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest

from tests.warehouse.texts import LINE_ENDS, random_text, sentences_of
from warehouse import session
from warehouse.vocabulary import load_words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ('He said "Go." Then (Yes.) He left.', ['He said "Go."', "Then (Yes.)", "He left."]),
        ('"Why?" he asked. "I do!" So', ['"Why?" he asked.', '"I do!"', "So"]),
        ("Dr. Smith came at 5 p.m. on foot. Mr. J. R. Doe did not.", 2),
        (
            "See Fig. 3, e.g. No. 5 vs. No. 6. No. He",
            ["See Fig. 3, e.g. No. 5 vs. No. 6.", "No.", "He"],
        ),
        ("1. First item\n2. Second item", ["1. First item", "2. Second item"]),
        ("It costs 3.50 in all. So be it.", ["It costs 3.50 in all.", "So be it."]),
        ("Wait... what?! Wait… No", ["Wait... what?!", "Wait…", "No"]),
        ("A title\r\n\r\nA  line.\nand another", ["A title", "A  line.", "and another"]),
        ("You and I. We go by U.S. Mail. A. С. Пушкин.", 4),
        ("你好。再见！」是「行く。」と", ["你好。", "再见！」", "是「行く。」", "と"]),
        ("**Bold.** Then\n---\n* * *\n🙂\nText.", ["**Bold.**", "Then", "Text."]),
        ("no end", ["no end"]),
        ("", []),
        (" \n ", []),
    ],
)
def test_texts_are_cut_where_sentences_end(text: str, expected: list[str] | int) -> None:
    with session() as connection:
        load_words(connection, "sentences")
        ((cut,),) = connection.execute("select sentences($text)", {"text": text}).fetchall()
    assert (len(cut) if isinstance(expected, int) else cut) == expected
    assert sentences_of(text) == cut


def test_sentences_of_random_texts_are_those_of_the_definition() -> None:
    source = random.Random(0)
    signs = [*".!?…。！？", *"\")']}”’»」』）*_(“", *LINE_ENDS, *"   abAÉI日1\u3000\t\\-"]
    signs += ["No", "Mr", "e.g", "p"]
    texts = ["".join(source.choices(signs, k=source.randint(0, 30))) for _ in range(5000)]
    texts += [random_text(source, 8) for _ in range(300)]
    with session() as connection:
        load_words(connection, "sentences, sentence_pieces")
        connection.register("texts", pa.table({"place": range(len(texts)), "text": texts}))
        query = "select sentences(text), sentence_pieces(text) from texts order by place"
        cut = connection.sql(query).fetchall()
    assert [sentences for sentences, _ in cut] == [sentences_of(text) for text in texts]
    assert ["".join(pieces) for _, pieces in cut] == texts
