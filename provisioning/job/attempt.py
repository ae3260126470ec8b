"""One attempt at the line on one board: what the ledger has of it from the first write to the outcome, and the writing itself.

The ledger has a row before the first write and a row after the last; a run that was killed leaves an open intent, which the next run on
that board settles by asking the board itself.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from provisioning.bundle.bundle import Bundle
from provisioning.bundle.filesystem_image import image
from provisioning.config.device import Device
from provisioning.errors import TwinrootError
from provisioning.flash import esptool, work
from provisioning.flash.parts import application_part, firmware_parts, written_parts
from provisioning.identity import factory
from provisioning.job import after_pass, fingerprints
from provisioning.job.plan import FlashOptions, FlashPlan
from provisioning.job.report import Report
from provisioning.ledger.entry import OUTCOME
from provisioning.link.events import Listener

if TYPE_CHECKING:
    from provisioning.flash.loader_access import Examined, LoaderAccess
    from provisioning.ledger.store import Ledger


class Attempt:
    """`wrote`: whether the flash may have been changed; `known`: whether the ledger has a row of it."""

    def __init__(
        self,
        plan: FlashPlan,
        devices: Sequence[Device],
        ledger: Ledger | Callable[[], Ledger],
        options: FlashOptions,
        report: Report,
        events: Listener,
    ) -> None:
        self.plan = plan
        self.product = plan.product
        self.devices = {device.id: device for device in devices}
        self._ledger = ledger
        self.options = options
        self.report = report
        self.events = events
        self.attempt = uuid.uuid4().hex
        self.fields: dict[str, Any] = {}
        self.wrote = False
        self.noisy = False  # whether the line damages bytes: what goes wrong then is not the board's fault
        self.known = False
        self.log = work.log_file(self.attempt)

    @property
    def ledger(self) -> Ledger:
        return self._ledger() if callable(self._ledger) else self._ledger

    def facts(self, examined: Examined, port: str) -> None:
        facts = examined.facts
        self.report.chip, self.report.mac = facts.chip, facts.mac or None
        self.fields = fingerprints.about(self.plan.product, self.plan.firmware, self.options.operator) | {
            "job": "flash",
            "chip": facts.chip,
            "revision": facts.revision_text,
            "flash_size": facts.flash,
            "mac": facts.mac or None,
            "port": port,
        }

    def firmware(self, line: LoaderAccess, *, in_loader: bool) -> None:
        """Write the firmware alone; the file system stays."""
        from provisioning.ledger.entry import INTENT

        with work.folder(self.attempt) as folder:
            parts = firmware_parts(self.plan.firmware, self.product.board.partition, folder)
            self.ledger.append(INTENT, self.attempt, self.fields)
            self.wrote = self.known = True
            with self.report.step("write"):
                self.session(line, parts, in_loader, True)

    def write(self, line: LoaderAccess, bundle: Bundle, examined: Examined, *, in_loader: bool) -> None:
        from provisioning.ledger import claims

        with work.folder(self.attempt) as folder:
            with self.report.step("image"):
                made = image(bundle, self.product.board)
                self.fields["image_sha256"] = fingerprints.sha256(made.data)
                parts = written_parts(self.plan.firmware, self.product.board.partition, made, folder, examined.same_firmware)
            claims.intend(self.ledger, self.attempt, self.fields)
            self.wrote = True
            with self.report.step("write"):
                self.session(line, parts, in_loader, examined.same_firmware)

    def session(self, line: LoaderAccess, parts: list[esptool.Part], in_loader: bool, skip_same: bool) -> None:
        try:
            done = esptool.write(line, parts, in_loader=in_loader, fixed_baud=self.options.baud, skip_same=skip_same, events=self.events)
        except esptool.Failed as failed:
            # What never began leaves the board as it was, so board and device stay free.
            self.wrote = failed.done.began
            self.report.note(f"esptool's whole output is in {self.log}.")
            raise failed.error from None
        report = self.report
        report.transport = "esptool"
        report.wire |= {"baud": done.baud, "plain": done.plain, "deflated": done.wire, "rates_tried": done.attempts}
        if application_part(self.plan.firmware) in done.skipped:
            report.note("The firmware was there already and was not sent again.")
        report.written = [f"0x{part.offset:x}" for part in parts if part.offset not in done.skipped]

    def close(self) -> None:
        """The outcome row, whatever happened; a refusal before the claim is recorded, too, when it is about a known board."""
        report = self.report
        if not self.known and not report.mac:
            return
        row = {name: self.fields.get(name) for name in fingerprints.OUTCOME_FIELDS} | {
            "outcome": report.outcome,
            "code": report.code if report.code != "not-run" else "interrupted",
            "message": report.message,
            "wrote": self.wrote,
            "steps": report.steps,
            "files": report.files,
            "log": str(self.log) if self.log.exists() else None,
        }
        rows: dict[str, Any] = {}
        try:
            if report.outcome == "pass":
                row["tasks"] = after_pass.wanted(self.product, self.ledger, report.mac, report.device)
            rows = {**self.fields, **self.ledger.append(OUTCOME, self.attempt, row).as_dict()}
        except TwinrootError as error:
            # A PASS that is not in the ledger is none.
            report.failed(error)
        self._forget_key()
        after_pass.follow(self.product, self.ledger, rows.get("tasks", ()), rows, report, self.events)

    def _forget_key(self) -> None:
        """Only after the outcome is on the disk: until then this host's copy may be needed again."""
        report = self.report
        if report.outcome != "pass":
            return
        try:
            if factory.forget_key(self.product, self.devices[report.device or ""]):
                report.note("The device's key is on the device only: this host's copy was removed.")
        except TwinrootError as error:
            report.note(f"{error.message} {error.hint}")
