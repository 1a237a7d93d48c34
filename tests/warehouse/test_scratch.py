from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from warehouse import Lake, catalog, session
from warehouse.catalog import write_catalog
from warehouse.scratch import remove_abandoned, scratch
from warehouse.tables import BASE_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
A_DAY = 24 * 60 * 60
OTHER = """
import sys
from pathlib import Path
from warehouse import Lake
from warehouse.scratch import scratch

with scratch(Lake(Path(sys.argv[1]))) as folder:
    (folder / "spilled").write_text("x" * 1000)
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    (tmp_path / "lake").mkdir()
    return Lake(tmp_path / "lake")


def left(lake: Lake) -> list[str]:
    folder = lake.staging / "scratch"
    return sorted(os.listdir(folder)) if folder.exists() else []


def test_a_folder_is_there_while_it_is_used(lake: Lake) -> None:
    with scratch(lake) as one, scratch(lake) as other:
        (one / "sub").mkdir()
        (one / "sub" / "file").write_text("x")
        assert left(lake) == sorted([one.name, other.name])
        assert one.name.startswith(f"{os.getpid()}-")
    assert left(lake) == []


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_has_is_kept(
    lake: Lake,
) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER, str(lake.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert other.stdout is not None
    folder = Path(other.stdout.readline().strip())
    remove_abandoned(lake)
    with session(lake):
        assert (folder / "spilled").exists()
    other.kill()
    other.communicate(timeout=60)
    assert (folder / "spilled").exists()
    with session(lake) as connection:
        assert not folder.exists()
        connection.execute("select 1").fetchall()
    assert left(lake) == []


def test_what_has_no_lock_is_removed_after_a_day(lake: Lake) -> None:
    parent = lake.staging / "scratch"
    for name in ("new", "old"):
        (parent / f"{name}-dir").mkdir(parents=True)
        (parent / f"{name}-dir" / "spilled").write_text("x")
        (parent / f"duckdb_temp_storage_{name}.tmp").write_text("x")
    for path in parent.glob("*old*"):
        before = path.stat().st_mtime - A_DAY - 60
        os.utime(path, (before, before))
    remove_abandoned(lake)
    assert left(lake) == ["duckdb_temp_storage_new.tmp", "new-dir"]


def test_folders_that_are_made_and_removed_at_once_do_not_disturb_each_other(lake: Lake) -> None:
    def use(number: int) -> bool:
        with scratch(lake) as folder:
            (folder / "file").write_text(str(number))
            remove_abandoned(lake)
            return (folder / "file").read_text() == str(number)

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(use, range(400)))
    assert left(lake) == []


def test_a_session_of_a_lake_that_cannot_be_written_to_does_without(lake: Lake) -> None:
    lake.staging.write_text("no folder can be here")
    with session(lake) as connection:
        (folder,) = connection.execute("select current_setting('temp_directory')").fetchall()[0]
        assert folder == ""


def test_a_session_of_a_lake_that_is_not_there_makes_none(tmp_path: Path) -> None:
    with session(Lake(tmp_path / "none")):
        pass
    assert not (tmp_path / "none").exists()


def test_a_catalog_that_is_not_finished_leaves_nothing(
    lake: Lake, put_generations: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_generations({"a": ["one"]})

    def begin(unfinished: Path, *arguments: Any) -> set[str]:
        unfinished.write_text("begun")
        raise KeyboardInterrupt

    monkeypatch.setattr(catalog, "_add", begin)
    with pytest.raises(KeyboardInterrupt):
        write_catalog(lake, BASE_TABLES)
    assert left(lake) == []
    assert not lake.catalog.exists()
    assert sorted(path.name for path in lake.staging.iterdir()) == [
        "locks",
        "scratch",
        "verified",
    ]
