"""The command line: its commands, put together; each of them is a module of `commands`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from orchestration.commands import check, checkpoints, imports, report, run, sql, tables, ui
from orchestration.commands.console import FAILED, Debugging, err

app = typer.Typer(
    help="Measure what alignment does to language models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(checkpoints.app, name="checkpoints")
app.command("import")(imports.import_command)
app.command("run")(run.run_command)
app.command("check")(check.check_command)
app.command("sql")(sql.sql_command)
app.command("tables")(tables.tables_command)
app.command("report")(report.report_command)
app.command("ui")(ui.ui_command)


@app.callback()
def options(
    debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
) -> None:
    """Options of every command."""
    Debugging.on = debug


def run_app() -> None:
    """Runs the command that the arguments name."""
    try:
        app()
    except Exception as error:
        if Debugging.on:
            raise
        err.print(f"{type(error).__name__}: {error}")
        err.print("this should not have happened; `anchorlake --debug ...` shows where it did")
        sys.exit(FAILED)
