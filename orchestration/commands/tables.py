"""`anchorlake tables`: the data dictionary."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table as Grid

from assets.study.errors import InputError, meant
from orchestration.commands.console import LakeFolder, input_errors, lake_at, out, show

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from warehouse import Lake, Table
    from warehouse.measure_headers import Measure

_PREFIX = "measures/"
"""What tells a measure from a table of its name."""


def tables_command(
    name: Annotated[
        str | None, typer.Argument(help="A table or a measure; by default all.")
    ] = None,
    lake: LakeFolder = Path("lake"),
    study: Annotated[
        Path | None, typer.Option(help="A study file, whose `sql:` folder is shown too.")
    ] = None,
) -> None:
    """The data dictionary: what tables hold, their grain, columns and units; and the measures."""
    from assets.measures.declared import (
        PLACEHOLDERS,
        SQL_FOLDER,
        declared_measures,
        declared_tables,
        sql_folders,
    )

    with input_errors():
        place = lake_at(lake)
        folders: tuple[Path, ...] = (SQL_FOLDER,)
        if study is not None:
            from assets.study.study import load_study  # and so PyTorch, which takes seconds

            folders = sql_folders(load_study(study))
        tables = {table.name: table for table in declared_tables(folders)}
        listed = declared_measures(PLACEHOLDERS, folders)
        measures = {measure.name: measure for measure in listed}
        key = (name or "").removeprefix(_PREFIX)
        if name is not None and name not in tables and key not in measures:
            raise _unknown(name, [*tables, *measures])
    if name is None:
        _list_tables(tables.values(), place)
        out.print()
        _list_measures(listed)
    elif name in tables:
        _show_table(tables[name])
        if name in measures:
            out.print(f"a measure is called so too: anchorlake tables {_PREFIX}{name}")
    else:
        _show_measure(measures[key])


def _unknown(name: str, names: Sequence[str]) -> InputError:
    near = meant(name.removeprefix(_PREFIX), names)
    return InputError(
        f"there is no table or measure {name!r}{near}; `anchorlake tables` lists them, with "
        "`--study FILE` those of a study's own folder, too"
    )


def _list_tables(tables: Iterable[Table], lake: Lake) -> None:
    grid = Grid("table", "files", "what it holds, and what a row is of", box=None, pad_edge=False)
    for table in tables:
        about = f"{_first_sentence(table.description)}\nby {', '.join(table.grain)}"
        grid.add_row(table.name, str(len(lake.published(table))), about)
    show(grid)


def _list_measures(measures: Iterable[Measure]) -> None:
    grid = Grid("measure", "what it measures, and how", box=None, pad_edge=False)
    for measure in measures:
        about = f"{_first_sentence(measure.description)}\n{_summary(measure)}"
        grid.add_row(measure.name, about)
    show(grid)


def _summary(measure: Measure) -> str:
    """How a measure is made, in a line."""
    level = f", by {measure.level}" if measure.level else ""
    headline = "" if measure.headline is None else f", headline {measure.headline}"
    how = f"{measure.statistic} over {measure.item}s{level}{headline}"
    return f"{measure.group}: {how}, as {measure.format}"


def _first_sentence(text: str) -> str:
    """The beginning of a description, which `anchorlake tables NAME` shows whole."""
    sentence, stop, _ = text.partition(". ")
    return sentence + "." if stop else text


def _show_table(table: Table) -> None:
    out.print(table.description)
    out.print(f"grain: {', '.join(table.grain)}")
    out.print("one file a checkpoint" if table.partitioned else "one file")
    grid = Grid("column", "type", "unit", "meaning", box=None, pad_edge=False)
    for column in table.columns:
        grid.add_row(column.name, column.type, column.unit, column.meaning)
    show(grid)


def _show_measure(measure: Measure) -> None:
    from warehouse.measure_headers import KEYS

    out.print(measure.description)
    out.print(f"declared in {measure.path}")
    out.print(f"its values are the rows of `measures` where measure = '{measure.name}'")
    grid = Grid("key", "value", "meaning", box=None, pad_edge=False)
    for key, meaning in KEYS.items():
        value = getattr(measure, key)
        if value is not None:
            text = ", ".join(value) if isinstance(value, tuple) else str(value)
            grid.add_row(key, text, meaning)
    show(grid)
