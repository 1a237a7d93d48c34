"""Reading what a measure's SQL file says of itself: all that a measure is, beside its query.

A file opens with comments: what it measures, an empty comment line, and then keys and values:

    -- reads:      ngram_sharing
    -- item:       prompt
    -- statistic:  mean
    -- format:     share
    -- says:       {value} of a prompt's generations hold its most common {level}-gram

A value ends with its line; a line that begins with more spaces goes on. `$key` in it stands for
what the study says, as it does in the query. `KEYS` says what each key means.
"""

from __future__ import annotations

import difflib
import re
import string
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from warehouse.beside import BASE
from warehouse.declarations import DeclarationError, read_text
from warehouse.tables import measure_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from warehouse.schema import Table

KEYS = {
    "reads": "tables that the query reads",
    "beside": "base, for a query that reads the rows of the checkpoint's base, too",
    "item": "what is averaged over and paired by; another one of a condition as `document of gold`",
    "statistic": "how items make one number",
    "format": "what kind of number it is",
    "says": "a sentence's part with {value}, and {level} where there are levels; of a condition, "
    "if it is another one, after `; of CONDITION: `",
    "title": "what charts and tables call it; by default its name",
    "group": "what it is about; by default other",
    "level": "what it comes in several of, such as n or k",
    "headline": "the level that is quoted",
    "leading": "yes, for a measure that stands in the report's first table",
    "floor": "what it is where nothing is shared: an expression of numerator and denominator",
    "comparable": "when two checkpoints may be compared by it",
    "empty": "why it may have no rows",
}
"""The keys of a header, and what they mean."""
REQUIRED = ("reads", "item", "statistic", "format", "says")
ITEMS = ("prompt", "document", "passage", "pair", "question")
STATISTICS = ("mean", "pooled", "exp_pooled")
GROUPS = (
    *("prediction", "concentration", "surface", "blueprint"),
    *("meaning", "quality", "ability", "other"),
)
"""What measures are about, in the order in which they are shown."""
FORMATS = ("share", "number", "count", "bits", "perplexity", "signed")
COMPARABLE = ("same tokenizer", "same tokenizer, where unit is token")
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_KEY = re.compile(r"([a-z_]+):\s*(.*)")
_SAYS_OF = re.compile(r"; of (\S+): ")
_ITEM_OF = re.compile(r"(\w+) of (\S+)")
_NUMBER = re.compile(r"[0-9]{1,9}")
_SHARED = ("prompts", "documents", "passages")
"""The tables without a checkpoint that a measure may read beside others."""
_MISSPELT = 0.8
"""How alike a word at the beginning of a line and a key are, for it to be taken for that key."""


@dataclass(frozen=True)
class Measure:
    """A number that each prompt, document, passage, pair or question of a checkpoint has.

    Attributes:
        name: Its name, that of its file.
        description: What it measures.
        reads: The tables that its query reads.
        item: What is averaged over and paired by: prompt, document, passage, pair or question.
        statistic: `mean` of numerator / denominator over items; `pooled`, sum / sum; or
            `exp_pooled`, the exponential of that.
        format: share (0 to 1), number, count, bits or perplexity (none of them negative), or
            signed.
        says: Part of a sentence, with {value} and {level}.
        title: What charts and tables call it.
        group: What it is about, one of `GROUPS`.
        level: What it comes in several of; None where it does not.
        headline: The level that is quoted; None where it is a curve alone.
        leading: Whether it stands in the report's first table; the others stand below it.
        floor: What it is where nothing is shared, as an SQL expression; None where it has no floor.
        comparable: When two checkpoints may be compared by it, one of `COMPARABLE`; None for
            always.
        empty: Why it may have no rows; None where that is a mistake.
        header: The comments that declare all this.
        query: The SQL after them.
        path: The file.
        beside_base: Whether its query reads the rows of a checkpoint's base, too.
        items_of: Conditions under which the item is another one, and that one.
        says_of: Conditions of which a sentence says something else, and what.
    """

    name: str
    description: str
    reads: tuple[str, ...]
    item: str
    statistic: str
    format: str
    says: str
    title: str
    group: str
    level: str | None
    headline: int | None
    floor: str | None
    comparable: str | None
    empty: str | None
    header: str
    query: str
    path: Path
    beside_base: bool = False
    items_of: tuple[tuple[str, str], ...] = ()
    leading: bool = False
    says_of: tuple[tuple[str, str], ...] = ()

    @property
    def table(self) -> Table:
        """What it fills."""
        return measure_table(self.name, self.description, may_be_empty=self.empty is not None)

    def item_of(self, condition: str) -> str:
        """What is averaged over under a condition."""
        return dict(self.items_of).get(condition, self.item)

    def said_of(self, condition: str) -> str:
        """What a sentence says of a value under a condition."""
        return dict(self.says_of).get(condition, self.says)

    @property
    def beside(self) -> str | None:
        """What the header's line `beside` says."""
        return BASE if self.beside_base else None

    @property
    def is_quoted(self) -> bool:
        """Whether it has a level that is quoted, and is not a curve alone."""
        return self.level is None or self.headline is not None

    def is_headline(self, level: int) -> bool:
        """Whether this is the level that is quoted."""
        return self.is_quoted and level == (self.headline or 0)

    def are_comparable(self, unit: str, tokenizer: str | None, other: str | None) -> bool:
        """Whether two checkpoints may be compared by it.

        Args:
            unit: token, word or -.
            tokenizer: The digest of one's tokenizer; None where it is not known.
            other: That of the other's.
        """
        if self.comparable is None or (self.comparable == COMPARABLE[1] and unit != "token"):
            return True
        return tokenizer is not None and tokenizer == other


def read_measure(
    path: Path, tables: Mapping[str, Table], parameters: Mapping[str, object]
) -> Measure:
    """Reads one file; its query has not been run.

    Args:
        path: The file.
        tables: The tables that there are, by name.
        parameters: What `$name` stands for.

    Raises:
        DeclarationError: It does not declare what it must.
    """
    if not _NAME.fullmatch(path.stem):
        raise DeclarationError(
            f"{path}: a measure is named in small letters, digits and _, a letter first; "
            "rename the file"
        )
    of_checkpoints = tuple(name for name, table in tables.items() if table.partitioned)
    return _declared(
        path, read_text(path), tuple(tables), of_checkpoints, tuple(parameters.items())
    )


@lru_cache(maxsize=1024)
def _declared(
    path: Path,
    text: str,
    tables: tuple[str, ...],
    of_checkpoints: tuple[str, ...],
    parameters: tuple[tuple[str, object], ...],
) -> Measure:
    """What a file of this text declares; every asset asks, of every file."""
    description, values = _read_header(path, text)
    for key in REQUIRED:
        if key not in values:
            raise DeclarationError(f"{path}: needs a line `-- {key}: ...`, {KEYS[key]}")
    for key, value in values.items():
        if not value:
            raise DeclarationError(f"{path}: {key}: has no value; it says {KEYS[key]}")
    item, items_of = _read_items(path, values["item"])
    _check_one_of(path, "beside", values.get("beside", BASE), (BASE,))
    _check_one_of(path, "statistic", values["statistic"], STATISTICS)
    _check_one_of(path, "format", values["format"], FORMATS)
    _check_one_of(path, "group", values.get("group", "other"), GROUPS)
    _check_one_of(path, "leading", values.get("leading", "yes"), ("yes",))
    if "comparable" in values:
        _check_one_of(path, "comparable", values["comparable"], COMPARABLE)
    reads = tuple(dict.fromkeys(name.strip() for name in values["reads"].split(",")))
    for name in reads:
        if name in tables and name not in (*of_checkpoints, *_SHARED):
            raise DeclarationError(
                f"{path}: reads: {name} is of all checkpoints together; allowed are "
                f"{', '.join((*of_checkpoints, *_SHARED))}"
            )
        _check_one_of(path, "reads", name, (*of_checkpoints, *_SHARED))
    if not set(reads) & set(of_checkpoints):
        raise DeclarationError(
            f"{path}: reads: {', '.join(reads)} is the same for every checkpoint; name one of "
            f"{', '.join(of_checkpoints)} too"
        )
    headline = values.get("headline")
    if headline is not None and "level" not in values:
        raise DeclarationError(
            f"{path}: headline: {headline} is a level, and there is no line `-- level: ...`"
        )
    if headline is not None and not _NUMBER.fullmatch(headline):
        raise DeclarationError(f"{path}: headline: {headline!r} must be a whole number")
    query = _after_comments(text)
    words = {name: _spelled(value) for name, value in parameters}
    values = {key: _with_words(path, key, value, words) for key, value in values.items()}
    description = _with_words(path, "its first line", description, words)
    says, *others = _SAYS_OF.split(values["says"])
    for part in (says, *others[1::2]):
        _check_says(path, part, has_level="level" in values)
    return Measure(
        name=path.stem,
        description=description,
        reads=reads,
        beside_base="beside" in values,
        item=item,
        items_of=items_of,
        statistic=values["statistic"],
        format=values["format"],
        says=says,
        says_of=tuple(zip(others[::2], others[1::2], strict=True)),
        title=values.get("title") or path.stem.replace("_", " "),
        group=values.get("group", "other"),
        level=values.get("level"),
        headline=None if headline is None else int(headline),
        leading="leading" in values,
        floor=values.get("floor"),
        comparable=values.get("comparable"),
        empty=values.get("empty"),
        header=text[: len(text) - len(query)],
        query=query,
        path=path,
    )


def _read_items(path: Path, text: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """What is averaged over, and of conditions what else, such as `prompt, document of gold`."""
    item, *others = (part.strip() for part in text.split(","))
    _check_one_of(path, "item", item, ITEMS)
    items_of = []
    for other in others:
        match = _ITEM_OF.fullmatch(other)
        if match is None:
            raise DeclarationError(
                f"{path}: item: {other!r} does not say of which condition; write it as "
                "`document of gold`"
            )
        _check_one_of(path, "item", match[1], ITEMS)
        items_of.append((match[2], match[1]))
    return item, tuple(items_of)


def _read_header(path: Path, text: str) -> tuple[str, dict[str, str]]:
    """What a file says first, and its keys with their values."""
    description: list[str] = []
    values: dict[str, str] = {}
    key = ""
    for comment in text.splitlines():
        if not comment.startswith("--"):
            break
        line = comment.removeprefix("--")
        content = line.strip()
        indent = len(line) - len(line.lstrip())
        match = _KEY.fullmatch(content) if indent <= 1 else None
        if match and (key or difflib.get_close_matches(match[1], KEYS, 1, _MISSPELT)):
            key = match[1]
            if key not in KEYS:
                raise DeclarationError(
                    f"{path}: there is no key `{key}:`{_meant(key, tuple(KEYS))}; keys are "
                    f"{', '.join(KEYS)}"
                )
            if key in values:
                raise DeclarationError(f"{path}: the key `{key}:` stands twice; leave one")
            values[key] = match[2]
        elif key and content and indent > 1:
            values[key] = f"{values[key]} {content}".strip()
        elif key and content:
            raise DeclarationError(
                f"{path}: {content!r} is neither `key: value` nor goes on with {key}; keys are "
                f"{', '.join(KEYS)}, and what goes on begins with more spaces"
            )
        elif not key and content:
            description.append(content)
    if not description:
        raise DeclarationError(f"{path}: its first comment line must say what it measures")
    return " ".join(description), values


def _after_comments(text: str) -> str:
    """A file from its first line that is no comment."""
    lines = text.splitlines(keepends=True)
    first = next((i for i, line in enumerate(lines) if not line.startswith("--")), len(lines))
    return "".join(lines[first:])


def _with_words(path: Path, key: str, text: str, words: Mapping[str, str]) -> str:
    """A text with what the study says in the place of `$name`."""
    template = string.Template(text)
    if unknown := [name for name in template.get_identifiers() if name not in words]:
        raise DeclarationError(
            f"{path}: {key}: uses ${unknown[0]}; there are {', '.join('$' + w for w in words)}"
        )
    return template.safe_substitute(words)


def _spelled(value: object) -> str:
    """A study's value as sentences have it."""
    if isinstance(value, float):
        return f"{value:g}".replace("e-0", "e-")
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _check_one_of(path: Path, key: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise DeclarationError(
            f"{path}: {key}: {value!r} is not allowed{_meant(value, allowed)}; allowed are "
            f"{('; ' if any(',' in one for one in allowed) else ', ').join(allowed)}"
        )


def _meant(word: str, allowed: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, allowed, n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _check_says(path: Path, says: str, *, has_level: bool) -> None:
    allowed = ("{value}", "{level}") if has_level else ("{value}",)
    try:
        # A field as it stands: with its conversion and format, which texts cannot have.
        fields = {
            f"{{{name}{f'!{conversion}' if conversion else ''}{f':{form}' if form else ''}}}"
            for _, name, form, conversion in string.Formatter().parse(says)
            if name is not None
        }
    except ValueError as error:
        raise DeclarationError(f"{path}: says: {says!r}: {error}") from None
    if unknown := sorted(fields - set(allowed)):
        raise DeclarationError(
            f"{path}: says: {unknown[0]} is not allowed; allowed are {' and '.join(allowed)}"
            + ("" if has_level else ", and {level} where there is a line `-- level: ...`")
        )
    if "{value}" not in fields:
        raise DeclarationError(f"{path}: says: needs {{value}}, where the value is to stand")
