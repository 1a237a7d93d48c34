"""Text as a terminal may be given it, whoever wrote it: a model, a file, a name of either.

Whatever prints passes its text through here; what is written to files stays as it is.
"""

from __future__ import annotations

_TAB, _END_OF_LINE = 0x09, 0x0A
_WRITTEN_OUT = (
    *range(0x20),  # C0
    *range(0x7F, 0xA0),  # DEL and C1
    0x061C,  # marks and embeddings that change the direction of writing
    *(0x200E, 0x200F),
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
    *(0x2028, 0x2029),  # ends of lines that are none to most programs
    *range(0xD800, 0xE000),  # halves of surrogate pairs, which are no text
)
_IN_A_LINE = {code: f"\\u{code:04x}" for code in _WRITTEN_OUT}
_IN_LINES = {code: text for code, text in _IN_A_LINE.items() if code not in (_TAB, _END_OF_LINE)}


def printable(text: str, *, one_line: bool = False) -> str:
    r"""A text without what moves a cursor, colours a screen or turns the order of letters around.

    Args:
        text: The text.
        one_line: Whether it must stay in one line, and in its column.

    Returns:
        The text with each such character written out, as JSON does, such as `\u001b`; ends of lines
        and tabulators stay, unless it is one line.
    """
    return text.translate(_IN_A_LINE if one_line else _IN_LINES)
