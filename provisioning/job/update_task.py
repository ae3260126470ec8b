"""`update` of one board, on the only port of a command or on one of several: the same steps, report and rows in the ledger."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provisioning.bundle.bundle import Bundle
from provisioning.config.device import Device
from provisioning.config.load import load_product
from provisioning.config.product import Product
from provisioning.errors import InputError
from provisioning.job import fingerprints
from provisioning.job.assign import Bindings, FoundBoard, assign
from provisioning.job.board_identity import Choice, Target
from provisioning.job.evidence import Evidence
from provisioning.job.report import Report
from provisioning.job.update import update
from provisioning.link.events import Event, Listener


@dataclass(frozen=True)
class UpdateJob:
    """What workers need; plain values. `dry_run`: say what would be written; the ledger is only read then."""

    product: Path
    devices: Path | None
    ledger: str | None
    transport: str = "auto"
    dry_run: bool = False
    max_baud: int | None = None


@dataclass(frozen=True)
class UpdateTask:
    """Update one board: the only one of a command, or one of several.

    `device`: which one it is, or a choice of which it says the rest; `mac`: the board's, where that was asked before. `ready`: the product,
    where a worker can have the parent's. `gives`: whether the board did not have the device before; `replaces`: fingerprint of the
    certificate that is the board's no more; `others`: whether attempts on it are open.

    The ledger's rows, however many ports there are: an intent before the first write and an outcome after it; a claim ahead of them, and
    an outcome whatever happens, where a device is given to a board that did not have it.
    """

    job: UpdateJob
    device: Device | Choice
    mac: str | None = None
    ready: Product | None = None
    new_identity: bool = False
    replaces: str | None = None
    gives: bool = False
    others: bool = False

    def run(self, port: str | None, events: Listener) -> Report:
        job = self.job
        product = self.ready or load_product(job.product)
        with Evidence("update", job.ledger, events, port) as evidence:
            about = fingerprints.about(product) | {"replaces": self.replaces}

            def promise(mac: str, device: Device) -> None:
                if not job.dry_run:
                    evidence.promise(mac, device.id, about)
                    events(Event("claim", {"device": device.id}))

            def give(mac: str, name: str) -> Device:
                """The device for a board without one, which is the only one of this command."""
                rows = self.device.devices if isinstance(self.device, Choice) else (self.device,)
                with bindings(job) as bound:
                    found = assign(rows, [FoundBoard(name, mac, None)], bound, product.scan is not None)[name]
                if isinstance(found, InputError):
                    raise found
                promise(mac, found)
                return found

            def known(target: Target, bundle: Bundle) -> None:
                replaces = {"replaces": target.renewal.replaces} if target.renewal is not None else {}

                def fields(report: Report) -> dict[str, Any]:
                    return about | replaces | fingerprints.of_update(product, target.device, bundle, report.firmware_version)

                evidence.fields = fields

            def soon() -> None:
                evidence.soon()
                threading.Thread(target=fingerprints.load_bill).start()

            if self.mac is not None:
                events(Event("board", {"mac": self.mac, "chip": None}))
            if self.gives and isinstance(self.device, Device) and self.mac is not None:
                promise(self.mac, self.device)
            report = update(
                product,
                self.device,
                port,
                transport=job.transport,
                dry_run=job.dry_run,
                max_baud=job.max_baud,
                only_mac=self.mac,
                new_identity=self.new_identity,
                known=known,
                give=give,
                soon=soon,
                before=evidence.before,
                events=events,
            )
            evidence.take(report, self.others)
        return report


@contextmanager
def bindings(job: UpdateJob) -> Iterator[Bindings]:
    """What the ledger knows. A dry run makes none where there is none."""
    from provisioning.ledger import claims
    from provisioning.ledger.store import Ledger, NoLedger

    try:
        ledger = Ledger.open(job.ledger, create=not job.dry_run)
    except NoLedger:
        yield Bindings()
        return
    with ledger:

        def device_of(mac: str) -> str | None:
            found = ledger.read(lambda connection: claims.device_of(connection, mac))
            return found.device if found else None

        def board_of(device: str) -> str | None:
            found = ledger.read(lambda connection: claims.board_of(connection, device))
            return found.mac if found else None

        yield Bindings(device_of, board_of, lambda mac: bool(claims.open_attempts(ledger, mac)))
