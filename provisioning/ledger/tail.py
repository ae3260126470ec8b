"""The newest rows, a part at a time: for who follows a ledger and has seen the rows before."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from provisioning.ledger.entry import Entry, parse
from provisioning.ledger.table import ENTRIES

Part = list[tuple[int, str, Entry | None]]  # number, hash, and the entry; None for a row that cannot be read


def after(connection: Connection, seq: int, limit: int) -> Part:
    """The rows behind row `seq`, in order, at most `limit`."""
    columns = sa.select(ENTRIES.c.seq, ENTRIES.c.hash, ENTRIES.c.body)
    return [
        (row.seq, row.hash, _entry(row.body))
        for row in connection.execute(columns.where(ENTRIES.c.seq > seq).order_by(ENTRIES.c.seq).limit(limit))
    ]


def first_since(connection: Connection, at: str) -> int:
    """The number of the first row that was written at `at` (UTC, as a row has it) or later, less one: what `after` begins with. Found by
    halving, since rows are in the order of time and the time is in their text: some twenty rows are read, however many there are."""
    low, high = 0, connection.execute(sa.select(sa.func.max(ENTRIES.c.seq))).scalar() or 0
    while low < high:
        middle = (low + high) // 2 + 1
        body = connection.execute(sa.select(ENTRIES.c.body).where(ENTRIES.c.seq == middle)).scalar()
        entry = _entry(body) if body is not None else None
        if entry is not None and entry.at < at:
            low = middle
        else:
            high = middle - 1
    return low


def hash_of(connection: Connection, seq: int) -> str | None:
    """The hash of row `seq`; None where it is not there."""
    return connection.execute(sa.select(ENTRIES.c.hash).where(ENTRIES.c.seq == seq)).scalar()


def _entry(body: str) -> Entry | None:
    try:
        return parse(body)
    except (ValueError, TypeError, RecursionError):
        return None
