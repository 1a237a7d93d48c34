"""A lake in a notebook: its tables as DuckDB relations, its figures as Altair charts.

    import anchorlake
    lake = anchorlake.open("lake")
    lake.sql("from summary where headline").df()

What is here reads a lake and computes nothing anew. It imports none of the packages beside it, so
it needs no more than DuckDB and Altair, and a notebook's folder may have a `models.py` of its own.
Only `anchorlake.Study`, the component that a `defs.yaml` of Dagster names, is loaded from them.
"""

from __future__ import annotations

import difflib
import importlib
import json
import os
import re
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

if TYPE_CHECKING:
    import altair as alt

_CHARTS = {
    "layer": "LayerChart",
    "hconcat": "HConcatChart",
    "vconcat": "VConcatChart",
    "concat": "ConcatChart",
    "repeat": "RepeatChart",
    "facet": "FacetChart",
}
"""Altair's classes of charts, by the key that only they have."""
_VERBS = [
    *("sql(query)", "table(name)", "columns(table)", "figure(name)"),
    *("compare(checkpoint,other)", "generations(prompt)"),
]
_MOST_NAMES = 40
"""That an error lists."""

__all__ = ["Lake", "LakeError", "open"]

_TABLES = """
    select view_name as "table", comment as description
    from duckdb_views()
    where not internal
    order by view_name
"""
_COLUMNS = """
    select column_name as "column", data_type as type, comment as meaning
    from duckdb_columns()
    where table_name = $name and not internal
    order by column_index
"""
_CHECKPOINTS = """
    select checkpoint
    from checkpoints
    order by ladder nulls last, rung, checkpoint
"""
_PAIRS = """
    select distinct checkpoint, other
    from comparisons
    order by all
"""
_COMPARISONS = """
    from comparisons
    where checkpoint = $checkpoint and other = $other
    order by headline desc, measure, decoding, other_decoding, condition, unit, level, collection
"""
_PROMPTS = """
    select distinct prompt_id, text
    from prompts
    order by all
"""
_GENERATIONS = """
    select generations.*
    from generations
    left join checkpoints using (checkpoint)
    where list_contains($ids, prompt_id)
    order by ladder nulls last, rung, checkpoint, decoding, prompt_set, prompt_id, sample
"""


def __getattr__(name: str) -> object:
    if name == "Study":
        return importlib.import_module("orchestration.component").Study
    raise AttributeError(f"module 'anchorlake' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), "Study"]  # `dg` looks here for components


class LakeError(ValueError):
    """What was asked for is not in the lake; the message says what is."""


def open(folder: str | os.PathLike[str] = "lake") -> Lake:  # noqa: A001
    """Opens a lake for reading.

    Args:
        folder: The lake's folder, wherever it was moved.

    Raises:
        LakeError: There is no lake, or no run has written its catalog.
    """
    if re.match(r"(s3|gs|az):/", os.fspath(folder)):
        raise LakeError(
            "open() reads a folder; of a lake in a bucket `anchorlake sql QUERY -o FILE` writes "
            "what a notebook can read"
        )
    root = Path(folder).expanduser().absolute()
    catalog = root / "catalog.duckdb"
    if not catalog.is_file():
        what = "catalog.duckdb in the lake" if root.is_dir() else "lake"
        raise LakeError(f"there is no {what} {folder}; `anchorlake run STUDY --lake DIR` makes one")
    return Lake(root, _connect(root, catalog))


def _connect(root: Path, catalog: Path) -> duckdb.DuckDBPyConnection:
    """A connection with a copy of the catalog, which reads the lake where it is now."""
    connection = duckdb.connect(config={"python_scan_all_frames": True})
    # None of these statements takes a parameter; a constant is written as SQL writes it.
    connection.execute(f"attach {_constant(catalog)} as catalog_file (read_only)")
    connection.execute("copy from database catalog_file to memory")
    connection.execute("detach catalog_file")
    connection.execute(f"create or replace macro lake_folder() as {_constant(root)}")
    return connection


def _constant(path: Path) -> str:
    return str(duckdb.ConstantExpression(str(path)))


@dataclass(frozen=True, repr=False)
class Lake:
    """A lake that is open; what a run adds to its tables is seen, a new table once it is reopened.

    Attributes:
        folder: Where it is.
        connection: DuckDB's connection, in which each table is a view of its name.
    """

    folder: Path
    connection: duckdb.DuckDBPyConnection = field(compare=False)

    def sql(self, query: str, **values: object) -> duckdb.DuckDBPyRelation:
        """A query's result, computed when it is looked at: `.df()`, `.pl()`, `.arrow()`.

        Args:
            query: SQL; beside the lake's tables it may read data frames by their variables' names.
            values: The values of parameters that it holds, `$name` by name.
        """
        return self.connection.sql(query, params=values or None)

    def table(self, name: str) -> duckdb.DuckDBPyRelation:
        """All rows of a table.

        Raises:
            LakeError: The lake has no such table.
        """
        _check("table", name, self._names_of(self.tables))
        return self.connection.table(name)

    @property
    def tables(self) -> duckdb.DuckDBPyRelation:
        """The tables that the lake has, and what each holds."""
        return self.sql(_TABLES)

    def columns(self, table: str) -> duckdb.DuckDBPyRelation:
        """The columns of a table, their types, and what they mean.

        Raises:
            LakeError: The lake has no such table.
        """
        _check("table", table, self._names_of(self.tables))
        return self.sql(_COLUMNS, name=table)

    @property
    def checkpoints(self) -> list[str]:
        """The checkpoints that were measured, in the order of their ladders."""
        if "checkpoints" not in self._names_of(self.tables):
            return []
        return self._names_of(self.sql(_CHECKPOINTS))

    @property
    def figures(self) -> list[str]:
        """The figures that are drawn."""
        return sorted(path.parent.name for path in self.folder.glob("figures/*/chart.json"))

    def figure(self, name: str) -> alt.TopLevelMixin:
        """A figure as it is in the lake: an Altair chart, to be shown, changed or saved.

        Raises:
            LakeError: There is no such figure.
        """
        import altair as alt

        _check("figure", name, self.figures)
        file = self.folder / "figures" / name / "chart.json"
        specification = json.loads(file.read_text(encoding="utf-8"))
        kind = next((kind for key, kind in _CHARTS.items() if key in specification), "Chart")
        # Altair wrote it; to hold it against its schema again takes seconds.
        chart: alt.TopLevelMixin = getattr(alt, kind).from_dict(specification, validate=False)
        return chart

    def compare(self, checkpoint: str, other: str) -> duckdb.DuckDBPyRelation:
        """The rows of `comparisons` of a checkpoint with another, those of the headlines first.

        `difference` is the checkpoint's value less the other's. Nothing is computed here: a run
        compares each checkpoint with its base, and with the stage before it on its ladder.

        Raises:
            LakeError: The two were not compared.
        """
        _check("table", "comparisons", self._names_of(self.tables))
        for name in (checkpoint, other):
            _check("checkpoint", name, self.checkpoints)
        pairs = self.sql(_PAIRS).fetchall()
        if (checkpoint, other) not in pairs:
            compared = "; ".join(f"{a} with {b}" for a, b in pairs)
            raise LakeError(
                f"{checkpoint} was not compared with {other}; a run compared {compared or 'none'}"
            )
        return self.sql(_COMPARISONS, checkpoint=checkpoint, other=other)

    def generations(self, prompt: str) -> duckdb.DuckDBPyRelation:
        """All generations of a prompt, by checkpoint in the order of the ladders.

        Args:
            prompt: Its prompt_id, or its text.

        Raises:
            LakeError: The lake has no such prompt.
        """
        texts = self.sql(_PROMPTS).fetchall()
        ids = sorted({key for key, text in texts if prompt in (key, text)})
        if not ids:
            _check("prompt", prompt, list(dict.fromkeys(key for key, _ in texts)))
        return self.sql(_GENERATIONS, ids=ids)

    def _names_of(self, relation: duckdb.DuckDBPyRelation) -> list[str]:
        return [row[0] for row in relation.fetchall()]

    def __repr__(self) -> str:
        """What is in the lake, and how to ask for it."""
        tables = self._names_of(self.tables)
        return "\n".join(
            (
                f"Lake {self.folder}",
                _listed("checkpoints", self.checkpoints),
                _listed("tables", tables),
                _listed("figures", self.figures),
                _listed("ask it with", _VERBS),
            )
        )


def _listed(heading: str, names: list[str]) -> str:
    text = textwrap.fill(", ".join(names) or "none yet", 73)
    return textwrap.indent(text, " " * 15).replace(" " * 15, f"  {heading:13}", 1)


def _check(kind: str, name: str, names: list[str]) -> None:
    """Raises `LakeError` where a name is none of these."""
    if name in names:
        return
    near = difflib.get_close_matches(name, names, n=1)
    meant = f" (did you mean {near[0]}?)" if near else ""
    shown = [*names[:_MOST_NAMES], "..."] if len(names) > _MOST_NAMES else names
    raise LakeError(f"the lake has no {kind} {name!r}{meant}; it has {', '.join(shown) or 'none'}")
