"""`anchorlake import`: other tools' outputs become the generations of a `file:` checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assets.imports import FORMATS, Options, import_files
from assets.imports.tabular import FIELDS
from assets.study.errors import InputError
from orchestration.commands.console import input_errors, out

if TYPE_CHECKING:
    from assets.imports.scored import WrittenScores

_TABULAR = "jsonl, csv, parquet and hf-dataset"

Output = Annotated[
    Path, typer.Option("--output", "-o", help="The file to write.", show_default=False)
]
Column = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FIELD=COLUMN",
        help=f"What column a field is in, of {', '.join(FIELDS)}; by default one of its name. "
        f"FIELD= is in none. Repeatable. For {_TABULAR}.",
    ),
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COLUMN=VALUE",
        help=f"Only rows that have this value there. Repeatable. For {_TABULAR}.",
    ),
]
SplitBy = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="Write a file for each value of this column, such as model: of -o made.jsonl "
        f"made-VALUE.jsonl. For {_TABULAR}.",
    ),
]


def import_command(
    format: Annotated[  # noqa: A002
        str, typer.Argument(help=f"One of {', '.join(FORMATS)}.", show_default=False)
    ],
    file: Annotated[
        list[str],
        typer.Argument(
            help="One or more files; for hf-dataset folders, or org/name on the hub.",
            show_default=False,
        ),
    ],
    output: Output,
    column: Column = None,
    where: Where = None,
    split_by: SplitBy = None,
    generator: Annotated[
        str | None, typer.Option(help="Whose outputs are meant. For alpaca-eval.")
    ] = None,
    config: Annotated[
        str | None, typer.Option(help="The dataset's configuration. For hf-dataset.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="The dataset's split. For hf-dataset.")] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(
            help="What the study calls the model, where scores come along; by default as -o is "
            "called. For lm-eval and inspect."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Turn what another tool had a model write into generations for a study."""
    with input_errors():
        columns = dict(_column(text) for text in column or ())
        wanted = dict(_condition(text) for text in where or ())
        options = Options(columns, wanted, split_by, generator, config, split, checkpoint)
        written = import_files(format, file, output, options, force=force)
    if losses := written.losses():
        out.print(losses)
    for path, counts in written.files.items():
        name = output.with_name(path.name) if split_by else output
        out.print(
            f"{name}: {_count(counts.samples, 'sample')} of {_count(counts.prompts, 'prompt')}"
        )
        out.print(f'a study measures them as `source: "file:{name}"`')
    if written.scores:
        _say_scores(written.scores, output)


def _say_scores(scores: WrittenScores, output: Path) -> None:
    if losses := scores.losses():
        out.print(losses)
    if scores.file:
        name = output.with_name(scores.file.name)
        by_name = ", ".join(f"{n:,} {score}" for score, n in scores.written.items())
        out.print(f"{name}: scores of {scores.checkpoint}: {by_name}")
        out.print(f"a study reads them as `scores: {{file: {name}}}`")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _column(text: str) -> tuple[str, str]:
    field, equals, name = text.partition("=")
    if not equals or field not in FIELDS:
        raise InputError(
            f"--column {text}: write FIELD=COLUMN, where FIELD is one of {', '.join(FIELDS)}"
        )
    return field, name


def _condition(text: str) -> tuple[str, str]:
    column, equals, value = text.partition("=")
    if not equals or not column:
        raise InputError(f"--where {text}: write COLUMN=VALUE, such as model=dpo")
    return column, value
