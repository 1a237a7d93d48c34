"""What tokens add to a text, against decoding it one token longer each time."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from models.pieces import pieces_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

BOS, EOS = 0, 1


def test_a_character_is_of_its_last_token_and_special_tokens_add_nothing(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    ids = [BOS, *tokenizer("aπ 🙂", add_special_tokens=False)["input_ids"], EOS]
    assert pieces_of(tokenizer, ids) == ["", "a", "", "π", " ", "", "", "", "🙂", ""]
    cut_short = ids[:-3]
    assert "".join(pieces_of(tokenizer, cut_short)) == tokenizer.decode(
        cut_short, skip_special_tokens=True
    )
    assert pieces_of(tokenizer, []) == []


@pytest.mark.parametrize("streams", [True, False])
def test_pieces_of_any_tokens_are_their_text(
    tokenizer: PreTrainedTokenizerFast, streams: bool
) -> None:
    slow = SimpleNamespace(decode=tokenizer.decode)  # as one that cannot decode in a stream
    source = random.Random(0)
    for length in range(1, 30):
        ids = [source.randrange(len(tokenizer)) for _ in range(length)]
        pieces = pieces_of(tokenizer if streams else slow, ids)
        assert len(pieces) == length
        assert "".join(pieces) == tokenizer.decode(ids, skip_special_tokens=True)
