"""`anchorlake ui`: Dagster's UI and daemon."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from orchestration.commands.console import LakeFolder, StudyFile, input_errors, lake_at, out


def ui_command(
    study: StudyFile,
    lake: LakeFolder = Path("lake"),
    port: Annotated[int, typer.Option(help="On 127.0.0.1.")] = 3000,
) -> None:
    """Dagster's UI and daemon for a study."""
    from assets.study.registered import as_it_stands
    from assets.study.study import load_study
    from orchestration.build import build_defs
    from orchestration.instance import open_instance
    from orchestration.partitions import register

    with input_errors():
        read = load_study(study)
        place = lake_at(lake)
        build_defs(read, place)
    with open_instance(place) as instance:
        register(instance, as_it_stands(read, place))
    os.environ["ANCHORLAKE_STUDY"] = str(study.absolute())
    os.environ["ANCHORLAKE_LAKE"] = str(place.root)
    out.print(f"http://127.0.0.1:{port} shows {read.name} in {place.root}; Ctrl-C stops it")
    root = Path(__file__).parents[2]
    # The working directory comes first on the module path, and the user's may hold other `assets`.
    command = ["-m", "dagster", "dev", "-m", "orchestration.definitions", "-d", str(root)]
    place_of_ui = ["-h", "127.0.0.1", "-p", str(port), "--log-level", "warning"]
    os.chdir(root)
    os.execv(sys.executable, [sys.executable, "-W", "ignore", *command, *place_of_ui])
