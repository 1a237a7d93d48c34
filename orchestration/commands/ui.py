"""`anchorlake ui`: Dagster's UI and daemon."""

from __future__ import annotations

import errno
import os
import re
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from assets.study.errors import InputError
from orchestration.commands.console import (
    LakeFolder,
    StudyFile,
    input_errors,
    lake_at,
    out,
)

_HOST = re.compile(r"([\w.-]+|\[[\da-f:.]+\])(:\d+)?", re.ASCII | re.IGNORECASE)


def ui_command(
    study: StudyFile,
    lake: LakeFolder = Path("lake"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="On 127.0.0.1.")] = 3000,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="NAME or NAME:PORT, by which a proxy or tunnel is reached. Repeatable."),
    ] = None,
) -> None:
    """Dagster's UI and daemon for a study."""
    with input_errors():
        listener = _listen(port)
        hosts = [_checked(host) for host in allow_host or ()]
        location = _prepare(study, lake, listener.getsockname()[1])
    # What checked the study is large, and makes room for what is not.
    listener.set_inheritable(True)
    command = ["-m", "orchestration.services", str(listener.fileno()), location, *hosts]
    # The working directory comes first on the module path, and the user's may hold other `assets`.
    os.chdir(Path(__file__).parents[2])
    os.execv(sys.executable, [sys.executable, *command])


def _listen(port: int) -> socket.socket:
    """Takes the port, before anything is loaded or begins; requests wait until they are answered.

    Raises:
        InputError: It cannot be had.
    """
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise InputError(
                f"port {port} is in use; stop what listens there, or name another one with --port"
            ) from None
        raise InputError(f"--port {port}: {error.strerror}; name another one") from None


def _checked(host: str) -> str:
    if not _HOST.fullmatch(host):
        raise InputError(
            f"--allow-host {host}: write a host as the browser's address shows it, such as "
            "lake.example.org or localhost:8080"
        )
    return host


def _prepare(study: Path, lake: Path, port: int) -> str:
    """Checks the study, sets up its instance, and puts into the environment what is served.

    Returns:
        What the code location is called.

    Raises:
        InputError: The study or the lake cannot be used.
    """
    from assets.study.registered import as_it_stands
    from assets.study.study import load_study
    from orchestration.build import build_defs
    from orchestration.instance import open_instance
    from orchestration.names import Names
    from orchestration.partitions import register

    read = load_study(study)
    place = lake_at(lake)
    build_defs(read, place)
    with open_instance(place) as instance:
        register(instance, as_it_stands(read, place))
    os.environ["ANCHORLAKE_STUDY"] = str(study.absolute())
    os.environ["ANCHORLAKE_LAKE"] = place.address
    out.print(f"http://127.0.0.1:{port} shows {read.name} in {place.root}; Ctrl-C stops it")
    return Names.of(read).location
