"""Texts as figures show them."""

from __future__ import annotations

from assets.drawing.texts import names_of_prompts


def test_prompts_are_told_apart_by_where_they_differ() -> None:
    begins = "Write a 50 word plot summary for a potential"
    prompts = [f"{begins} {people} children's novel." for people in ("Akan", "American")]
    assert [*names_of_prompts(prompts).values()] == [
        "… Akan children's novel.",
        "… American children's novel.",
    ]
    assert names_of_prompts(prompts[:1], 200) == {prompts[0]: prompts[0]}
    assert names_of_prompts(["Write a poem.", "Write a letter."]) == {
        "Write a poem.": "Write a poem.",
        "Write a letter.": "Write a letter.",
    }
    long = [f"{begins} {'x' * n} novel" for n in (90, 91)]
    assert all(len(name) == 50 for name in names_of_prompts(long).values())
