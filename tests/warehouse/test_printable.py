from __future__ import annotations

import pytest

from warehouse.printable import printable


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("plain, π ≈ 3, שלום, 👩‍👩‍👧", "plain, π ≈ 3, שלום, 👩‍👩‍👧"),
        ("two\nlines\tof it", "two\nlines\tof it"),
        ("\x1b[31mred\x1b[0m", r"\u001b[31mred\u001b[0m"),
        ("over\rwritten, \x00\x07\x0b", r"over\u000dwritten, \u0000\u0007\u000b"),
        ("\x7f and \x9b2J", r"\u007f and \u009b2J"),
        (
            "\u202eturned\u202c \u2066\u2067\u2068\u2069",
            r"\u202eturned\u202c \u2066\u2067\u2068\u2069",
        ),
        ("\u200e\u200f\u061c", r"\u200e\u200f\u061c"),
        ("a\u2028b\u2029c", r"a\u2028b\u2029c"),
        ("half \ud83d", r"half \ud83d"),
    ],
)
def test_what_a_terminal_would_obey_is_written_out(text: str, printed: str) -> None:
    assert printable(text) == printed
    assert printable(printed) == printed


def test_one_line_stays_one() -> None:
    assert printable("a\tb\nc\x1b", one_line=True) == r"a\u0009b\u000ac\u001b"


def test_all_else_stays() -> None:
    kept = [chr(code) for code in range(0x110000) if printable(chr(code)) == chr(code)]
    # C0 without two, DEL and C1, 3 marks, 5 embeddings, 4 isolates, 2 separators, the surrogates.
    assert len(kept) == 0x110000 - (30 + 33 + 3 + 5 + 4 + 2 + 2048)
