"""Ends attempts whose process died: what is on the board decides what the ledger says about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provisioning.errors import TwinrootError
from provisioning.flash import record, work
from provisioning.flash.line import Line
from provisioning.job.board import adopt, mac_text, selftest
from provisioning.job.report import Report
from provisioning.ledger.entry import OUTCOME

if TYPE_CHECKING:
    from provisioning.ledger.claims import Attempt
    from provisioning.ledger.store import Ledger

_PATIENCE = 6.0  # seconds for a board that may or may not start


def settle(ledger: Ledger, mac: str, own: str, line: Line, report: Report) -> bool:
    """Give every open attempt on this board (but `own`) its outcome. True when the board was asked, and so left its loader.

    The board's self-report is in `report.selftest` then, when it gave one.
    """
    still_open = _open(ledger, mac, own)
    intended = any(attempt.intended for attempt in still_open)
    found: dict[str, Any] | None = None
    if intended:
        with report.step("settle"):
            found = _ask(line, report)
    _close(ledger, still_open, found, own, report)
    return intended


def close(ledger: Ledger, mac: str, own: str, found: dict[str, Any], report: Report) -> None:
    """The same for a board that has just told what it holds: `found` is its self-report."""
    _close(ledger, _open(ledger, mac, own), found, own, report)


def _open(ledger: Ledger, mac: str, own: str) -> list[Attempt]:
    from provisioning.ledger.claims import open_attempts

    return [attempt for attempt in open_attempts(ledger, mac) if attempt.id != own]


def _close(ledger: Ledger, attempts: list[Attempt], found: dict[str, Any] | None, own: str, report: Report) -> None:
    for attempt in attempts:
        ledger.append(OUTCOME, attempt.id, _outcome(attempt, found, own))
        work.discard(attempt.id)
        report.note(f"An attempt of {attempt.began[:19]} on this board was interrupted; the ledger has its outcome now.")


def _ask(line: Line, report: Report) -> dict[str, Any] | None:
    """The board's own report, None when it has none to give: it does not start, or not far enough."""
    try:
        line.start()
        with line.repl(_PATIENCE) as repl:
            found = selftest(repl)
            repl.leave()
    except TwinrootError as error:
        report.note(f"The board was asked what it holds: {error.message}")
        return None
    adopt(report, found)
    return found


def _outcome(attempt: Attempt, found: dict[str, Any] | None, by: str) -> dict[str, Any]:
    whole = (
        found is not None
        and attempt.intended
        and bool(found["ok"])
        and found["set_sha256"] == attempt.fields.get("set_sha256")
        and mac_text(found["uid"] or "") in (None, attempt.mac)
    )
    row = {name: attempt.fields.get(name) for name in record.OUTCOME_FIELDS} | {"wrote": attempt.intended, "settles": by}
    if whole:
        return row | {
            "outcome": "pass",
            "code": "settled",
            "message": "The run died after the last write; the board reports its set whole.",
        }
    return row | {"outcome": "error", "code": "interrupted", "message": "The run died before the board was whole."}
