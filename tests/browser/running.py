"""`anchorlake ui`, started as somebody starts it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.studies import Bench

PROGRAMS = Path(sys.executable).parent
ROOT = Path(__file__).parents[2]
PATIENCE = 300
"""Seconds that anything may take on a slow machine."""


@dataclass
class Ui:
    """`anchorlake ui`, running or not."""

    bench: Bench
    port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self, *, ignoring_sigint: bool = False) -> None:
        """Starts it, as a script does with `&` if it ignores SIGINT, and waits until it answers."""

        def ignore() -> None:
            if ignoring_sigint:
                signal.signal(signal.SIGINT, signal.SIG_IGN)

        with (self.bench.folder / "ui.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    PROGRAMS / "anchorlake",
                    "ui",
                    "study.yaml",
                    "--lake",
                    "lake",
                    "--port",
                    str(self.port),
                ],
                cwd=self.bench.folder,
                stdout=log,
                stderr=log,
                preexec_fn=ignore,
            )
        until(self._answers, "the UI answers")

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/server_info", timeout=5):
                return True
        except OSError:
            return False

    def processes(self) -> list[psutil.Process]:
        """Everything that belongs to it."""
        assert self.process is not None
        first = psutil.Process(self.process.pid)
        return [first, *first.children(recursive=True)]

    def stop(self) -> None:
        """Stops it as `kill` in a shell does, if it runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)

    def kill(self) -> None:
        """Kills everything that belongs to it, all at once."""
        everything = self.processes()
        for process in everything:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(everything, timeout=30)

    def sensor_on(self) -> None:
        """What the switch in the browser does."""
        module = {
            "module_name": "orchestration.definitions",
            "working_directory": str(ROOT),
            "location_name": "tiny",
        }
        workspace = self.bench.folder / "workspace.yaml"
        workspace.write_text(json.dumps({"load_from": [{"python_module": module}]}))
        subprocess.run(
            [
                PROGRAMS / "dagster",
                "sensor",
                "start",
                "new_checkpoints",
                "-w",
                workspace,
            ],
            check=True,
            capture_output=True,
            env={
                **os.environ,
                "DAGSTER_HOME": str(self.bench.lake.root / ".dagster"),
                "ANCHORLAKE_STUDY": str(self.bench.folder / "study.yaml"),
                "ANCHORLAKE_LAKE": str(self.bench.lake.root),
            },
        )


def until(there: Callable[[], Any], what: str, *, every: float = 1.0) -> Any:
    """Waits for something, looking every so many seconds, and gives it."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := there():
            return found
        time.sleep(every)
    raise AssertionError(f"after {PATIENCE} s it is not so that {what}")
