"""Whether a lake and its Dagster instance can be read and written; nothing is written to see it."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from assets.study.errors import InputError, shown
from models.errors import sentence
from orchestration.troubles import trouble

if TYPE_CHECKING:
    from warehouse import Lake

_LONGEST = 400
"""Bytes of a lake's path: SQLite opens no file whose path, of the instance's own, is over 511."""
_LEAST_ROOM = 10_000_000
"""Bytes that must be free; a lake without a single row takes some."""
EVENTS = "history/runs"
"""Where Dagster keeps its events in an instance's folder: a database for each run, and an index."""
DATABASES = ("history/runs.db", f"{EVENTS}/index.db", "schedules/schedules.db")
"""Of an instance whose settings name no others, in its folder."""


def dagster_home(lake: Lake) -> Path:
    """The folder of the Dagster instance: `$DAGSTER_HOME`, or `.dagster` in the lake."""
    return Path(os.environ.get("DAGSTER_HOME") or lake.root / ".dagster").absolute()


def check_place(lake: Lake) -> None:
    """Looks whether a run can write to a lake, there or not, and to its Dagster instance.

    Raises:
        InputError: It cannot; the message says what to do.
    """
    home = dagster_home(lake)
    for folder in (lake.root, home, lake.staging, lake.registered):
        if len(os.fsencode(folder)) > _LONGEST:
            raise InputError(
                f"{shown(str(folder))}: the path is longer than {_LONGEST} bytes, and databases in "
                "it could not be opened; choose a shorter one"
            )
        try:
            _check_folder(folder)
        except OSError as error:
            raise InputError(trouble(error) or f"{folder}: {error}") from None
    _check_instance(home)


def _check_folder(folder: Path) -> None:
    """Looks whether a folder can be written to, or made.

    Raises:
        OSError: It cannot.
    """
    made = [folder, *folder.parents]
    there = next(place for place in made if os.path.lexists(place))
    longest = os.pathconf(there, "PC_NAME_MAX") if there.is_dir() else 255
    for place in made[: made.index(there)]:
        if len(os.fsencode(place.name)) > longest:
            raise InputError(
                f"{folder}: a name in it is longer than the {longest} bytes that the disk takes; "
                "choose a shorter one"
            )
    if not there.is_dir():
        kind = "a link to nothing" if there.is_symlink() else "a file"
        raise InputError(f"{there} is {kind}, and a folder must be there; move it away")
    if not os.access(there, os.W_OK | os.X_OK):
        what = "cannot be written to" if there == folder else f"is where {folder} cannot be made"
        raise InputError(f"{there} {what}: permission denied; name another lake with --lake")
    total, _, free = shutil.disk_usage(there)
    if total and free < _LEAST_ROOM:  # some file systems do not tell
        raise InputError(
            f"the disk of {there} has {free / 1e6:.1f} MB left, and nothing can be measured with "
            "that; make some room"
        )


def _check_instance(home: Path) -> None:
    """Looks whether Dagster can read its settings and databases, those that are there."""
    settings = home / "dagster.yaml"
    if settings.exists():
        try:
            values = yaml.safe_load(settings.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise bad_settings(home, sentence(error)) from None
        if not isinstance(values, dict | None):
            raise bad_settings(home, "it holds no keys and values")
    for name in DATABASES:
        path = home / name
        if not path.exists():
            continue
        try:
            with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
                database.execute("select count(*) from sqlite_master").fetchone()
        except sqlite3.Error as error:
            raise InputError(trouble(error) or f"{path} cannot be read: {error}") from None


def bad_settings(home: Path, reason: str) -> InputError:
    """What is said of an instance's settings that Dagster does not take."""
    return InputError(
        f"{home / 'dagster.yaml'} does not configure Dagster: {reason}; put it right, or delete it "
        "to have it written anew"
    )
