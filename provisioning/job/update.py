"""Bring a product to a board that runs MicroPython: ask, send what is missing, commit, restart, hear the board's own report."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from provisioning.bundle.bundle import Bundle, Interpreter, in_set
from provisioning.config.device import Device
from provisioning.config.product import Product
from provisioning.errors import BoardError
from provisioning.job import active, board_identity
from provisioning.job.assign import NotThatDevice
from provisioning.job.evidence import Before, unrecorded
from provisioning.job.prompt_session import board, reported, wiring_of
from provisioning.job.report import Report
from provisioning.job.selftest import (
    check,
    check_file_system,
    check_selftest,
    mac_text,
    note_application,
    selftest,
    take_selftest,
    with_repeats,
)
from provisioning.link import board_messages, firmware_kind, prompt_recovery, question, rates
from provisioning.link.events import Event, Listener, silent
from provisioning.link.payload import Payload
from provisioning.link.repl import DeviceException, LinkBroken, RateLate, RawRepl
from provisioning.link.transport.base import Session, TransferPlan, none_lost
from provisioning.link.transport.choose import choose

# Seconds of one look into a folder: the line carries a whole set in three times that at 115200 baud, with a dozen looks a file.
_SLOW = 0.25


def update(
    product: Product,
    device: Device | board_identity.Choice | None,
    port: str | None,
    *,
    transport: str = "auto",
    dry_run: bool = False,
    max_baud: int | None = None,
    only_mac: str | None = None,
    new_identity: bool = False,
    known: Known = lambda _target, _bundle: None,
    give: Callable[[str, str], Device] | None = None,
    soon: Callable[[], object] = lambda: None,
    before: Before = unrecorded,
    events: Listener = silent,
) -> Report:
    """Write `product` to the board on `port`; with `only_mac`, to no board but the one with this MAC.

    `device`: what the board is: a Device, or a Choice of which the board says the rest. What this computer does not have of certificate and
    key stays on the board as it is. `new_identity`: the files here replace what the board is. `give` is called, with MAC and port, for the
    device of a board that has none, where the choice leaves several; `known` before the first write, `soon` when it is clear that there
    will be one, `before` right ahead of it.
    `max_baud`: highest rate for the transfer; None for the board file's, 115200 for no raise. Returns a report; what goes wrong is in
    it. A control-C passes through after the board's program has been started again.
    """
    choice = device if isinstance(device, board_identity.Choice) else board_identity.Choice(device)
    one = choice.device
    report = Report(
        board=product.board.name, product=product.name, device=one.id if one else None, listener=events, active=active.UNTOUCHED
    )
    made: tuple[board_identity.Target, Bundle] | None = None
    if one is not None and (new_identity or board_identity.has_files(product, one)):
        with report.step("bundle"):
            made = board_identity.Target(one), board_identity.Target(one).bundle(product)
    with reported(report), board(port, report, wiring_of(product)) as repl:
        if made is None:
            with report.step("who"):
                uid, held = with_repeats(repl, lambda: _with_room(repl, report, lambda: board_identity.who(repl, product)), LinkBroken)
            if held is None and one is None and len(choice.rows) > 1 and give is not None:
                choice = board_identity.Choice(give(mac_text(uid) or "", repl.wire.name))
            chosen = board_identity.target(product, choice, held, repl.wire.name)
            with report.step("bundle"):
                made = chosen, chosen.bundle(product)
        target, bundle = made
        report.device = target.device.id
        known(target, bundle)
        _say_renewal(report, target)
        rate = max_baud or product.board.baud.max

        def write() -> None:
            before(report)

        Update(report, product, target, repl, transport, dry_run, rate, only_mac, new_identity, events, write, soon, known).run(bundle)
    return report


def _say_renewal(report: Report, target: board_identity.Target) -> None:
    if target.renewal is not None:
        report.note(target.renewal.note())


def _with_room(repl: RawRepl, report: Report, question: Callable[[], T]) -> T:
    """The answer to a question; when the board has no heap left for it, what its program has left goes first."""
    try:
        return question()
    except DeviceException:
        if not _clear_leftovers(repl, report):
            raise
    return question()


def _clear_leftovers(repl: RawRepl, report: Report) -> bool:
    """Whether there was something to put right before code of ours runs on the board (link/prompt_recovery.py); the report says what."""
    found = prompt_recovery.clear_leftovers(repl)
    for hold in found:
        report.note(f"What held the board: {board_messages.HOLDS[hold]}")
    return bool(found)


T = TypeVar("T")
Known = Callable[[board_identity.Target, Bundle], None]


@dataclass
class Update:
    """One run, with the board at its raw prompt. `before` is called before each write, and `soon` a while before the first; neither when
    there is none."""

    report: Report
    product: Product
    target: board_identity.Target
    repl: RawRepl
    transport: str
    dry_run: bool
    max_baud: int
    only_mac: str | None
    new_identity: bool
    events: Listener
    before: Callable[[], None] = lambda: None
    soon: Callable[[], object] = lambda: None
    known: Known = lambda _target, _bundle: None
    left_over: bool = False
    holds: str | None = None  # the device whose set it holds, where it could tell
    payload: Payload | None = None  # what the last attempt was about to write
    numbers: set[int] = field(default_factory=set)  # of the sets that the attempts were about to make active
    planned: set[str] = field(default_factory=set)  # paths; over all attempts, since a later one goes on where an earlier one stopped

    def run(self, bundle: Bundle) -> None:
        try:
            self._run(bundle)
        except BoardError:
            if self.report.active == active.UNKNOWN:
                self.report.active = active.ask(self.repl, self.numbers)
            raise

    def _run(self, bundle: Bundle) -> None:
        try:
            self._write(bundle)
        except NotThatDevice as error:
            self._write(self._as_it_holds(error))

    def _write(self, bundle: Bundle) -> None:
        with self.report.step("ask"):
            if self._unchanged(bundle):
                return
            if self.left_over:
                self._tidy()
                return
        if not self.dry_run:
            self.soon()
        _clear_leftovers(self.repl, self.report)
        payload, number = self._transfer_at_some_rate(bundle)
        if self.dry_run:
            return
        self.report.files = payload.hashes(number)
        with self.report.step("restart"):
            self.repl.soft_reset()
        with self.report.step("selftest"):
            found = with_repeats(self.repl, lambda: selftest(self.repl))
        take_selftest(self.report, found)
        check_selftest(found, payload.set_sha256, number, self.repl.wire.name)
        if self.product.vendor is not None and not in_set(self.product):  # one that is on the board goes along
            with_repeats(self.repl, lambda: note_application(self.repl, self.report, number), LinkBroken)
        self.report.passed(f"Set {number} is active on {self.report.mac or self.repl.wire.name}; the board reads it back whole.")

    def _as_it_holds(self, refusal: NotThatDevice) -> Bundle:
        """The bundle for a board whose certificate is not the one here: two may be of one key. Raises NotThatDevice, the board left as it
        is, when they are not."""
        with self.report.step("who"):
            held = with_repeats(self.repl, lambda: board_identity.who(self.repl, self.product)[1], LinkBroken)
        if held is None or held.device != self.target.device.id:
            raise refusal
        self.target = board_identity.target(self.product, board_identity.Choice(self.target.device), held, self.repl.wire.name)
        with self.report.step("bundle"):
            bundle = self.target.bundle(self.product)
        self.known(self.target, bundle)
        _say_renewal(self.report, self.target)
        return bundle

    def _unchanged(self, bundle: Bundle) -> bool:
        payload = Payload(bundle.trust, bundle.lib)
        held = question.held(self.repl, payload, bundle.package)
        found = held.report
        if held.strange:
            firmware_kind.ask(self.repl)
        self.holds = held.device
        if found is None:
            if held.device not in (None, self.target.device.id) and self.new_identity:
                verb = "would make" if self.dry_run else "makes"
                self.report.note(f"The board holds the set of {held.device}; this update {verb} it {self.target.device.id}.")
            return False
        self.left_over = held.left_over
        take_selftest(self.report, found)
        self._refuse_others()
        self.report.chip = json.loads(payload.set_json)["chip"]
        self.report.files = payload.hashes(found["set"])
        if self.left_over and not self.dry_run:
            return False
        self.report.passed(f"Nothing to do: set {found['set']} is this product, and the board reads it back whole.", "unchanged")
        return True

    def _refuse_others(self) -> None:
        """Boards that were changed between the question who they are and the write."""
        if self.only_mac not in (None, self.report.mac):
            raise BoardError(
                "other-board",
                f"The board on {self.repl.wire.name} has the MAC {self.report.mac}, {self.only_mac} was there before.",
                "Boards or ports were changed during the run; nothing was written. Run the command again.",
            )

    def _tidy(self) -> None:
        """The board holds the product; what a broken run left beside it goes."""
        self._clear_up()
        self.report.passed(f"Set {self.report.generation} is this product already; what a broken run had left is removed.", "tidied")

    def _clear_up(self) -> None:
        session, _ = self._session()
        self.before()
        self._now(active.OLD)
        session.tidy()
        session.close()

    def _session(self, rate: int | None = None) -> tuple[Session, str]:
        """An open session, why it is of this transport, and in the report what it is and which firmware is at its other end."""
        session, why = choose(self.repl, self.transport, rate=rate, events=self.events)
        self.report.transport, self.report.firmware_version = session.name, session.hello().version
        return session, why

    def _rates(self) -> list[int]:
        home = self.repl.wire.home_baud
        top = [rate for rate in rates.TRANSFER if home < rate <= self.max_baud]
        if not top or self.transport in ("paste", "ampy") or self.product.board.native_usb or self.repl.wire.native:
            return [home, home]
        if self._slow():
            look = self.repl.wire.pace.longest
            self.report.note(f"A look into a folder takes this board {look:.1f} s: it stays at {home} baud, a higher rate gains nothing.")
            return [home, home]
        return [*top[:2], home, home]

    def _slow(self) -> bool:
        """Whether the board's flash takes longer than the line at any rate."""
        pace = self.repl.wire.pace
        return pace.known and pace.longest > _SLOW

    def _transfer_at_some_rate(self, bundle: Bundle) -> tuple[Payload, int]:
        """Transfer at the highest rate that holds; a line that gives out is tried again one step lower, going on where it stopped."""
        ladder = self._rates()
        for attempt, rate in enumerate(ladder):
            try:
                if attempt and self.payload and (number := self._committed(self.payload, bundle.package)):
                    return self.payload, number
                return self._transfer(bundle, rate)
            except LinkBroken as error:
                if attempt + 1 == len(ladder):
                    raise
                self.repl.enter()
                if "watchdog" in (prompt_recovery.clear_leftovers(self.repl) if prompt_recovery.restarted(self.repl) else ()):
                    ladder[attempt + 1] = rate  # the rate is not to blame
                    self.report.note(f"{board_messages.HOLDS['watchdog']} Going on at {rate} baud.")
                    continue
                if isinstance(error, RateLate) or self._slow():  # time was the reason, which a lower rate does not give
                    ladder[attempt + 1 :] = [self.repl.wire.home_baud] * len(ladder[attempt + 1 :])
                self.report.note(f"{error.message} Trying again at {ladder[attempt + 1]} baud.")
        raise AssertionError("the last rate is the one the line came with")

    def _committed(self, payload: Payload, package: str) -> int | None:
        """Number of the set when the attempt before committed it, and only its answer was lost. What it had still to clear up goes."""
        self.repl.soft_reset()  # the package that was imported for the question before reports about the set of then
        held = question.held(self.repl, payload, package)
        if held.report is None:
            return None
        self._now(active.NEW)
        if held.left_over:
            self._clear_up()
        self.report.written = self._sorted()
        return int(held.report["set"])

    def _transfer(self, bundle: Bundle, rate: int) -> tuple[Payload, int]:
        with self.report.step("transport"):
            session, why = self._session(rate)
        if session.name != "stream" and self.transport == "auto":
            self.report.note(f"Transport {session.name}: {why}.")
        check(session.hello(), self.product, self.repl.wire.name, self.report)
        check_file_system(session, self.repl.wire.name)
        self._refuse_others()
        payload = self.payload = self._for_interpreter(bundle, session)
        with self.report.step("plan"):
            plan = session.prepare(payload)
        if not self._stays_who_it_is(payload, plan):
            session.close()
            holds = self.holds or "another device"
            raise NotThatDevice(
                "other-certificate",
                f"The board on {self.repl.wire.name} holds a certificate of {holds} that is not the one of {self.target.device.id} here.",
                "Nothing was written. The cloud knows the board by the certificate that it holds: find out which of the two is registered.",
            )
        self._room(plan)
        self.planned |= self._paths(payload, plan)
        if self.dry_run:
            self.report.written = self._sorted()
            self.report.generation = plan.number
            self.report.passed(
                f"Set {plan.number} would be written: {len(plan.send)} files to send, {len(plan.copy)} on the board already.", "dry-run"
            )
        else:
            self.before()
            self.numbers.add(plan.number)
            self._now(active.OLD)
            with self.report.step("transfer"):
                try:
                    session.transfer()
                except BaseException:
                    if session.committing:
                        self._now(active.UNKNOWN)
                    raise
            self._now(active.NEW)
            self.report.written = self._sorted()  # not before: until the commit nothing of it counts
        session.close()
        return payload, plan.number

    def _now(self, state: str) -> None:
        """What is active from here on. Once a commit may have happened, nothing but the board's own word makes it undone."""
        if self.report.active not in (active.NEW, active.UNKNOWN) or state == active.NEW:
            self.report.active = state
            self.events(Event("active", {"active": state}))

    def _for_interpreter(self, bundle: Bundle, session: Session) -> Payload:
        hello = session.hello()
        found = Interpreter(hello.mp, hello.mpy or None, hello.platform)
        if found.mpy != Interpreter.default().mpy:
            with self.report.step("bundle"):
                bundle = self.target.bundle(self.product, found)
            self.known(self.target, bundle)
        return Payload(bundle.trust, bundle.lib)

    def _stays_who_it_is(self, payload: Payload, plan: TransferPlan) -> bool:
        """Whether the certificate is the one that the board has, or one that may follow it. Raises BoardError, before the first write,
        where the board would lose what only it has."""
        none_lost(payload, plan.send, self.repl.wire.name)
        return (
            plan.certificate in ("", payload.certificate_sha256)
            or self.new_identity
            or (self.target.renewal is not None and plan.certificate == self.target.renewal.file_sha256)
        )

    def _room(self, plan: TransferPlan) -> None:
        if plan.need > plan.free:
            raise BoardError(
                "flash-full",
                f"The set needs {plan.need} blocks of the board's flash, {plan.free} are free ({self.repl.wire.name}).",
                "Remove files of your own from the board (not /trust, not /lib/twinroot), then run the command again; nothing was written.",
            )

    def _paths(self, payload: Payload, plan: TransferPlan) -> set[str]:
        """The files that this attempt writes, but for the pointer."""
        files = {payload.items[index].path(plan.number) for index in (*plan.send, *plan.copy)}
        return files if plan.same else files | {f"/trust/{plan.number}/set.json"}

    def _sorted(self) -> list[str]:
        return [*sorted(self.planned), "/trust/active"]
