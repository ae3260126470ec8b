"""Attempts by what a person has in hand: a MAC, a device's id, or a certificate."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from provisioning.ledger.entry import RELEASE, RENEWAL, TASK, Entry, parse
from provisioning.ledger.table import ENTRIES
from provisioning.untrusted_text import one_line

LIMIT = 50  # attempts
LONGEST = 200  # characters of a question
_SHORTEST = 3
_SHOWN = (
    "job",
    "product",
    "mac",
    "device",
    "certificate_sha256",
    "certificate_serial",
    "station",
    "port",
    "outcome",
    "code",
    "message",
    "firmware_version",
)


def search(connection: Connection, question: str) -> list[dict[str, Any]]:
    """Attempts whose MAC is `question` (however it is written), or whose device or certificate begins with it; the newest first."""
    text = question.strip()[:LONGEST]
    wanted = _conditions(text)
    if not wanted:
        return []
    newest = sa.select(ENTRIES.c.attempt).where(sa.or_(*wanted)).group_by(ENTRIES.c.attempt)
    newest = newest.order_by(sa.func.max(ENTRIES.c.seq).desc()).limit(LIMIT)
    attempts = list(connection.execute(newest).scalars())
    rows = connection.execute(sa.select(ENTRIES.c.body).where(ENTRIES.c.attempt.in_(attempts)).order_by(ENTRIES.c.seq))
    made: dict[str, dict[str, Any]] = {}
    for body in rows.scalars():
        try:
            entry = parse(body)
        except (ValueError, TypeError, RecursionError):
            continue  # `ledger verify` says which
        _fold(made.setdefault(entry.attempt, {"at": entry.at, "rows": []}), entry)
    return [made[attempt] for attempt in attempts if attempt in made]


def _conditions(text: str) -> list[sa.ColumnElement[bool]]:
    if len(text) < _SHORTEST:
        return []
    found: list[sa.ColumnElement[bool]] = [ENTRIES.c.device.startswith(text, autoescape=True)]
    digits = re.sub(r"[\s:.-]", "", text).lower()
    if re.fullmatch(r"[0-9a-f]{12}", digits):
        found.append(ENTRIES.c.mac == ":".join(digits[n : n + 2] for n in range(0, 12, 2)))
    if re.fullmatch(r"[0-9a-f]{8,64}", digits):
        found.append(ENTRIES.c.certificate.startswith(digits))
        found.append(ENTRIES.c.serial == digits.lstrip("0"))
    return found


def _fold(attempt: dict[str, Any], entry: Entry) -> None:
    attempt["rows"].append(entry.seq)
    if entry.kind == TASK:
        done = " ".join(_text(entry.fields.get(name)) for name in ("task", "result", "reason"))
        attempt["tasks"] = [*attempt.get("tasks", []), done.strip()]
        return
    if entry.kind == RELEASE:
        attempt["outcome"] = "released"
        attempt["message"] = _text(entry.fields.get("reason"))
    if entry.kind == RENEWAL:
        attempt["outcome"] = "renewed"
    names = [name for name in _SHOWN if name in entry.fields and not (entry.kind == RELEASE and name in ("outcome", "message"))]
    attempt.update({name: _text(entry.fields[name]) for name in names})


def _text(value: object) -> str:
    return one_line(value)[:500] if isinstance(value, str) else ""
