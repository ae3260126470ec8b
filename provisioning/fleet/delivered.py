"""What the ledger's own rows say of a product's boards: which set was delivered to which device and when, with which firmware."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import sqlalchemy as sa

from provisioning.fleet.device import Device
from provisioning.fleet.sets import Configuration, of_row
from provisioning.ledger.entry import INTENT, OUTCOME, Entry, parse
from provisioning.ledger.store import Ledger
from provisioning.ledger.table import ENTRIES

SOURCE = "ledger"
_PAGE = 2000
_FIELDS = ("product", "version", "endpoints", "roots", "firmware_version")  # of an intent, which its outcome does not repeat


class Delivered:
    """A pass over a ledger, by `devices`; `sets` are those that were met, once it is over. A row that cannot be read is left out: what is
    wrong with it is for `ledger verify`."""

    def __init__(self, ledger: Ledger, product: str) -> None:
        self._ledger = ledger
        self._product = product
        self._sets: dict[str, Configuration | None] = {}
        self._intents: dict[str, dict[str, Any]] = {}  # attempts whose outcome is to come
        self._boards: dict[str, str] = {}  # device -> its board

    @property
    def sets(self) -> list[Configuration]:
        """The sets of the rows."""
        return [found for found in self._sets.values() if found is not None]

    def devices(self) -> Iterator[Device]:
        """A report for each board that passed, in order."""
        for entry in self._rows():
            fields = entry.fields
            if entry.kind == INTENT:
                if fields.get("product") == self._product:
                    self._intents[entry.attempt] = {name: fields[name] for name in _FIELDS if name in fields}
                continue
            intent = self._intents.pop(entry.attempt, None)
            if fields.get("outcome") == "pass" and fields.get("device") and (intent or fields.get("product") == self._product):
                yield self._device(entry, {**(intent or {}), **fields})

    def _device(self, entry: Entry, fields: dict[str, Any]) -> Device:
        name, board, at = fields["device"], fields.get("mac") or "", _unix(entry.at)
        another = self._boards.setdefault(name, board) != board
        self._boards[name] = board
        found = self._set(fields)
        return Device(
            self._product,
            name,
            SOURCE,
            seen=at,
            version=found.version if found else _number(fields.get("version")),  # of the routes a bench of one's own may not tell
            phase=found.phase if found else None,
            firmware=fields.get("firmware_version"),
            trusts=found.trusts if found else (),
            routes=found.names if found else (),
            # A flash leaves nothing of what was counted before; another board never counted it.
            began=at if another or fields.get("job") == "flash" else None,
        )

    def _set(self, fields: dict[str, Any]) -> Configuration | None:
        key = repr([fields.get(name) for name in ("version", "endpoints", "roots")])
        if key not in self._sets:
            self._sets[key] = of_row(fields)
        return self._sets[key]

    def _rows(self) -> Iterator[Entry]:
        """Intents and outcomes, a page at a time."""
        one = ENTRIES.c
        query = sa.select(one.seq, one.body).where(one.kind.in_((INTENT, OUTCOME))).order_by(one.seq).limit(_PAGE)
        after = 0
        while True:
            page = query.where(one.seq > after)
            rows = self._ledger.read(lambda connection, page=page: connection.execute(page).all())  # type: ignore[misc]
            for row in rows:
                try:
                    yield parse(row.body)
                except (ValueError, TypeError, RecursionError):
                    continue
            if len(rows) < _PAGE:
                return
            after = rows[-1].seq


def _number(value: Any) -> int | None:
    return value if type(value) is int else None


def _unix(at: str) -> int:
    """Of a row's time; 0 for one that is none."""
    try:
        return int(datetime.fromisoformat(at.replace("Z", "+00:00")).replace(tzinfo=timezone.utc).timestamp())
    except ValueError:
        return 0
