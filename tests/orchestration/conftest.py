"""What the tests of Dagster and of the command line share."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pytest
import sqlalchemy as sa
import typer.main
import typer.testing
from dagster._core.storage.event_log import in_memory as events
from dagster._core.storage.runs import in_memory as runs
from sqlalchemy.pool import StaticPool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from warehouse import Lake


@pytest.fixture(autouse=True, scope="session")
def _commands_put_together_once() -> Iterator[None]:
    """What a runner of commands is given is not read anew for each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.testing, "_get_command", cache(typer.main.get_command))
        yield


@pytest.fixture(autouse=True, scope="session")
def _in_one_connection() -> Iterator[None]:
    """Databases in memory keep their connection: Dagster opens one anew for each event.

    They are never migrated, so they do without the revision that Dagster would look up for it.
    """

    def engine(address: str, **_: object) -> sa.Engine:
        shared = {"check_same_thread": False}
        return sa.create_engine(address, poolclass=StaticPool, connect_args=shared)

    @contextmanager
    def connected(storage: events.InMemoryEventLogStorage) -> Iterator[sa.Connection]:
        with storage._db_lock, storage._engine.begin() as connection:
            yield connection

    with pytest.MonkeyPatch.context() as patch:
        for module in (events, runs):
            patch.setattr(module, "create_engine", engine)
            patch.setattr(module, "stamp_alembic_rev", lambda *_: None)
        patch.setattr(events.InMemoryEventLogStorage, "_connect", connected)
        patch.setattr(runs.InMemoryRunStorage, "connect", lambda self: self._engine.begin())
        yield


@contextmanager
def kept_in_memory() -> Iterator[None]:
    """Keeps what Dagster remembers in memory: its databases take longer than what is tested."""
    with dg.DagsterInstance.ephemeral() as instance, pytest.MonkeyPatch.context() as patch:

        @contextmanager
        def opened(lake: Lake) -> Iterator[dg.DagsterInstance]:
            yield instance

        patch.setattr("orchestration.instance.open_instance", opened)
        yield


@pytest.fixture
def instance_in_memory() -> Iterator[None]:
    """`kept_in_memory`, for a test."""
    with kept_in_memory():
        yield


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[str]:
    """The address of a PostgreSQL server that is started for a test, from the system's package."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs or importlib.util.find_spec("dagster_postgres") is None:
        pytest.skip("needs PostgreSQL (apt-get install postgresql) and the extra `postgres`")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        user = []
        if os.getuid() == 0:  # as whom it does not run
            shutil.chown(folder, "postgres")
            user = ["runuser", "-u", "postgres", "--"]
        data = ["-D", f"{folder}/data"]
        settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
        server = [*user, str(programs[-1] / "pg_ctl"), *data, "-w", "-l", f"{folder}/log"]
        made = [*user, str(programs[-1] / "initdb"), *data, "-A", "trust", "-U", "dagster"]
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL, cwd="/")
        subprocess.run([*server, "-o", settings, "start"], check=True, cwd="/")
        yield f"postgresql+psycopg2://dagster@127.0.0.1:{port}/postgres"
        subprocess.run([*server, "-m", "immediate", "stop"], check=True, cwd="/")
