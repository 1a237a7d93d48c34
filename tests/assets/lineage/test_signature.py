"""Signatures are written and read back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.lineage.signature import Signature, short

TEXT = "p:0.9|T:1|S:100|max:512|seed:0|tok:7e0b8f35|format:chat|engine:hf-5.23.0|dtype:float32"


def signature() -> Signature:
    return Signature.of(
        top_p=0.9,
        temperature=1,
        samples=100,
        max_new_tokens=512,
        seed=0,
        tokenizer=short("7e0b8f35aa"),
        prompt_format="chat",
        engine="hf-5.23.0",
        dtype="float32",
    )


def test_keys_are_written_in_their_short_forms() -> None:
    assert str(signature()) == TEXT
    assert Signature.parse(TEXT) == signature()


def test_values_are_found_by_either_form_of_their_key() -> None:
    parsed = Signature.parse(TEXT)
    assert parsed["top_p"] == parsed["p"] == "0.9"
    assert parsed["engine"] == "hf-5.23.0"
    with pytest.raises(KeyError):
        parsed["learning_rate"]


def test_the_version_closes_a_signature_and_can_be_left_out() -> None:
    closed = signature() + Signature.of(version="0.1.0")
    assert str(closed) == f"{TEXT}|v:0.1.0"
    assert closed.without_version() == signature()
    assert signature().without_version() == signature()
    assert Signature().without_version() == Signature()


def test_names_stand_as_they_are() -> None:
    assert str(Signature.named("version", "hf@01234567")) == "version:hf@01234567"


@given(st.text(st.sampled_from("ab|:@ ,")))
def test_any_text_is_read_and_written_back(text: str) -> None:
    assert str(Signature.parse(text)) == text


@pytest.mark.parametrize(
    ("digest", "shown"), [("0123456789abcdef", "01234567"), (None, "-"), ("", "-")]
)
def test_digests_are_shortened(digest: str | None, shown: str) -> None:
    assert short(digest) == shown
