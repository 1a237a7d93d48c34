from __future__ import annotations

import errno
import os
import sqlite3
from typing import TYPE_CHECKING

import duckdb
import pytest
import sqlalchemy.exc

from orchestration.troubles import trouble

if TYPE_CHECKING:
    from pathlib import Path

FULL = "no space is left on the disk; make some, and the same command goes on from there"


def error(number: int, *paths: str) -> OSError:
    return OSError(number, os.strerror(number), *paths)


@pytest.mark.parametrize(
    ("cause", "sentence"),
    [
        (error(errno.ENOSPC), FULL),
        (error(errno.ENOSPC, "/lake/x"), f"/lake/x: {FULL}"),
        (
            error(errno.EACCES, "/lake"),
            "/lake: permission denied; change who may read and write there, or name another place",
        ),
        (error(errno.EROFS, "/lake"), "/lake: the disk can only be read; name another place"),
        (
            error(errno.ENAMETOOLONG, "x" * 5_000),
            f"{'x' * 300}…: the name is too long for the disk; choose a shorter one",
        ),
        (
            duckdb.IOException('Could not write file "x": No space left on device'),
            FULL,
        ),
        (
            sqlalchemy.exc.OperationalError("select", None, ConnectionError("connection refused")),
            "Dagster's database cannot be reached (connection refused); look whether it runs, and "
            "at its address in $ANCHORLAKE_POSTGRES or dagster.yaml",
        ),
        (
            MemoryError(),
            "this machine's memory is not enough; free some, or ask for less at once, such as with "
            "a checkpoint's `batch_tokens:`",
        ),
    ],
)
def test_what_the_machine_refuses_is_a_sentence(cause: Exception, sentence: str) -> None:
    assert trouble(cause) == sentence
    wrapped = RuntimeError("it failed")
    wrapped.__cause__ = cause
    assert trouble(wrapped) == sentence


def test_of_a_file_that_is_moved_what_is_in_its_way_is_said(tmp_path: Path) -> None:
    (tmp_path / "new").write_text("")
    (tmp_path / "there").mkdir()
    with pytest.raises(OSError, match="directory") as refused:
        (tmp_path / "new").replace(tmp_path / "there")
    assert trouble(refused.value) == (
        f"{tmp_path}/there: a folder is in the place of a file; move it away"
    )


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"garbage" * 1_000, "a database of Dagster is damaged (file is not a database); move"),
        (None, "Dagster's database cannot be written (unable to open database file); look whether"),
    ],
)
def test_a_database_that_cannot_be_used(
    content: bytes | None, sentence: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "runs.db").write_bytes(content)
    place = "runs.db" if content is not None else "none/runs.db"
    with pytest.raises(sqlite3.Error) as refused, sqlite3.connect(tmp_path / place) as database:
        database.execute("create table x (y)")
    assert str(trouble(refused.value)).startswith(sentence)


@pytest.mark.parametrize(
    "other",
    [KeyError("x"), ValueError("x"), ConnectionResetError(errno.ECONNRESET, "reset"), OSError("x")],
)
def test_any_other_error_is_none_of_the_machines(other: Exception) -> None:
    assert trouble(other) is None
