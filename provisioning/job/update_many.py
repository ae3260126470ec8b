"""`update` on several ports at once: every board is asked who it is, each gets its device, then all are written, a process per port.

A board keeps what it is: the CSV row with its MAC, else the device that the ledger binds to it, else the one that it says it is. Boards
without an identity get the first devices that are free, after all the others have theirs.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provisioning.bundle import compile as compiler
from provisioning.bundle.bundle import Bundle
from provisioning.config.device import Device, single_device
from provisioning.config.load import load_product
from provisioning.config.product import Product
from provisioning.errors import InputError, TwinrootError
from provisioning.job import fingerprints, many, reconcile
from provisioning.job.assign import Bindings, FoundBoard, assign
from provisioning.job.board_identity import Choice, Target
from provisioning.job.many import PortResult, Watch
from provisioning.job.prompt_session import board, reported, wiring_of
from provisioning.job.report import Report
from provisioning.job.selftest import mac_text
from provisioning.job.update import Known, update
from provisioning.ledger.entry import OUTCOME
from provisioning.link import question
from provisioning.link.events import Event, Listener
from provisioning.link.port import USUAL, Wiring

if TYPE_CHECKING:
    from provisioning.ledger.store import Ledger


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
class Ask:
    """Which board is on a port, and whose set it holds."""

    wiring: Wiring = USUAL

    def run(self, port: str, events: Listener) -> Report:
        report = Report(listener=events)
        with reported(report), board(port, report, self.wiring) as repl:
            uid, held = question.who(repl)
            report.mac, report.device = mac_text(uid), held.device if held else None
            report.passed("The board says who it is.")
        return report


@dataclass(frozen=True)
class UpdateTask:
    """Update the board with this MAC, as this device. `ready`: the product, where a worker can have the parent's."""

    job: UpdateJob
    device: Device
    mac: str
    ready: Product | None
    new_identity: bool = False
    replaces: str | None = None  # fingerprint of the certificate that is the board's no more

    def run(self, port: str, events: Listener) -> Report:
        product = self.ready or load_product(self.job.product)
        if self.job.dry_run:
            return self._update(product, port, events, lambda _target, _bundle: None)
        from provisioning.ledger import claims
        from provisioning.ledger.patience import Patience
        from provisioning.ledger.store import Ledger

        attempt = uuid.uuid4().hex
        fields = fingerprints.about(product) | {"job": "update", "mac": self.mac, "port": port, "replaces": self.replaces}
        with Ledger.open(self.job.ledger, patience=Patience.of(events)) as ledger:
            claims.claim(ledger, attempt, self.mac, [self.device.id], fields)
            events(Event("board", {"mac": self.mac, "chip": None}))
            events(Event("claim", {"device": self.device.id}))
            report = Report(board=product.board.name, product=product.name, device=self.device.id, mac=self.mac)

            def known(_target: Target, bundle: Bundle) -> None:
                fields.update(fingerprints.of_bundle(product, self.device, bundle))
                claims.intend(ledger, attempt, fields)

            try:
                report = self._update(product, port, events, known)
            except TwinrootError as error:
                report.failed(error)
            finally:
                _end(ledger, attempt, fields, report)
        return report

    def _update(self, product: Product, port: str, events: Listener, known: Known) -> Report:
        job = self.job
        return update(
            product,
            self.device,
            port,
            transport=job.transport,
            dry_run=job.dry_run,
            max_baud=job.max_baud,
            only_mac=self.mac,
            new_identity=self.new_identity,
            known=known,
            events=events,
        )


def _end(ledger: Ledger, attempt: str, fields: dict[str, Any], report: Report) -> None:
    """The outcome row, and an outcome for attempts whose process died, when the board has just said what it holds."""
    row = {name: fields.get(name) for name in fingerprints.OUTCOME_FIELDS} | {
        "chip": report.chip,
        "outcome": report.outcome,
        "code": report.code if report.code != "not-run" else "interrupted",
        "message": report.message,
        "wrote": any(step["name"] == "transfer" for step in report.steps),
        "steps": report.steps,
        "files": report.files,
    }
    ledger.append(OUTCOME, attempt, row)
    if report.outcome == "pass":
        reconcile.reconcile(ledger, str(fields["mac"]), attempt, report.selftest, report)


def update_many(job: UpdateJob, product: Product, ports: Sequence[str], retries: int, watch: Watch) -> list[PortResult]:
    """Update the boards on `ports`, none of them as a device that another one is. Raises InputError for a list that is wrong."""
    choice = Choice.of(product, None, job.devices)
    compiler.package(compiler.MPY_VERSION)  # once here instead of once in each worker
    rows = {row.port: row for row in many.run(dict.fromkeys(ports, Ask(wiring_of(product))), retries, _only_failures(watch))}
    boards = [FoundBoard(row.port, row.report["mac"], row.report["device"]) for row in rows.values() if row.passed]
    devices = _devices(choice, boards)
    tasks: dict[str, many.Task] = {}
    with _bindings(job) as bindings:
        decided = assign(devices, boards, bindings, product.scan is not None)
    for found in boards:
        device = decided[found.port]
        if isinstance(device, InputError):
            rows[found.port].end(Report(mac=found.mac, device=found.holds).failed(device))
            watch(found.port, Event("report", rows[found.port].report))
        else:
            tasks[found.port] = UpdateTask(job, device, found.mac, product if many.FORKED else None)
    for row in many.run(tasks, retries, watch):
        rows[row.port] = row
    return list(rows.values())


def _devices(choice: Choice, boards: Sequence[FoundBoard]) -> list[Device]:
    """The rows that are known, and, unless the command named a list, what the boards say they are."""
    devices = {row.id: row for row in choice.rows}
    for found in [] if choice.only else boards:
        if found.holds is not None:
            devices.setdefault(found.holds, single_device(found.holds))
    return list(devices.values())


def _only_failures(watch: Watch) -> Watch:
    """A board that said who it is has not passed yet: only failures of the question are told as results."""

    def hear(port: str, event: Event) -> None:
        if event.kind != "report" or event.data["outcome"] != "pass":
            watch(port, event)

    return hear


@contextmanager
def _bindings(job: UpdateJob) -> Iterator[Bindings]:
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

        yield Bindings(device_of, board_of)
