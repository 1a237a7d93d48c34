"""`anchorlake report`: where the report is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assets.study.errors import InputError
from orchestration.commands.console import LakeFolder, existing_lake, input_errors, out


def report_command(
    lake: LakeFolder = Path("lake"),
    open_: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
) -> None:
    """Say where the report is."""
    with input_errors():
        path = existing_lake(lake).report
        if not path.exists():
            raise InputError(f"{lake} has no report yet; `anchorlake run STUDY` writes it")
    out.print(str(path))
    if open_:
        typer.launch(path.as_uri())
