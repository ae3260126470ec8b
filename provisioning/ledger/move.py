"""Carry all rows of a ledger over into an empty one, on another server or in another file, and end the old one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from provisioning.errors import BoardError
from provisioning.ledger import anchor
from provisioning.ledger.chain_check import verify
from provisioning.ledger.entry import MOVED, parse
from provisioning.ledger.store import Ledger
from provisioning.ledger.table import ENTRIES, OPERATORS


def move(source: Ledger, target: Ledger, attempt: str, fields: Mapping[str, Any]) -> int:
    """Copy, then append the row to `source` after which it takes no more; returns how many rows went over.

    Nobody can append to `source` meanwhile. Cut off between the two, the same call goes on. The hashes stay as they are, so the chain, and
    every head that was noted elsewhere, hold for the new ledger. Raises InputError for a target with rows of its own, BoardError for a
    source that is not as it was written.
    """
    count = 0

    def decide(connection: Connection) -> tuple[str, str, Mapping[str, Any]]:
        nonlocal count
        rows = [dict(row._mapping) for row in connection.execute(sa.select(ENTRIES).order_by(ENTRIES.c.seq))]
        verdict = verify(rows, anchor.read(source.anchor_file) if source.anchor_file else {})
        if not verdict.ok:
            raise BoardError(
                "not-as-written",
                f"The ledger {source.location} is not as it was written, and was not moved.",
                "`twinroot ledger verify` says where.",
            )
        if not rows or rows[-1]["kind"] != MOVED:  # what ended already is refused by `append_checked`
            named = [dict(row._mapping) for row in connection.execute(sa.select(OPERATORS))]
            target.import_rows([parse(row["body"]) for row in rows], named)
        count = len(rows)
        return MOVED, attempt, {**fields, "reason": f"goes on in {target.location}"}

    source.append_checked(decide)
    return count
