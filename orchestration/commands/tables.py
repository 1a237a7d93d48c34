"""`anchorlake tables`: the data dictionary."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table as Grid

from assets.study.errors import InputError
from orchestration.commands.console import LakeFolder, input_errors, lake_at, out


def tables_command(
    name: Annotated[str | None, typer.Argument(help="A table; by default all.")] = None,
    lake: LakeFolder = Path("lake"),
) -> None:
    """The data dictionary: what tables hold, their grain, columns and units."""
    from assets.measures.declared import declared_tables

    with input_errors():
        place = lake_at(lake)
        declared = {table.name: table for table in declared_tables()}
        if name is not None and name not in declared:
            raise InputError(f"there is no table {name!r}; there are {', '.join(declared)}")
    if name is None:
        grid = Grid("table", "grain", "what it holds", "files", box=None, pad_edge=False)
        for table in declared.values():
            files = str(len(place.files(table)))
            grid.add_row(table.name, ", ".join(table.grain), table.description, files)
        Console(highlight=False, markup=False).print(grid)
        return
    table = declared[name]
    out.print(table.description)
    out.print(f"grain: {', '.join(table.grain)}")
    out.print("one file a checkpoint" if table.partitioned else "one file")
    grid = Grid("column", "type", "unit", "meaning", box=None, pad_edge=False)
    for column in table.columns:
        grid.add_row(column.name, column.type, column.unit, column.meaning)
    Console(highlight=False, markup=False).print(grid)
