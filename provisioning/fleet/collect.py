"""Evidence from wherever it is, into the store. Each report may be collected again: what is known already changes nothing, so a collection
that broke off anywhere is begun again from its start."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from provisioning.config.device import COLUMN
from provisioning.config.template import fields_of
from provisioning.config.unit import own_devices
from provisioning.errors import InputError
from provisioning.fleet import reports, sets
from provisioning.fleet.broker import Message
from provisioning.fleet.delivered import Delivered
from provisioning.fleet.device import Device
from provisioning.fleet.places import Places
from provisioning.fleet.reports import BadReport, Names
from provisioning.fleet.store import PAGE, FleetStore
from provisioning.parsed import from_json
from provisioning.trust.roots import load_roots

if TYPE_CHECKING:
    from provisioning.config.product import Product
    from provisioning.ledger.store import Ledger

FILE, MQTT, INDEX, LIST = "file", "mqtt", "index", "list"
_LONGEST = 65536  # bytes of a report
_HINT = 'A report is {"device": "ws-0001", "health": …}, with what twinroot.health() or telemetry.text() gave there.'


@dataclass
class Collected:
    """`reports`: read, by source; `untimed`: of these, without a time, which prove little; `changed`: rows; `bad`: what was sent and is no
    report, the first few of it; `notes`: what whoever asked should know."""

    reports: dict[str, int] = field(default_factory=dict)
    untimed: int = 0
    changed: int = 0
    bad: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Collector:
    """Collects evidence on `product`. What its file says of its own set is noted first: reports name versions."""

    def __init__(self, store: FleetStore, product: Product) -> None:
        self._store = store
        self._product = product
        self.done = Collected()
        note_sets(store, product.name, [sets.of_product(product)])
        self._known: tuple[Names, Places] | None = None

    def listed(self) -> None:
        """The devices of the product's list: whoever never reported is known by it, and by which site."""
        rows = (
            Device(self._product.name, row.id, LIST, attributes=_shown(self._product, row.fields)) for row in own_devices(self._product)
        )
        self._put(LIST, rows, untimed=False)

    def delivered(self, ledger: Ledger) -> None:
        """Boards that passed, by the ledger's rows."""
        rows, places = Delivered(ledger, self._product.name), self._places
        self._put("ledger", (places.noted(device, device.seen) for device in rows.devices()))
        note_sets(self._store, self._product.name, rows.sets)
        self._known, known = None, places.moved
        if self._places.moved - known:  # only now it is known of what versions the time matters
            places = self._places
            self.done.changed += self._store.put(
                places.noted(device, device.seen) for device in Delivered(ledger, self._product.name).devices()
            )

    def file(self, path: Path) -> None:
        """Reports in a file, one JSON object a line, or on standard input for "-". Raises InputError, with the line, for one that is none:
        what stands before it is collected."""
        self._put(FILE, self._lines(path))

    def index(self, rows: Iterable[dict[str, Any]]) -> None:
        """Rows of AWS's fleet index."""
        found = iter(rows)
        first = next(found, None)
        self._put(INDEX, self._each(INDEX, found if first is None else chain([first], found)))
        if first is None:
            self.done.notes.append("the query of the index fits no thing, so nothing came from there")

    def messages(self, messages: Iterable[Message | None]) -> None:
        """Messages as they come from a broker; what has come is written in each pause (None)."""
        waiting: list[Message] = []
        for message in messages:
            if message is not None:
                waiting.append(message)
            if waiting and (message is None or len(waiting) >= PAGE):
                self._put(MQTT, self._told(waiting))
                waiting = []
        self._put(MQTT, self._told(waiting))

    def _lines(self, path: Path) -> Iterator[Device]:
        with _opened(path) as file:
            number = 0
            while line := file.readline(_LONGEST + 1):
                number += 1
                if b"\0" in line:
                    raise InputError(
                        "bad-health",
                        f"{path}:{number}: has zero bytes, as a text in UTF-16 does, or no text at all.",
                        "Save it as UTF-8. Windows PowerShell writes UTF-16 with `>`: use `| Out-File -Encoding utf8`.",
                    )
                if not line.strip():
                    continue
                try:
                    if len(line) > _LONGEST:
                        raise BadReport(f"has more than {_LONGEST} bytes")
                    yield self._read(FILE, from_json(line))
                except BadReport as error:
                    raise InputError("bad-health", f"{path}:{number}: the report {error}.", _hint(number)) from None
                except ValueError:
                    raise InputError("bad-health", f"{path}:{number}: not a JSON object.", _hint(number)) from None

    def _each(self, source: str, rows: Iterable[dict[str, Any]]) -> Iterator[Device]:
        for row in rows:
            try:
                yield self._read(source, row)
            except BadReport as error:
                self._bad(f"{str(row.get('device'))[:64]}: the report {error}")
                # That it was connected is known all the same, of one that has a name.
                with suppress(BadReport):
                    yield self._read(source, {**row, "health": None})

    def _told(self, messages: Iterable[Message]) -> Iterator[Device]:
        for device, payload, arrived in messages:
            try:
                yield self._read(MQTT, from_json(payload), arrived, device)
            except BadReport as error:
                self._bad(f"{device[:64]}: the report {error}")
            except ValueError:
                self._bad(f"{device[:64]}: not a JSON object")

    def _read(self, source: str, value: Any, arrived: int | None = None, device: str | None = None) -> Device:
        now = int(time.time())
        made = reports.read(self._product.name, source, value, now, arrived, device)
        names, places = self._sets
        # That a thing is connected is newer than what its shadow says.
        return places.noted(
            names.whole(made) if reports.is_cut(value) else made, reports.said_at(value, now) if "connected" in value else made.seen
        )

    @property
    def _places(self) -> Places:
        return self._sets[1]

    @property
    def _sets(self) -> tuple[Names, Places]:
        """By the sets that are known now."""
        if self._known is None:
            known = [sets.of_body(body) for _, body in self._store.sets(self._product.name)]
            # A cut name may be that of any root, not only of those that sets are known to have.
            names = Names([*load_roots(), *(name for one in known for name in (*one.names, *one.trusts))])
            self._known = names, Places(known)
        return self._known

    def _bad(self, what: str) -> None:
        if len(self.done.bad) < 20:
            self.done.bad.append(what)

    def _put(self, source: str, devices: Iterable[Device], untimed: bool = True) -> None:
        def counted() -> Iterator[Device]:
            for device in devices:
                self.done.reports[source] = self.done.reports.get(source, 0) + 1
                self.done.untimed += untimed and device.seen is None and bool(device.anchored or device.reached)
                yield device

        self.done.reports.setdefault(source, 0)
        self.done.changed += self._store.put(counted())


def note_sets(store: FleetStore, product: str, found: Iterable[sets.Configuration]) -> None:
    """Remember what these sets have, those that are not known yet."""
    known = {body for _, body in store.sets(product)}
    for one in found:
        if one.body not in known:
            store.note_set(product, one.version, one.sha256, one.body)


def known_sets(store: FleetStore, product: Product) -> sets.KnownSets:
    """The sets of a product: the store's and its file's."""
    return sets.KnownSets([*(sets.of_body(body) for _, body in store.sets(product.name)), sets.of_product(product)])


_SECRET = re.compile(r"(?i)pass|psk|secret|token|key|pin$")


def _shown(product: Product, fields: dict[str, str]) -> dict[str, str]:
    """The columns of a device's row, for waves to choose by: without what is written to the board as a secret, and what is called so. A
    database is read by many."""
    wifi = product.wifi
    texts = [text.reveal() for text in (wifi.ssid, wifi.password) if text] if wifi else []
    hidden = {COLUMN, *(name for text in texts for name in fields_of(text))}
    return {name: value[:64] for name, value in fields.items() if value and name not in hidden and not _SECRET.search(name)}


def _hint(number: int) -> str:
    before = "What stands before it is collected; repair it and collect the file again. " if number > 1 else ""
    return before + _HINT


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    if str(path) == "-":
        import sys

        yield sys.stdin.buffer
        return
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError("file-unreadable", f"{path} cannot be read: {error.strerror}.", "Check the path.") from None
    with file:
        yield file
