"""`anchorlake import`: other tools' outputs become the generations of a `file:` checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assets.imports import FORMATS, Options, import_files
from assets.imports.tabular import FIELDS
from assets.study.errors import InputError
from orchestration.commands.console import input_errors, out

Output = Annotated[
    Path, typer.Option("--output", "-o", help="The file to write.", show_default=False)
]
Column = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FIELD=COLUMN",
        help=f"What column a field is in, of {', '.join(FIELDS)}; by default one of its name. "
        "FIELD= is in none. Repeatable. For csv, parquet and hf-dataset.",
    ),
]


def import_command(
    format: Annotated[  # noqa: A002
        str, typer.Argument(help=f"One of {', '.join(FORMATS)}.", show_default=False)
    ],
    file: Annotated[
        list[str],
        typer.Argument(
            help="Files of one model; for hf-dataset folders, or org/name on the hub.",
            show_default=False,
        ),
    ],
    output: Output,
    column: Column = None,
    generator: Annotated[
        str | None, typer.Option(help="Whose outputs are meant. For alpaca-eval.")
    ] = None,
    config: Annotated[
        str | None, typer.Option(help="The dataset's configuration. For hf-dataset.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="The dataset's split. For hf-dataset.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Turn what another tool had a model write into generations for a study."""
    with input_errors():
        columns = dict(_column(text) for text in column or ())
        options = Options(columns, generator, config, split)
        written = import_files(format, file, output, options, force=force)
    if losses := written.losses():
        out.print(losses)
    out.print(
        f"{output}: {_count(written.samples, 'sample')} of {_count(written.prompts, 'prompt')}"
    )
    out.print(f'a study measures them as `source: "file:{output}"`')


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _column(text: str) -> tuple[str, str]:
    field, equals, name = text.partition("=")
    if not equals or field not in FIELDS:
        raise InputError(
            f"--column {text}: write FIELD=COLUMN, where FIELD is one of {', '.join(FIELDS)}"
        )
    return field, name
