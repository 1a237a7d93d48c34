"""Text as a terminal may be given it, whoever wrote it: a model, a file, a name of either.

Whatever prints passes its text through here; what is written to files stays as it is.
"""

from __future__ import annotations

_WRITTEN_OUT = (
    *range(0x09),  # C0, but for the tabulator and the end of a line
    *range(0x0B, 0x20),
    *range(0x7F, 0xA0),  # DEL and C1
    0x061C,  # marks and embeddings that change the direction of writing
    *(0x200E, 0x200F),
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
    *(0x2028, 0x2029),  # ends of lines that are none to most programs
    *range(0xD800, 0xE000),  # halves of surrogate pairs, which are no text
)
_TABLE = {code: ascii(chr(code))[1:-1] for code in _WRITTEN_OUT}


def printable(text: str) -> str:
    r"""A text without what moves a cursor, colours a screen or turns the order of letters around.

    Returns:
        The text with each such character as Python writes it, such as `\x1b`; ends of lines and
        tabulators stay.
    """
    return text.translate(_TABLE)
