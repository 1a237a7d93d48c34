"""Dagster's event log in SQLite, with connections that stay open from one event to the next.

Dagster's own opens a connection for each event, and closes it again: SQLite then folds its journal
into the database and waits for the disk, and SQLAlchemy compiles each statement anew. An asset has
some fifteen events, so that took longer than most measures do. It also looks at each event of a
check, and of an asset, whether the databases have the tables and columns for it.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from dagster import StringSource
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite import create_db_conn_string
from sqlalchemy.pool import StaticPool

from orchestration.places import EVENTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dagster._serdes import ConfigurableClassData

_OPEN = 4
"""Databases that stay open at once: the index, and those of the latest runs."""
_WAITS = 60
"""Seconds that a connection waits for another process's."""


class EventLog(SqliteEventLogStorage):
    """The same log, in the same files, with connections that stay open.

    A commit reaches the operating system and not yet the disk: a process that is killed loses no
    event. A machine that loses power may lose the last ones, though none of the lake's tables.
    """

    def __init__(self, home: str, inst_data: ConfigurableClassData | None = None) -> None:
        """Opens the log of the instance whose folder this is."""
        self._engines: OrderedDict[str, sa.Engine] = OrderedDict()
        self._tables: set[str] = set()
        self._columns: set[str] = set()
        super().__init__(str(Path(home) / EVENTS), inst_data)

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """The settings' keys."""
        return {"home": StringSource}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Any
    ) -> EventLog:
        """Opens the log that the instance's settings name."""
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[sa.Connection]:
        if shard not in self._initialized_dbs:
            with super()._connect(shard):
                pass  # makes its tables
        with self._db_lock, self._engine(shard).begin() as connection:
            yield connection

    # Dagster asks at each event for what a migration may have added; what is there stays.

    def has_table(self, table_name: str) -> bool:
        """Whether the index has a table."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def _has_asset_key_col_on_connection(self, conn: sa.Connection, column_name: str) -> bool:
        known = column_name in self._columns
        if not known and super()._has_asset_key_col_on_connection(conn, column_name):
            self._columns.add(column_name)
        return column_name in self._columns

    def _engine(self, shard: str) -> sa.Engine:
        if shard not in self._engines:
            if len(self._engines) >= _OPEN:
                self._engines.popitem(last=False)[1].dispose()
            self._engines[shard] = _open(create_db_conn_string(self._base_dir, shard))
        self._engines.move_to_end(shard)
        return self._engines[shard]

    def dispose(self) -> None:
        """Closes all connections."""
        super().dispose()
        with self._db_lock:
            while self._engines:
                self._engines.popitem()[1].dispose()


def _open(address: str) -> sa.Engine:
    """A database with one connection, which threads use in turns."""
    engine = sa.create_engine(
        address,
        poolclass=StaticPool,
        connect_args={"timeout": _WAITS, "check_same_thread": False},
    )

    @sa.event.listens_for(engine, "connect")
    def waits_for_no_disk(connection: Any, record: object) -> None:
        connection.execute("PRAGMA synchronous=NORMAL")

    return engine
