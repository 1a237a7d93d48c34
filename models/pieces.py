"""What each token of a generation adds to its text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenizers.decoders import DecodeStream

if TYPE_CHECKING:
    from collections.abc import Sequence

_UNFINISHED = "\N{REPLACEMENT CHARACTER}"
"""What a text ends with whose last character is not whole yet."""


def pieces_of(tokenizer: Any, token_ids: Sequence[int]) -> list[str]:
    """What each token adds to a text: joined, its text without special tokens.

    A character that several tokens make is of the last of them, and a special token adds nothing.

    Args:
        tokenizer: The transformers tokenizer whose they are.
        token_ids: The tokens of one text.
    """
    text = _decoded(tokenizer, token_ids)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    pieces = [] if backend is None else _streamed(backend, token_ids)
    if len(pieces) != len(token_ids) or not text.startswith("".join(pieces)):
        pieces = _one_longer_each_time(tokenizer, token_ids)
    if pieces:  # what never becomes a whole character
        pieces[-1] += text[len("".join(pieces)) :]
    return pieces


def _streamed(backend: Any, token_ids: Sequence[int]) -> list[str]:
    """The pieces in time that grows with the tokens; some of them where decoding breaks off."""
    stream = DecodeStream(skip_special_tokens=True)
    pieces = []
    try:
        for token_id in token_ids:
            pieces.append(stream.step(backend, token_id) or "")
    except Exception:  # it raises no class of its own
        return []
    return pieces


def _one_longer_each_time(tokenizer: Any, token_ids: Sequence[int]) -> list[str]:
    """The pieces in time that grows with the square of the tokens, for any tokenizer."""
    pieces = []
    before = ""
    for n in range(1, len(token_ids) + 1):
        text = _decoded(tokenizer, token_ids[:n])
        is_whole = not text.endswith(_UNFINISHED) and text.startswith(before)
        pieces.append(text[len(before) :] if is_whole else "")
        before = text if is_whole else before
    return pieces


def _decoded(tokenizer: Any, token_ids: Sequence[int]) -> str:
    text: str = tokenizer.decode(
        list(token_ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
    )
    return text
