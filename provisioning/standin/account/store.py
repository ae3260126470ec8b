"""What the account remembers: tables of JSON records, in memory to be read, in one SQLite file to survive.

A change is whole or not there: everything between `transaction` and its end is written in one step, and taken back when it fails.
Records are replaced, never changed in place, so that what was read before a change is still what it was.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from provisioning.errors import StationError

Record = dict[str, Any]
Key = tuple[str, ...]
_SCHEMA = "CREATE TABLE IF NOT EXISTS records (kind TEXT, key TEXT, body TEXT, PRIMARY KEY (kind, key))"


class Table:
    """Records of one kind in the order in which they were made. `by`: name of an index -> its value for a record."""

    def __init__(self, kind: str, changed: Callable[[str, Key], None], by: Mapping[str, Callable[[Record], str]]) -> None:
        self._kind = kind
        self._changed = changed
        self._by = by
        self._records: dict[Key, Record] = {}
        self._index: dict[str, dict[str, dict[Key, None]]] = {name: {} for name in by}

    def get(self, *key: str) -> Record | None:
        return self._records.get(key)

    def __contains__(self, key: Key) -> bool:
        return key in self._records

    def __len__(self) -> int:
        return len(self._records)

    def items(self) -> list[tuple[Key, Record]]:
        return list(self._records.items())

    def values(self) -> list[Record]:
        return list(self._records.values())

    def where(self, index: str, value: str) -> list[Record]:
        """The records whose `index` is `value`, oldest first."""
        return [self._records[key] for key in self._index[index].get(value, ())]

    def put(self, *key: str, record: Record) -> Record:
        self._changed(self._kind, key)
        self.load(key, record)
        return record

    def change(self, *key: str, **fields: Any) -> Record:
        """Replace fields of a record that is there; None removes one."""
        merged = {name: value for name, value in {**self._records[key], **fields}.items() if value is not None}
        return self.put(*key, record=merged)

    def delete(self, *key: str) -> None:
        self._changed(self._kind, key)
        self.load(key, None)

    def load(self, key: Key, record: Record | None) -> None:
        """Put in memory alone."""
        old = self._records.get(key)
        for name, value in self._by.items():
            was, now = (value(old) if old else None), (value(record) if record else None)
            if was == now:
                continue
            if was is not None:
                del self._index[name][was][key]
            if now is not None:
                self._index[name].setdefault(now, {})[key] = None
        if record is None:
            self._records.pop(key, None)
        else:
            self._records[key] = record


class Store:
    """The tables of one state folder. Raises StationError when the file is not one of ours."""

    def __init__(self, path: Path, kinds: Mapping[str, Mapping[str, Callable[[Record], str]]]) -> None:
        self._dirty: dict[tuple[str, Key], None] = {}
        self.tables = {kind: Table(kind, self._note, by) for kind, by in kinds.items()}
        try:
            self._file = sqlite3.connect(path, isolation_level=None)
            # Written by the time the answer goes out, so that it survives the process; not synced: it is a test's account.
            self._file.execute("PRAGMA synchronous = OFF")
            self._file.execute(_SCHEMA)
            for kind, key, body in self._file.execute("SELECT kind, key, body FROM records ORDER BY rowid"):
                if kind in self.tables:
                    self.tables[kind].load(tuple(json.loads(key)), json.loads(body))
        except (sqlite3.Error, ValueError) as error:
            raise StationError("cloud-state", f"{path} is not the account of a cloud stand-in: {error}.", "Remove that file.") from error

    def _note(self, kind: str, key: Key) -> None:
        self._dirty[kind, key] = None

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Whatever is changed inside is written when it ends, or is as it was before when it raises."""
        try:
            yield
            self._write()
        except BaseException:
            self._take_back()
            raise
        finally:
            self._dirty.clear()

    def _write(self) -> None:
        if not self._dirty:
            return
        self._file.execute("BEGIN IMMEDIATE")
        try:
            for kind, key in self._dirty:
                record, name = self.tables[kind].get(*key), json.dumps(key)
                if record is None:
                    self._file.execute("DELETE FROM records WHERE kind = ? AND key = ?", (kind, name))
                else:
                    self._file.execute(
                        "INSERT INTO records VALUES (?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body",
                        (kind, name, json.dumps(record)),
                    )
            self._file.execute("COMMIT")
        except BaseException:
            self._file.execute("ROLLBACK")
            raise

    def _take_back(self) -> None:
        for kind, key in self._dirty:
            row = self._file.execute("SELECT body FROM records WHERE kind = ? AND key = ?", (kind, json.dumps(key))).fetchone()
            self.tables[kind].load(key, json.loads(row[0]) if row else None)

    def close(self) -> None:
        self._file.close()
