"""The command line: its commands, put together; each of them is a module of `commands`."""

from __future__ import annotations

import sys
import warnings
from typing import Annotated

import typer
from typer.exceptions import TyperException

from orchestration.commands import (
    check,
    checkpoints,
    imports,
    report,
    run,
    schema,
    sql,
    tables,
    ui,
)
from orchestration.commands.console import BAD_INPUT, FAILED, Debugging, err, is_bad_input
from orchestration.streams import unfailing

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
app.command("schema")(schema.schema_command)
app.command("report")(report.report_command)
app.command("ui")(ui.ui_command)


def _say_version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata

        typer.echo(f"anchorlake {metadata.version('anchorlake')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Say the version.", callback=_say_version, is_eager=True),
    ] = False,
    debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
) -> None:
    """Options of every command."""
    Debugging.on = debug
    if not debug:  # what libraries warn their programmers of
        warnings.simplefilter("ignore")


def run_app() -> None:
    """Runs the command that the arguments name, and ends with its status."""
    sys.exit(_status())


def _status() -> int:
    """Runs it; what goes wrong is one sentence on standard error, and the status that is given."""
    try:
        with unfailing():
            return int(app(prog_name="anchorlake", standalone_mode=False) or 0)
    except Exception as error:
        if Debugging.on:
            raise
        if isinstance(error, TyperException):
            return _bad_command(error)
        if is_bad_input(error):
            err.print(str(error))
            return BAD_INPUT
        from orchestration.troubles import trouble

        if sentence := trouble(error):
            err.print(sentence)
            return BAD_INPUT
        err.print(f"{type(error).__name__}: {error}")
        err.print("this should not have happened; `anchorlake --debug ...` shows where it did")
        return FAILED


def _bad_command(error: TyperException) -> int:
    """Says what is wrong with a command; where it was given nothing, its help was shown."""
    if message := error.format_message().replace("Value error, ", "").rstrip("."):
        context = getattr(error, "ctx", None)
        path = "anchorlake" if context is None else context.command_path
        err.print(f"{path}: {message[0].lower()}{message[1:]}; `{path} -h` says what it takes")
    return BAD_INPUT
