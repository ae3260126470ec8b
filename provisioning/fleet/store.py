"""What is known of fleets, in the ledger's database: rows of devices, and sets. Plans at work: plan_rows.py.

Nothing is held in memory but a page: rows are read in pages by their key, each a transaction of its own that waits for a server that is
away as every other does. Every write may be made again and comes to the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from provisioning.fleet import merge
from provisioning.fleet.device import Device
from provisioning.ledger.fleet_tables import DEVICES, SETS
from provisioning.ledger.store import Ledger

PAGE = 2000  # rows of one transaction that writes
_READ = 5000  # rows of one that reads
_PART = 500  # keys of one statement
_ROW = [DEVICES.c[name] for name in (*merge.COLUMNS, "evidence", "attributes")]
_BY_KEY = sa.text("SELECT set_config('enable_bitmapscan', 'off', true), set_config('enable_seqscan', 'off', true)")

Where = sa.ColumnElement[bool]


class FleetStore:
    """Fleets in an open ledger. As the ledger: safe in many processes, not shared between threads."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    # Devices.

    def put(self, devices: Iterable[Device]) -> int:
        """Merge reports into the rows (merge.py says how), some thousand in one transaction; returns how many rows changed."""
        changed = 0
        reports = iter(devices)
        while page := list(islice(reports, PAGE)):
            changed += self._ledger.beside(lambda connection: _merge(connection, page))
        return changed

    def devices(self, product: str, *, where: Where | None = None) -> Iterator[Device]:
        """Every device, by name; `where`: a condition on columns of fleet_tables.DEVICES."""
        return (known.device for known in self.known(product, where=where))

    def known(self, product: str, *, where: Where | None = None) -> Iterator[merge.Known]:
        """As `devices`, with the time of each part."""
        query = sa.select(*_ROW).where(DEVICES.c.product == product)
        if where is not None:
            query = query.where(where)
        return map(merge.of_row, self._pages(query, DEVICES.c.device))

    def count(self, product: str, *, where: Where | None = None) -> int:
        """How many devices are known."""
        query = sa.select(sa.func.count()).select_from(DEVICES).where(DEVICES.c.product == product)
        return int(self._ledger.read(lambda connection: connection.execute(query if where is None else query.where(where)).scalar_one()))

    # Sets that are known.

    def note_set(self, product: str, version: int, sha256: str, body: str) -> None:
        """Remember what a set has; once more changes nothing."""
        row = {"product": product, "sha256": sha256, "version": version, "body": body}
        self._ledger.beside(lambda connection: _upsert(connection, SETS, [row]))

    def sets(self, product: str) -> list[tuple[int, str]]:
        """(version, body) of the sets that are known."""
        query = sa.select(SETS.c.version, SETS.c.body).where(SETS.c.product == product).order_by(SETS.c.version, SETS.c.sha256)
        return self._ledger.read(lambda connection: [(version, body) for version, body in connection.execute(query)])

    def newest(self, product: str) -> int:
        """The highest version that is known: of a set, or of what a device has. 0 where nothing is known."""
        columns = ((SETS.c.version, SETS.c.product), (DEVICES.c.version, DEVICES.c.product))
        queries = [sa.select(sa.func.max(version)).where(of == product) for version, of in columns]
        return self._ledger.read(lambda connection: max(connection.execute(query).scalar() or 0 for query in queries))

    def _pages(self, query: sa.Select[Any], key: sa.Column[Any]) -> Iterator[Any]:
        """The rows of `query` by `key`, which no two of them share."""
        after = ""
        while True:
            page = query.where(key > after).order_by(key).limit(_READ)
            rows = self._ledger.read(lambda connection, page=page: _by_key(connection).execute(page).all())  # type: ignore[misc]
            yield from rows
            if len(rows) < _READ:
                return
            after = getattr(rows[-1], key.name)


def _by_key(connection: Connection) -> Connection:
    """For the rest of the transaction: rows are looked up by their key. A server that has no statistics of a table yet, as after a first
    collection, would go through all rows of the product for each page."""
    if connection.dialect.name == "postgresql":
        connection.execute(_BY_KEY)
    return connection


def _insert(connection: Connection, table: sa.Table) -> Any:
    return (postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert)(table)


def _upsert(connection: Connection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
    """Rows in place of those with the same key."""
    if rows:
        statement = _insert(connection, table)
        keys = list(table.primary_key.columns)
        rest = {column.name: statement.excluded[column.name] for column in table.columns if column not in keys}
        connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=rest), rows)


def _merge(connection: Connection, reports: Sequence[Device]) -> int:
    changed = 0
    _by_key(connection)
    for product, group in groupby(sorted(reports, key=lambda report: report.product), key=lambda report: report.product):
        fresh = list(group)
        names = sorted({report.device for report in fresh})
        before: dict[str, merge.Known] = {}
        for start in range(0, len(names), _PART):
            part = DEVICES.c.device.in_(names[start : start + _PART])
            for row in connection.execute(sa.select(*_ROW).where(DEVICES.c.product == product, part)):
                before[row.device] = merge.of_row(row)
        after = dict(before)
        for report in fresh:
            after[report.device] = merge.merged(after.get(report.device), report)
        rows = [merge.as_row(known) for name, known in after.items() if before.get(name) != known]
        _upsert(connection, DEVICES, rows)
        changed += len(rows)
    return changed
