"""What a table is: its grain, and its columns with their type, unit and meaning."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

PARTITION_COLUMN = "checkpoint"
"""The one column that tables are partitioned by. It is in the file's path, not in the file."""

RESERVED = ("figures", "report", "shown")
"""What no table can be called."""
_TABLE_NAME = re.compile(r"[a-z][a-z0-9_]*")
_ARROW_TYPES = {
    "BOOLEAN": pa.bool_(),
    "INTEGER": pa.int32(),
    "BIGINT": pa.int64(),
    "HALF": pa.float16(),  # REAL in SQL, and 16 bits in files
    "REAL": pa.float32(),
    "DOUBLE": pa.float64(),
    "VARCHAR": pa.string(),
}


def is_table_name(name: str) -> bool:
    """Whether a table can be called so."""
    return _TABLE_NAME.fullmatch(name) is not None and name not in RESERVED


def arrow_type(sql_type: str) -> pa.DataType:
    """The Arrow type of a SQL type; `TYPE[]` is a list of `TYPE`.

    Raises:
        ValueError: The type is not one that tables use.
    """
    name = sql_type.strip().upper()
    if name.endswith("[]"):
        return pa.list_(arrow_type(name[:-2]))
    if name not in _ARROW_TYPES:
        raise ValueError(f"{sql_type!r} is no column type; use {', '.join(_ARROW_TYPES)} or TYPE[]")
    return _ARROW_TYPES[name]


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: Its name.
        type: Its SQL type.
        meaning: What a value says.
        unit: What numbers count, where it is not plain from the meaning.
    """

    name: str
    type: str
    meaning: str = ""
    unit: str = ""

    @property
    def sql_type(self) -> str:
        """Its type in SQL, which has no numbers of 16 bits."""
        return self.type.replace("HALF", "REAL")


@dataclass(frozen=True)
class Table:
    """A table of the lake.

    Attributes:
        name: Its name; also that of its asset, its folder and its view.
        description: What it holds, in a sentence.
        grain: The columns that identify a row.
        columns: All columns, those of the grain first.
        partitioned: Whether each checkpoint has a file of its own.
        may_be_empty: Whether it may have no row.
        folder: Where it is within the lake, if not in a folder of its name; a pattern for a table
            that only looks at the files of others.
        path_columns: The columns, beside the checkpoint, that are in its files' paths.
    """

    name: str
    description: str
    grain: tuple[str, ...]
    columns: tuple[Column, ...]
    partitioned: bool = True
    may_be_empty: bool = False
    folder: str = ""
    path_columns: tuple[str, ...] = ()

    @cached_property
    def arrow_schema(self) -> pa.Schema:
        """The schema of its files, without the column that is in their path."""
        return pa.schema([(c.name, arrow_type(c.type)) for c in self.stored_columns])

    @property
    def stored_columns(self) -> tuple[Column, ...]:
        """The columns that are in its files."""
        return tuple(c for c in self.columns if c.name not in self._in_path)

    @property
    def stored_grain(self) -> tuple[str, ...]:
        """The columns that identify a row within one file."""
        return tuple(c for c in self.grain if c not in self._in_path)

    @property
    def _in_path(self) -> tuple[str, ...]:
        return (*self.path_columns, PARTITION_COLUMN) if self.partitioned else self.path_columns


COMMON_COLUMNS = {
    column.name: column
    for column in (
        Column("checkpoint", "VARCHAR", "name of the checkpoint"),
        Column(
            "decoding", "VARCHAR", "how tokens were chosen: top_p=0.9, greedy, ...; - if unknown"
        ),
        Column(
            "condition",
            "VARCHAR",
            "whose text is predicted: gold (human), own, or the checkpoint that generated it",
        ),
        Column("corpus", "VARCHAR", "the corpus; for generations their set of prompts"),
        Column("text_id", "VARCHAR", "the document, or prompt_id/sample of the generation"),
        Column("k", "INTEGER", "number of most likely tokens", "tokens"),
        Column("prompt_set", "VARCHAR", "the set that the prompt belongs to"),
        Column("prompt_id", "VARCHAR", "identifies the prompt within its set"),
        Column("sample", "INTEGER", "number of the generation among its prompt's, from 0"),
        Column("unit", "VARCHAR", "what an n-gram is made of: token (the model's own) or word"),
        Column("n", "INTEGER", "length of the n-gram", "units"),
    )
}
"""Columns that mean the same wherever they appear."""
