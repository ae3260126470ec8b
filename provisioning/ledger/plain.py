"""Appends to an SQLite ledger with the standard library alone, for jobs that ask nothing else of it: the database layer takes a third of
a second to load, which is a sixth of an update.

Only what is as it should be is written this way: a file with tables of the newest form that takes the row at once. Everything else (no
file yet, an older form, a server, a file that is none, a full disk) is left to `store.Ledger`, which makes, migrates, waits, and has the
sentences. Lock, chain, columns and anchor are the same.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from provisioning.ledger import anchor
from provisioning.ledger.entry import FORM, MOVED, OUTCOME, checked, following, now
from provisioning.ledger.place import default, path_of
from provisioning.ledger.pseudonym import PSEUDONYM, draw, without_home

_BUSY_SECONDS = 30.0


class NotPlain(Exception):
    """The row was not written: this ledger needs `store.Ledger`."""


class Plain:
    """An SQLite ledger, open for rows. Used by one thread."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._anchor = path.with_name(path.name + ".anchor")

    @classmethod
    def open(cls, location: str | None) -> Plain | None:
        """The ledger at a path (None: the usual place); None where it is one for `store.Ledger`."""
        path = path_of(location or default())
        if path is None or not path.is_file():
            return None
        try:
            connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
        except sqlite3.Error:
            return None
        try:
            connection.execute("PRAGMA synchronous=FULL")
            if connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(FORM,)]:
                return cls(path, connection)
        except sqlite3.Error:
            pass
        connection.close()
        return None

    def append(self, kind: str, attempt: str, fields: Mapping[str, Any]) -> None:
        """Add one row in a transaction of its own; it is on the disk when this returns. Raises NotPlain."""
        given, at = checked(kind, without_home(fields)), now()
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            head = self._connection.execute("SELECT seq, hash, kind FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
            if head is not None and head[2] == MOVED:
                raise NotPlain
            if given.get("operator"):
                given["operator"] = self._pseudonym(given["operator"], at[:7])
            entry = following(head and head[:2], at, kind, attempt, given)
            row = {"seq": entry.seq, "hash": entry.hash, "body": entry.canonical(), **entry.copies()}
            places = ", ".join(f":{name}" for name in row)
            self._connection.execute(f"INSERT INTO entries ({', '.join(row)}) VALUES ({places})", row)
            self._connection.execute("COMMIT")
        except (sqlite3.Error, NotPlain) as error:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise NotPlain from error
        anchor.note(self._anchor, entry)

    def _pseudonym(self, name: str, month: str) -> str:
        """As `names.pseudonym` does it."""
        if PSEUDONYM.fullmatch(name):
            return name
        query = "SELECT pseudonym FROM operators WHERE name = ? AND month = ?"
        found = self._connection.execute(query, (name, month)).fetchone()
        if found is None:
            found = (draw(),)
            self._connection.execute("INSERT INTO operators (pseudonym, name, month) VALUES (?, ?, ?)", (*found, name, month))
        return str(found[0])

    def has_open(self, mac: str, attempt: str) -> bool:
        """Whether another attempt on this board has no outcome. Raises NotPlain."""
        query = (
            "SELECT 1 FROM entries AS one WHERE one.mac = ? AND one.attempt != ? AND NOT EXISTS "
            "(SELECT 1 FROM entries AS other WHERE other.attempt = one.attempt AND other.kind = ?) LIMIT 1"
        )
        try:
            return self._connection.execute(query, (mac, attempt, OUTCOME)).fetchone() is not None
        except sqlite3.Error as error:
            raise NotPlain from error

    def close(self) -> None:
        """The end."""
        self._connection.close()
