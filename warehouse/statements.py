"""What a query may be: one statement that can only read, by the tree that DuckDB makes of it.

What is not known here is refused, be it a node of the tree, a function or a table. DuckDB's own
locks (`warehouse.sessions.confine`) stand behind this: they hold what a query may open, and this
holds that it opens it to read. What views and macros are made of is not looked at.
"""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from warehouse.vocabulary import words

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_FUNCTIONS = Path(__file__).with_name("functions.sql").read_text(encoding="utf-8")
_INTERNAL_VIEWS = Path(__file__).with_name("internal_views.sql").read_text(encoding="utf-8")
_TREE = Path(__file__).with_name("tree.sql").read_text(encoding="utf-8")

_EXPLAIN = re.compile(
    r"explain\b\s*(?P<analyze>analyze\b)?\s*"
    r"(\(\s*(?P<options>(analyze|format\s+\w+)(\s*,\s*(analyze|format\s+\w+))*)\s*\))?",
    re.IGNORECASE,
)
_EXPRESSIONS = {
    "BETWEEN", "CASE", "CAST", "COLUMN_REF", "COMPARISON", "CONJUNCTION", "CONSTANT", "DEFAULT",
    "FUNCTION", "LAMBDA", "OPERATOR", "PARAMETER", "POSITIONAL_REFERENCE", "STAR", "SUBQUERY",
    "TYPE", "WINDOW", "COLLATE",
}  # fmt: skip
_NODES = {
    # queries
    "CTE_NODE", "RECURSIVE_CTE_NODE", "SELECT_NODE", "SET_OPERATION_NODE",
    # what they read
    "BASE_TABLE", "EMPTY", "EXPRESSION_LIST", "JOIN", "PIVOT", "SHOW_REF", "SUBQUERY",
    "TABLE_FUNCTION",
    # how they go on
    "ASCENDING", "DESCENDING", "DISTINCT_MODIFIER", "LIMIT_MODIFIER", "ORDER_DEFAULT",
    "ORDER_MODIFIER",
}  # fmt: skip
_TABLE_FUNCTIONS = {
    "generate_series", "icu_calendar_names", "json_each", "json_tree", "pg_timezone_names",
    "range", "repeat", "repeat_row", "unnest",
    # what the session itself has
    "duckdb_columns", "duckdb_functions", "duckdb_keywords", "duckdb_tables", "duckdb_types",
    "duckdb_views", "pragma_version",
}  # fmt: skip
_READERS = {
    "parquet_scan", "read_csv", "read_csv_auto", "read_json", "read_json_auto", "read_ndjson",
    "read_ndjson_auto", "read_parquet",
}  # fmt: skip
_CATALOG = {
    "duckdb_columns", "duckdb_tables", "duckdb_types", "duckdb_views", "sqlite_master",
}  # fmt: skip
"""Views of what the session has, beside those of the schema `information_schema`."""
_NAME = re.compile(r"[\w -]+")
"""A name that DuckDB can take for no file, as there is neither an ending nor a folder in it."""
_SCHEMAS: tuple[set[str], ...] = (set(), {"main"}, {"memory"}, {"memory", "main"})
"""What may stand before the name of a table of the lake."""

_known_functions: dict[str, bool] = {}
"""DuckDB's functions, and which of them a query may call for a value."""
_known_views: set[str] = set()
"""DuckDB's own views."""


class QueryError(ValueError):
    """A query that does not run, or would do more than read."""


@dataclass(frozen=True)
class Statement:
    """A query that can only read.

    Attributes:
        text: The query.
        tables: Names of what it reads, in small letters.
        defined: Names that it gives to queries of its own, in small letters.
        about_all: Whether it asks what tables there are.
    """

    text: str
    tables: frozenset[str]
    defined: frozenset[str]
    about_all: bool


def read_statement(
    connection: duckdb.DuckDBPyConnection, query: str, files: Collection[str] = ()
) -> Statement:
    """Reads a text that must be one query that can only read.

    Args:
        connection: A session.
        query: One SELECT, or what reads like it: FROM, WITH, DESCRIBE, SHOW, SUMMARIZE, EXPLAIN.
        files: Paths that it may name in place of a table, or give to `read_csv` and the like.

    Raises:
        QueryError: It is not.
        duckdb.Error: It is not SQL.
    """
    text, kind = _one_statement(connection, query)
    if kind != duckdb.StatementType.EXPLAIN:
        return _read_select(connection, text, kind, files)
    # What is run is put together from what was looked at.
    prefix = _EXPLAIN.match(text)
    if prefix is None:
        raise QueryError("write EXPLAIN, EXPLAIN ANALYZE or EXPLAIN (FORMAT json), and the query")
    inner = _read_select(connection, *_one_statement(connection, text[prefix.end() :]), files)
    options = ", ".join(filter(None, (prefix["analyze"], prefix["options"])))
    start = f"explain ({options}) " if options else "explain "
    return replace(inner, text=start + inner.text)


def _one_statement(
    connection: duckdb.DuckDBPyConnection, query: str
) -> tuple[str, duckdb.StatementType]:
    try:
        statements = connection.extract_statements(query)
        if len(statements) != 1:
            raise QueryError(f"give one query; this text holds {len(statements)}")
        return statements[0].query, statements[0].type
    except duckdb.Error:
        raise
    except ValueError as error:  # of a kind that DuckDB's own Python package does not know
        if isinstance(error, QueryError):
            raise
        raise QueryError(_only_reading("no query")) from None


def _read_select(
    connection: duckdb.DuckDBPyConnection,
    text: str,
    kind: duckdb.StatementType,
    files: Collection[str],
) -> Statement:
    name = str(kind).rpartition(".")[2]
    if name == "MULTI":
        raise QueryError("PIVOT needs its values named here: PIVOT ... ON column IN (...)")
    if kind != duckdb.StatementType.SELECT:
        raise QueryError(_only_reading(name))
    serialized = connection.execute(_TREE, {"query": text}).fetchall()[0][0]
    try:
        tree = json.loads(serialized)
    except RecursionError:
        raise QueryError("the query is nested too deeply; split it up with WITH") from None
    if tree["error"]:
        raise QueryError(tree["error_message"])
    if not _known_functions:
        _known_views.update(name for (name,) in connection.execute(_INTERNAL_VIEWS).fetchall())
        _known_functions.update(connection.execute(_FUNCTIONS).fetchall())
    reader = _Reader(set(files))
    for statement in tree["statements"]:
        reader.read(statement)
    return Statement(text, frozenset(reader.tables), frozenset(reader.defined), reader.about_all)


def _only_reading(what: str) -> str:
    return (
        f"only reading is allowed here, and this is {what}; to keep a result use `-o FILE`, and "
        "for anything else open catalog.duckdb in DuckDB"
    )


@dataclass
class _Reader:
    """Goes through a statement's tree.

    Attributes:
        files: Paths that the statement may name.
        tables: The names of what it reads.
        defined: The names of its own queries.
        about_all: Whether it asks what tables there are.
    """

    files: set[str]
    tables: set[str] = field(default_factory=set)
    defined: set[str] = field(default_factory=set)
    about_all: bool = False

    def read(self, tree: Any) -> None:
        """Looks at every node.

        Raises:
            QueryError: There is one that a query must not have.
        """
        left = [tree]
        while left:
            node = left.pop()
            if isinstance(node, list):
                left += node
            elif isinstance(node, dict):
                left += self._inner(node)

    def _inner(self, node: dict[str, Any]) -> Iterator[Any]:
        """Looks at one node, and gives what it holds."""
        kind = node.get("class", node.get("type"))
        if "class" in node and kind not in _EXPRESSIONS:
            raise QueryError(_only_reading(f"an expression of the kind {kind}"))
        if "class" not in node and isinstance(kind, str) and kind not in _NODES:
            raise QueryError(_only_reading(kind.removesuffix("_NODE").removesuffix("_QUERY")))
        if kind == "CONSTANT":
            return
        if "cte_map" in node:
            self.defined.update(entry["key"].lower() for entry in node["cte_map"]["map"])
        if kind in ("FUNCTION", "WINDOW"):
            self._check_function(node["function_name"].lower())
        elif kind == "TABLE_FUNCTION":
            self._check_table_function(node["function"])
            yield from node["function"].values()
            node = {name: value for name, value in node.items() if name != "function"}
        elif kind == "BASE_TABLE" or (kind == "SHOW_REF" and node["show_type"] == "SHOW"):
            self._check_table(node["qualified_name"]["path"])
        elif kind == "SHOW_REF" and node["show_type"] not in ("DESCRIBE", "SUMMARY"):
            self.about_all = True
        yield from node.values()

    def _check_table(self, path: list[str]) -> None:
        *schemas, name = path
        outside = {part.lower() for part in schemas}
        if not schemas and name in self.files:
            return
        if not _NAME.fullmatch(name):
            raise QueryError(_no_table(".".join(path)))
        if "information_schema" in outside or name.lower() in _CATALOG:
            self.about_all = True
        elif outside not in _SCHEMAS or name.lower() in _known_views:
            raise QueryError(_no_table(".".join(path)))
        else:
            self.tables.add(name.lower())

    def _check_function(self, name: str) -> None:
        over = words().get(name)
        if over is not None:
            self.tables.update(over)
        elif not (_known_functions.get(name) or name == "unnest"):
            allowed = {known for known, may_be_called in _known_functions.items() if may_be_called}
            raise QueryError(_no_function(name, allowed | set(words())))

    def _check_table_function(self, function: dict[str, Any]) -> None:
        name = function["function_name"].lower()
        over = words().get(name)
        if over is not None:
            self.tables.update(over)
        elif name in _READERS:
            self._check_reader(name, function["arguments"])
        elif name not in _TABLE_FUNCTIONS:
            raise QueryError(_no_function(name, {*_TABLE_FUNCTIONS, *_READERS, *words()}))
        elif name.startswith("duckdb_"):
            self.about_all = True

    def _check_reader(self, name: str, arguments: list[dict[str, Any]]) -> None:
        paths = [argument["expression"] for argument in arguments[:1]]
        if paths and paths[0].get("function_name") == "list_value":
            paths = [argument["expression"] for argument in paths[0]["arguments"]]
        for path in paths:
            literal = path.get("literal") or {}
            if literal.get("kind") != "STRING":
                raise QueryError(f"{name}() takes the path of a file here, in quotes")
            if literal["text"] not in self.files:
                raise QueryError(_no_table(literal["text"]))
        for argument in arguments[1:]:
            option = argument.get("name") or str(argument["expression"].get("left"))
            if "reject" in option.lower():
                raise QueryError(f"{name}() cannot keep what it rejects here")


def _no_function(name: str, allowed: Collection[str]) -> str:
    if name in _known_functions:
        return f"{name}() is not allowed here, as it does more than compute with its arguments"
    close = difflib.get_close_matches(name, allowed, 1)
    return f"there is no function {name}()" + (f"; did you mean {close[0]}()?" if close else "")


def _no_table(name: str) -> str:
    return (
        f"{name} is none of the lake's tables; a file that a query reads beside them must be "
        "named with `--read FILE`, too"
    )
