"""The ledger in an SQLite file: the default, beside the user's data.

Each append takes the writer's lock at its start (BEGIN IMMEDIATE); a waiting writer waits up to BUSY_SECONDS. With synchronous=FULL a row
is on the disk when `append` returns, so an intent survives a power cut of the station.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

from provisioning.ledger.location import Location

BUSY_SECONDS = 30.0


def _use_write_ahead_log(cursor: Any) -> None:
    """Once for a file. While another program that opens the new file writes to it, SQLite refuses this at once instead of waiting
    (sqlite.org, "Write-Ahead Logging", 7), so the wait is here."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
        time.sleep(random.uniform(0.005, 0.05))


class Embedded:
    """An SQLite file as the ledger's store."""

    migrates_itself = True  # one file has one program that opens it, and no administrator

    def engine(self, location: Location) -> Engine:
        """The engine for a file; a transaction with the execution option `reading` takes no writer's lock."""
        engine = sa.create_engine(location.url, connect_args={"timeout": BUSY_SECONDS, "isolation_level": None})

        @event.listens_for(engine, "connect")
        def _durable(dbapi_connection: Any, _record: Any) -> None:
            cursor = dbapi_connection.cursor()
            cursor.execute(f"PRAGMA busy_timeout={int(BUSY_SECONDS * 1000)}")
            _use_write_ahead_log(cursor)
            cursor.execute("PRAGMA synchronous=FULL")
            cursor.execute("PRAGMA secure_delete=ON")  # an erased name leaves no copy in the free space of a page
            cursor.close()

        @event.listens_for(engine, "begin")
        def _writer_first(connection: Connection) -> None:
            # Taking the lock at the start: two readers that both want to write later would end in a deadlock error.
            reading = connection.get_execution_options().get("reading")
            connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

        return engine

    def lock(self, connection: Connection, beside: bool = False) -> None:
        """BEGIN IMMEDIATE has it: a file has one writer, whatever it writes."""

    def compact(self, engine: Engine) -> bool:
        """The write-ahead log, which holds the pages as they were, is written back and emptied; False while a reader needs it."""
        with engine.connect() as connection:
            busy, _, _ = connection.connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def tables(self, connection: Connection) -> set[str]:
        """The names of the tables."""
        return set(connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type='table'").scalars())

    @contextmanager
    def watched(self, engine: Engine) -> Iterator[Connection]:
        """A connection; a file does not fall silent."""
        with engine.connect() as connection:
            yield connection

    def verdict(self, error: sa.exc.DBAPIError) -> str | None:
        """Nothing goes away by itself that SQLite has not waited for already."""
        del error
        return None
