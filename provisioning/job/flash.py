"""From a blank board to PASS: ask the chip, refuse or claim, write everything in one session, boot, hear the board's own report.

A board whose file system may hold a set is asked who it is before anything else. One that has an identity keeps it: its file system is left
where it is, and what has to change in it is changed as `update` does, so that its key never leaves it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from provisioning.bundle.bundle import Bundle, build
from provisioning.bundle.space import check_space
from provisioning.config.device import Device
from provisioning.errors import BoardError, StationError, TwinrootError
from provisioning.flash import preflight
from provisioning.flash.loader_access import open_line
from provisioning.flash.prestart import Prestarted
from provisioning.identity import factory
from provisioning.identity.issue import KeyGone
from provisioning.job import board_identity, fingerprints, reconcile
from provisioning.job.attempt import Attempt
from provisioning.job.claimant import Claimant, first
from provisioning.job.first_boot import Seen, ask
from provisioning.job.plan import FlashOptions, FlashPlan
from provisioning.job.report import Report
from provisioning.job.selftest import check_selftest, selftest, take_selftest
from provisioning.job.update import Update
from provisioning.link import question
from provisioning.link.events import Event, Listener, silent
from provisioning.link.payload import Payload
from provisioning.link.port import held

if TYPE_CHECKING:
    from provisioning.flash.loader_access import Examined, LoaderAccess
    from provisioning.flash.process import Source
    from provisioning.flash.rom import ChipFacts
    from provisioning.identity.on_board import OnBoard
    from provisioning.ledger.store import Ledger

_PATIENCE = 6.0  # seconds for a board that may or may not start
BOOT_SECONDS = 20.0  # reset to the first answer of the prompt; a real board takes 1 to 3


def flash(
    plan: FlashPlan,
    devices: Sequence[Device],
    port: str | None,
    ledger: Ledger | Callable[[], Ledger],
    options: FlashOptions | None = None,
    events: Listener = silent,
    source: Source | None = None,
) -> Report:
    """Flash the board on `port` as one of `devices`: the one it is already, else the first that is free.

    `ledger`: open, or what returns it when it is needed for the first time, once the board has been asked. `source`: where an esptool is
    ready; without one, one is started here.
    Returns a report; what goes wrong is in it. Control-C passes through, after the ledger has its outcome.
    """
    report = Report(board=plan.product.board.name, product=plan.product.name, listener=events)
    run = _Run(plan, devices, ledger, options or FlashOptions(), report, events)
    started = time.monotonic()
    try:
        with (
            held(port, plan.product.board.usb_ids) as name,
            nullcontext(source) if source is not None else Prestarted() as ready,
            open_line(plan.product.board, name, run.log) as line,
        ):
            line.source = ready
            run.go(line)
    except TwinrootError as error:
        report.failed(_not_the_boards(error) if run.noisy and isinstance(error, BoardError) else error)
    finally:
        report.wire["seconds"] = round(time.monotonic() - started, 4)
        run.close()
    return report


class _Run(Attempt):
    """The story of one attempt."""

    def go(self, line: LoaderAccess) -> None:
        report = self.report
        with report.step("identify"):
            examined = line.examine(
                self.plan.firmware, self.product.board.partition, lambda facts: preflight.fits(self._about(facts, line))
            )
        self.facts(examined, line.name)
        self.events(Event("board", {"mac": self.report.mac, "chip": self.report.chip}))
        with self._board_released(line):
            preflight.refuse(self._about(examined.facts, line))
            self.noisy = examined.noisy
            self.plan = self.plan.on(examined.facts.flash)
            self.product = self.plan.product
            seen = self._who(line) if examined.file_system else Seen()
            in_loader = not examined.file_system
            self.claimant = Claimant(self.product, self.devices, self.options, self.ledger, examined.facts.mac, line.name)
            if seen.silent and not self.claimant.can_be_made_again():
                self.claimant.refuse_unscanned()
                # Whose file system that is, only the board can say, and it does not run: with its firmware it will.
                self.firmware(line, in_loader=False)
                line.start()
                seen = self._who(line, BOOT_SECONDS)
            held = None if self.options.new_identity or self.claimant.is_released() else seen.held
            device = self._claim(held)
            reconcile.reconcile(self.ledger, examined.facts.mac, self.attempt, seen.report, report)
            if held is not None:
                self._keep(line, device, held, examined)
                return
            if seen.held is not None:
                self.fields["replaces"] = seen.held.fingerprint()
            with report.step("bundle"):
                bundle = self._bundle(device)
            self.write(line, bundle, examined, in_loader=in_loader)
            line.start()
            self._confirm(line, bundle)

    def _who(self, line: LoaderAccess, seconds: float = _PATIENCE) -> Seen:
        """Who the board is, asked at its prompt. Raises BoardError when another board answers."""
        with self.report.step("who"):
            seen = ask(line, self.product, self.report, seconds)
        if seen.uid:
            self._is_itself({"uid": seen.uid})
        return seen

    @contextmanager
    def _board_released(self, line: LoaderAccess) -> Iterator[None]:
        """A board that is refused before a write starts its program again, as if nobody had asked."""
        try:
            yield
        except TwinrootError:
            if not self.wrote:
                _leave_quietly(line)
            raise

    def _about(self, facts: ChipFacts, line: LoaderAccess) -> preflight.Question:
        return preflight.Question(self.product.board, facts, self.plan.firmware, line.name, self.plan.end, self.options.allowed)

    def _claim(self, held: OnBoard | None) -> Device:
        # A listener of a row of boards knows whose turn it is; a single board need not wait for any.
        device = self.claimant.claim(self.attempt, held, self.fields, getattr(self.events, "may_claim", first))
        self.known = True
        self.report.device = self.fields["device"] = device.id
        self.events(Event("claim", {"device": device.id}))
        return device

    def _keep(self, line: LoaderAccess, device: Device, held: OnBoard, examined: Examined) -> None:
        """The board stays who it is: its firmware is written where that differs, and its set is brought up to date at its prompt."""
        from provisioning.ledger import claims

        report = self.report
        target = board_identity.target(self.product, board_identity.Choice(device), held, line.name)
        with report.step("bundle"):
            bundle = target.bundle(self.product)
            check_space(self.product, bundle)
        self.fields |= fingerprints.of_flash(self.product, device, bundle, self.plan.firmware)
        if target.renewal is not None:
            self.fields["replaces"] = target.renewal.replaces
            report.note(target.renewal.note())
        if not examined.same_firmware and not self.wrote:
            self.firmware(line, in_loader=False)
            line.start()
        renewed = self.wrote

        def before() -> None:
            claims.intend(self.ledger, self.attempt, self.fields)
            self.wrote = True

        with ExitStack() as stack:
            with report.step("boot"):
                repl = stack.enter_context(line.repl(BOOT_SECONDS))
            rate = self.options.baud or self.product.board.baud.max
            Update(report, self.product, target, repl, "auto", False, rate, None, False, self.events, before).run(bundle)
            self._is_itself(report.selftest)
            repl.leave()
            report.wire |= {name: count for name, count in repl.wire.counters().items() if name != "seconds"}
        if renewed:
            report.passed(f"{report.mac} stays {device.id}: firmware written, started, and it reads its set back whole.")
        elif report.code == "unchanged":
            report.passed(f"Nothing to do: {report.mac} is {device.id}, and it reads its set {report.generation} back whole.", "unchanged")

    def _bundle(self, device: Device) -> Bundle:
        from provisioning.ledger import claims

        retired = claims.retired(self.ledger, device.id)
        for gone in factory.retire(self.product, device, None if self.options.new_identity else retired):
            self.report.note(f"The certificate {gone[:16]}… of {device.id} is retired; a new one was made. The old one should be revoked.")
            self.fields["replaces"] = self.fields.get("replaces") or gone
        try:
            factory.ensure_identity(self.product, device, self.plan.authority)
        except KeyGone:
            if self.claimant.was != device.id:
                raise
            raise KeyGone(
                "key-gone",
                f"The board {self.report.mac} is {device.id} by the ledger, holds nothing of it any more, and its key was nowhere else.",
                "Nothing was written. Ask whoever made the product: docs/technician.md says what can be done with such a board.",
            ) from None
        bundle = build(self.product, device)
        check_space(self.product, bundle)
        self.fields |= fingerprints.of_flash(self.product, device, bundle, self.plan.firmware)
        return bundle

    def _confirm(self, line: LoaderAccess, bundle: Bundle) -> None:
        """Boot, hashes read back by the board's package, its own report; PASS is said here and nowhere else."""
        report = self.report
        payload = Payload(bundle.trust, bundle.lib)
        with ExitStack() as stack:
            with report.step("boot"):
                repl = stack.enter_context(line.repl(BOOT_SECONDS))
            with report.step("selftest"):
                answer = question.holds(repl, payload, bundle.package)
                found = answer[0] if answer else selftest(repl)
            take_selftest(report, found)
            check_selftest(found, bundle.set_sha256, None, line.name)
            if answer is None:
                raise BoardError(
                    "not-as-written", f"The board on {line.name} holds files that are not what was written.", "Run the command again."
                )
            self._is_itself(found)
            repl.leave()
            report.wire |= {name: count for name, count in repl.wire.counters().items() if name not in ("seconds", "baud")}
        report.files = payload.hashes(found["set"])
        report.passed(f"{report.mac} is {report.device}: written, started, and it reads its set {found['set']} back whole.")

    def _is_itself(self, found: dict[str, Any]) -> None:
        said = (found.get("uid") or "")[:12]
        if said and said != (self.report.mac or "").replace(":", ""):
            raise BoardError(
                "other-board",
                f"The board that answers on {self.fields['port']} after the write has another MAC ({said}) than the one before.",
                "Boards or ports were changed during the run; run the command again.",
            )


def _not_the_boards(error: BoardError) -> StationError:
    return StationError(
        "line-errors",
        f"The line damages bytes, so nothing is said about the board: {error.message}",
        "Use a shorter cable, another port or hub, then run the command again.",
    )


def _leave_quietly(line: LoaderAccess) -> None:
    try:
        line.start()
    except TwinrootError:
        return  # the refusal on its way up matters more than a port that went away meanwhile
