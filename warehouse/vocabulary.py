"""The words that queries may use beside DuckDB's own: macros, and one function of Python."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from warehouse import compression

if TYPE_CHECKING:
    from collections.abc import Iterable

    from warehouse.schema import Table

_HERE = Path(__file__).parent
SENTENCES = _HERE / "sentences.sql"
"""What a sentence is."""
_MACROS = "\n".join(path.read_text(encoding="utf-8") for path in (_HERE / "macros.sql", SENTENCES))
_DRAWS = (_HERE / "draws.sql").read_text(encoding="utf-8")
_OVER_VIEWS = {
    ("prompts",): (_HERE / "prompts.sql").read_text(encoding="utf-8"),
    ("answers",): _DRAWS,
    ("scores",): _DRAWS,
    ("generations",): (_HERE / "generations.sql").read_text(encoding="utf-8"),
    ("generations", "alignments"): (_HERE / "alignments.sql").read_text(encoding="utf-8"),
}
"""Macros over views: DuckDB resolves what they read when they are made."""
_MACRO = re.compile(r"^create or replace macro (\w+).*?;$", re.MULTILINE | re.DOTALL)
_NAME = re.compile(r"\w+")


@dataclass(frozen=True)
class _Macro:
    """A statement that makes a macro.

    Attributes:
        name: Of the macro.
        statement: The statement.
        tables: The views that it is made over.
        names: All names in it, some of which may be words.
    """

    name: str
    statement: str
    tables: tuple[str, ...]
    names: frozenset[str]


@cache
def _macros() -> tuple[_Macro, ...]:
    """All macros, each after those that it uses."""
    sources = [((), _MACROS), *_OVER_VIEWS.items()]
    return tuple(
        _Macro(match[1], match[0], tables, _names_in(match[0]))
        for tables, sql in sources
        for match in _MACRO.finditer(sql)
    )


def _names_in(sql: str) -> frozenset[str]:
    return frozenset(_NAME.findall(sql.casefold()))


@cache
def words() -> dict[str, tuple[str, ...]]:
    """The words that queries may use, each with the tables that it is made over."""
    return {compression.NAME: (), **{macro.name: macro.tables for macro in _macros()}}


def vocabulary_of(tables: Iterable[str]) -> list[str]:
    """The SQL of all words that a query over these tables may use."""
    present = set(tables)
    over = [macros for needed, macros in _OVER_VIEWS.items() if present.issuperset(needed)]
    return [_MACROS, compression.MADE_WITH, *over]


def needs_vocabulary(tables: Iterable[Table]) -> bool:
    """Whether words are made over any of these tables, so that they are to be loaded after it."""
    return any(table.name in needed for table in tables for needed in _OVER_VIEWS)


def load_macros(connection: duckdb.DuckDBPyConnection) -> None:
    """Makes all macros that can be made over the views that are there."""
    _load(connection, {macro.name for macro in _macros()})


def load_words(connection: duckdb.DuckDBPyConnection, *queries: str) -> None:
    """Makes the words that queries name, and those that these are made of.

    Without queries it makes all. Of words over views it makes those whose views are there. Making
    all takes several times as long as connecting does.
    """
    names = frozenset(words()) if not queries else _needed(_names_in(" ".join(queries)))
    if compression.NAME in names:
        compression.add_compression(connection)
    _load(connection, names)


def _needed(names: frozenset[str]) -> frozenset[str]:
    for macro in reversed(_macros()):  # what uses a word comes after it
        if macro.name in names:
            names |= macro.names
    return names


def _load(connection: duckdb.DuckDBPyConnection, names: frozenset[str] | set[str]) -> None:
    macros = [macro for macro in _macros() if macro.name in names]
    needed = {table for macro in macros for table in macro.tables}
    views = {table for table in needed if _has_view(connection, table)}
    macros = [macro for macro in macros if views.issuperset(macro.tables)]
    if macros:
        connection.execute("\n".join(macro.statement for macro in macros))


def _has_view(connection: duckdb.DuckDBPyConnection, name: str) -> bool:
    # A list of a session's views takes DuckDB as long as ten macros: it makes all of its own first.
    try:
        connection.table(name)
    except duckdb.CatalogException:
        return False
    return True
