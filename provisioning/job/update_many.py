"""`update` on several ports at once: every board is asked who it is, each gets its device, then all are written, a process per port.

A board keeps what it is: the CSV row with its MAC, else the device that the ledger binds to it, else the one that it says it is. Boards
without an identity get the first devices that are free, after all the others have theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from provisioning.bundle import compile as compiler
from provisioning.config.device import Device, single_device
from provisioning.config.product import Product
from provisioning.errors import InputError
from provisioning.job import many
from provisioning.job.assign import FoundBoard, assign
from provisioning.job.board_identity import Choice
from provisioning.job.many import PortResult, Watch
from provisioning.job.prompt_session import board, reported, wiring_of
from provisioning.job.report import Report
from provisioning.job.selftest import mac_text
from provisioning.job.update_task import UpdateJob, UpdateTask, bindings
from provisioning.link import question
from provisioning.link.events import Event, Listener
from provisioning.link.port import USUAL, Wiring


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


def update_many(job: UpdateJob, product: Product, ports: Sequence[str], retries: int, watch: Watch) -> list[PortResult]:
    """Update the boards on `ports`, none of them as a device that another one is. Raises InputError for a list that is wrong."""
    choice = Choice.of(product, None, job.devices)
    compiler.package(compiler.MPY_VERSION)  # once here instead of once in each worker
    rows = {row.port: row for row in many.run(dict.fromkeys(ports, Ask(wiring_of(product))), retries, only_failures(watch))}
    boards = [FoundBoard(row.port, row.report["mac"], row.report["device"]) for row in rows.values() if row.passed]
    devices = _devices(choice, boards)
    tasks: dict[str, many.Task] = {}
    with bindings(job) as known:
        decided = assign(devices, boards, known, product.scan is not None)
        open_on = {found.port for found in boards if known.is_open(found.mac)}
    for found in boards:
        device = decided[found.port]
        gives = found.holds is None and len(choice.rows) > 1  # the only row of a list is as good as a name
        if isinstance(device, InputError):
            rows[found.port].end(Report(mac=found.mac, device=found.holds).failed(device))
            watch(found.port, Event("report", rows[found.port].report))
        else:
            ready = product if many.FORKED else None
            tasks[found.port] = UpdateTask(job, device, found.mac, ready, gives=gives, others=found.port in open_on)
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


def only_failures(watch: Watch) -> Watch:
    """A board that said who it is has not passed yet: only failures of the question are told as results."""

    def hear(port: str, event: Event) -> None:
        if event.kind != "report" or event.data["outcome"] != "pass":
            watch(port, event)

    return hear
