"""Reading files of text and of JSON Lines, with errors that name the line."""

from __future__ import annotations

import json
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from assets.study.errors import InputError, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_LARGEST_TEXT = 10_000_000
"""Bytes of a text that is read as a whole."""
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
            raise InputError(
                f"{path}, line {number}: no valid JSON: {json_problem(error)}"
            ) from None
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


def read_text(path: Path, most: int = _LARGEST_TEXT) -> str:
    """A file's text, without the mark that some programs begin it with.

    Args:
        path: The file, UTF-8.
        most: Bytes that it may have.

    Raises:
        InputError: There is no such file, it is larger, or is no text.
    """
    with unreadable_said(path):
        if path.stat().st_size > most:
            raise InputError(f"{path} has over {most:,} bytes, which is too many; make it shorter")
        return path.read_text(encoding="utf-8-sig")


def _lines(path: Path) -> Iterator[str]:
    with unreadable_said(path), path.open(encoding="utf-8-sig", newline="\n") as file:
        yield from file


def check_is_file(path: Path) -> None:
    """Looks whether there is a file, and no device or pipe: what is read of those may have no end.

    Raises:
        InputError: There is none.
    """
    try:
        kind = path.stat().st_mode
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", error)
        raise InputError(f"{shown(str(path), 300)} cannot be read: {reason}") from None
    if not stat.S_ISREG(kind):
        raise InputError(f"{path} is no file, but a folder, a device or a pipe; name a file")


@contextmanager
def unreadable_said(path: Path) -> Iterator[None]:
    """Says in a sentence why a file cannot be read as UTF-8 text; raises `InputError`."""
    check_is_file(path)
    try:
        yield
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InputError(
            f"{path} cannot be read as UTF-8 text: it holds bytes that are none; save it as UTF-8"
        ) from None


def json_problem(error: ValueError | RecursionError) -> str:
    """What is wrong with what is no JSON, without the advice that is meant for programmers."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if not isinstance(error, json.JSONDecodeError):
        return "a number has too many digits"
    return f"{error.msg} at character {error.pos + 1:,}"


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
