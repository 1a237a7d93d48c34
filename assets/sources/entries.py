"""Entries of a set, such as pairs of answers or questions, in files of JSON Lines or on the hub."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assets.study.errors import InputError, shown
from assets.study.files import is_text, read_jsonl

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Mapping

    from assets.study.choices import Choices
    from assets.study.parts import Preferences

    EntrySet = Preferences | Choices
    Entry = tuple[str, str, Mapping[str, Any]]
    """Where an entry stands, its id, and what it holds."""


@dataclass(frozen=True)
class Kind:
    """What the entries of a set are.

    Attributes:
        key: The study's key that names such sets.
        noun: What messages call an entry.
        fields: The fields that an entry may have; the first is its id.
        passed_over: Further fields, which are not read.
        other_id: The field that an entry may have its id in, in the place of the first of fields.
    """

    key: str
    noun: str
    fields: tuple[str, ...]
    passed_over: tuple[str, ...]
    other_id: str | None = None


def entries(kind: Kind, entry_set: EntrySet) -> Iterator[Entry]:
    """Every entry of a set, none of which has been looked at beyond its fields' names and its id.

    Raises:
        InputError: A file cannot be read, or an entry has a field that there is not, or no id.
    """
    return _of_files(kind, entry_set) if _is_file(entry_set) else _of_hub(kind, entry_set)


def none_usable(kind: Kind, entry_set: EntrySet, passed_over: Counter[str]) -> InputError:
    """The error that there is no entry that can be used, and why those that there are cannot."""
    why = "; ".join(f"{number:,}: {reason}" for reason, number in passed_over.most_common(3))
    return InputError(
        f"{kind.key}: {entry_set.name!r} ({entry_set.source}) holds no {kind.noun} that can be "
        f"used{f' ({why})' if why else ''}"
    )


def _is_file(entry_set: EntrySet) -> bool:
    return entry_set.source.scheme == "file"


def _of_files(kind: Kind, entry_set: EntrySet) -> Iterator[Entry]:
    id_field = kind.fields[0]
    files = entry_set.source.files
    for path in files:
        for number, row in read_jsonl(path, {}):
            place = f"{path}, line {number}"
            for field in row:
                if field not in (*kind.fields, *kind.passed_over):
                    raise InputError(
                        f"{place}: has the unknown field {shown(field)!r}; a {kind.noun} has "
                        f"{', '.join(kind.fields)}"
                    )
            in_file = str(number) if len(files) == 1 else f"{path.stem}/{number}"
            other_id = row.get(kind.other_id, in_file) if kind.other_id else in_file
            entry_id = row.get(id_field, other_id)
            if not isinstance(entry_id, str) or not entry_id or not is_text(entry_id):
                raise InputError(f"{place}: {id_field!r} must be a text that is not empty")
            yield place, entry_id, row


def _of_hub(kind: Kind, entry_set: EntrySet) -> Iterator[Entry]:
    for name, row in entry_set.source.rows(config=entry_set.config, split=entry_set.split):
        other_id = row.get(kind.other_id) if kind.other_id else None
        entry_id = other_id if isinstance(other_id, str) and other_id else name
        yield f"{entry_set.source}, row {name}", entry_id, row
