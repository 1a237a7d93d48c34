"""Reading files of text and of JSON Lines, with errors that name the line."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

from assets.study.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_KINDS = {str: "a text", int: "a whole number"}


def read_jsonl(path: Path, fields: Mapping[str, type]) -> Iterator[tuple[int, dict[str, object]]]:
    """Reads objects, one a line; blank lines are passed over.

    Args:
        path: The file, UTF-8.
        fields: What every object must have, and of what type.

    Yields:
        Line number, from 1, and object.

    Raises:
        InputError: There is no such file, or a line is not such an object.
    """
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}, line {number}: no valid JSON: {error}") from None
        if not isinstance(row, dict):
            raise InputError(f"{path}, line {number}: found {_short(row)} where an object must be")
        for name, kind in fields.items():
            if name not in row:
                raise InputError(
                    f"{path}, line {number}: has no {name!r}; every line needs {', '.join(fields)}"
                )
            if type(row[name]) is not kind:
                raise InputError(
                    f"{path}, line {number}: {name!r} is {_short(row[name])}, "
                    f"and must be {_KINDS[kind]}"
                )
            if kind is str and not is_text(row[name]):
                raise InputError(
                    f"{path}, line {number}: {name!r} holds half a surrogate pair, which is no text"
                )
        yield number, row


def _lines(path: Path) -> Iterator[str]:
    with unreadable_said(path), path.open(encoding="utf-8-sig", newline="\n") as file:
        yield from file


@contextmanager
def unreadable_said(path: Path) -> Iterator[None]:
    """Says in a sentence why a file cannot be read as UTF-8 text; raises `InputError`."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as UTF-8 text: {error}") from None


def is_text(value: str) -> bool:
    """Whether every character can be written as UTF-8; halves of surrogate pairs cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:40]}…"
