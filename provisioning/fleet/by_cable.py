"""A wave by cable: stations and people in the field update its boards, and the ledger's rows say which are done.

Nothing is sent from here, so that a start and a stop are what the wave's row says: `run --port` looks there before each board.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timezone

from provisioning.fleet.carrier import DONE, FAILED, Progress
from provisioning.ledger import tail
from provisioning.ledger.entry import INTENT, OUTCOME, Entry
from provisioning.ledger.store import Ledger

_PAGE = 2000


class CableCarrier:
    """`since`: unix seconds, from when on rows count; `version`: of the set that boards get."""

    def __init__(self, ledger: Ledger, product: str, version: int, since: int) -> None:
        self._ledger = ledger
        self._product = product
        self._version = version
        self._since = since
        self._seq: int | None = None
        self._meant: set[str] = set()  # attempts that were about to write this version
        self._found: dict[str, Progress] = {}

    def start(self, key: str, devices: Sequence[str]) -> None:
        """Its boards are plugged in by people."""

    def progress(self, key: str) -> Iterator[Progress]:
        """The newest row of each device."""
        self._read()
        yield from self._found.values()

    def stop(self, key: str, reason: str) -> None:
        """The wave's row says it."""

    def _read(self) -> None:
        if self._seq is None:
            at = datetime.fromtimestamp(self._since, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            self._seq = self._ledger.read(lambda connection: tail.first_since(connection, at))
        while True:
            seq = self._seq
            page = self._ledger.read(lambda connection: tail.after(connection, seq, _PAGE))  # noqa: B023  called in this round only
            for number, _, entry in page:
                self._seq = number
                if entry is not None and entry.fields.get("product") == self._product:
                    self._take(entry)
            if len(page) < _PAGE:
                return

    def _take(self, entry: Entry) -> None:
        fields = entry.fields
        if entry.kind == INTENT and fields.get("version") == self._version:
            self._meant.add(entry.attempt)
        elif entry.kind == OUTCOME and entry.attempt in self._meant and fields.get("device"):
            device, at = str(fields["device"]), int(datetime.fromisoformat(entry.at.replace("Z", "+00:00")).timestamp())
            if fields.get("outcome") == "pass":
                self._found[device] = Progress(device, DONE, f"{fields.get('job') or 'a job'} by cable", at)
            elif fields.get("wrote"):
                self._found[device] = Progress(device, FAILED, str(fields.get("message") or ""), at)
