"""Back to the set before the active one, which stays on the board whole for exactly this."""

from __future__ import annotations

from provisioning.errors import BoardError
from provisioning.job import active
from provisioning.job.evidence import Before, unrecorded
from provisioning.job.prompt_session import board, reported
from provisioning.job.report import Report
from provisioning.job.selftest import (
    check_file_system,
    check_selftest,
    chip_of,
    mac_text,
    note_application,
    selftest,
    take_selftest,
    with_repeats,
)
from provisioning.link.events import Listener, silent
from provisioning.link.repl import LinkBroken
from provisioning.link.transport.choose import choose


def rollback(port: str | None, *, transport: str = "auto", events: Listener = silent, before: Before = unrecorded) -> Report:
    """Make the previous set active, restart, hear the board's own report. Fails, without a write, when there is none. `before` is called
    ahead of what may write."""
    report = Report(listener=events, active=active.UNTOUCHED)
    with reported(report), board(port, report) as repl:
        with report.step("rollback"):
            session, _ = choose(repl, transport, events=events)
            report.transport = session.name
            report.mac, report.chip = mac_text(session.hello().uid), chip_of(session.hello().machine)
            check_file_system(session, repl.wire.name)
            was, now = session.lies()
            if now:
                before(report)
                report.active = active.UNKNOWN  # until the answer is there
                was, now = session.back()
                report.active = active.NEW if now else active.UNTOUCHED
            session.close()
        if not was:
            raise BoardError(
                "no-set",
                f"The board on {repl.wire.name} holds no set, so there is none to go back to.",
                "Write a product to it: `twinroot update PRODUCT.yaml`.",
            )
        if not now:
            raise BoardError(
                "no-previous-set",
                f"The board on {repl.wire.name} holds no set before set {was}.",
                "Write the product that it should have: `twinroot update PRODUCT.yaml`.",
            )
        report.written = ["/trust/active"]
        with report.step("restart"):
            repl.soft_reset()
        with report.step("selftest"):
            found = with_repeats(repl, lambda: selftest(repl))
        take_selftest(report, found)
        check_selftest(found, None, now, repl.wire.name)
        with_repeats(repl, lambda: note_application(repl, report, now), LinkBroken)
        report.passed(f"Set {now} is active again instead of set {was}.")
    return report
