"""Helpers of the ledger's tests."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from provisioning.ledger import claims
from provisioning.ledger.entry import OUTCOME
from provisioning.ledger.store import Ledger

MACS = [f"24:0a:c4:00:00:{n:02x}" for n in range(64)]


def run(
    ledger: Ledger,
    attempt: str,
    mac: str,
    candidates: list[str],
    *,
    outcome: str | None = "pass",
    wrote: bool = True,
    cert: str | None = None,
    leave: int = 0,
) -> str:
    """One attempt from claim to outcome (None: the host died before it)."""
    device = claims.claim(ledger, attempt, mac, candidates, {"product": "p"}, leave)
    claims.intend(ledger, attempt, {"mac": mac, "device": device, "certificate_sha256": cert or device.ljust(64, "0")})
    if outcome is not None:
        ledger.append(OUTCOME, attempt, {"mac": mac, "device": device, "outcome": outcome, "wrote": wrote})
    return device


def tamper(path: Path, *statements: str) -> None:
    """What somebody with the file and a SQLite shell does: the triggers go first."""
    connection = sqlite3.connect(path)
    for verb in ("update", "delete"):
        connection.execute(f"DROP TRIGGER IF EXISTS entries_no_{verb}")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
