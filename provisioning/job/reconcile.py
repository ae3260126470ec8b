"""Ends attempts whose process died: what is on the board decides what the ledger says about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provisioning.flash import work
from provisioning.job import fingerprints
from provisioning.job.report import Report
from provisioning.job.selftest import mac_text
from provisioning.ledger.entry import OUTCOME

if TYPE_CHECKING:
    from provisioning.ledger.claims import OpenAttempt
    from provisioning.ledger.store import Ledger


def reconcile(ledger: Ledger, mac: str, own: str, found: dict[str, Any] | None, report: Report) -> None:
    """Give every open attempt on this board (but `own`) its outcome. `found`: the board's self-report, None when it has none to give."""
    from provisioning.ledger.claims import open_attempts

    for attempt in open_attempts(ledger, mac):
        if attempt.id == own:
            continue
        ledger.append(OUTCOME, attempt.id, _outcome(attempt, found, own))
        work.discard(attempt.id)
        report.note(f"An attempt of {attempt.began[:19]} on this board was interrupted; the ledger has its outcome now.")


def _outcome(attempt: OpenAttempt, found: dict[str, Any] | None, by: str) -> dict[str, Any]:
    whole = (
        found is not None
        and attempt.intended
        and bool(found["ok"])
        and found["set_sha256"] == attempt.fields.get("set_sha256")
        and mac_text(found["uid"] or "") in (None, attempt.mac)
    )
    row = {name: attempt.fields.get(name) for name in fingerprints.OUTCOME_FIELDS} | {"wrote": attempt.intended, "settles": by}
    if whole:
        return row | {
            "outcome": "pass",
            "code": "settled",
            "message": "The run died after the last write; the board reports its set whole.",
        }
    return row | {"outcome": "error", "code": "interrupted", "message": "The run died before the board was whole."}
