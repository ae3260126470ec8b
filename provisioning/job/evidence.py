"""An intent in the ledger before the first write to a board, an outcome after it: for jobs that ask nothing else of the ledger.

These rows say what was done to which board, and bind nothing. Where a job gives a board a device that it did not have, a claim comes first
(`ledger/claims.py`): no other board gets that one then.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from provisioning.errors import TwinrootError
from provisioning.job import active
from provisioning.job.report import Report
from provisioning.ledger.entry import INTENT, OUTCOME
from provisioning.ledger.opening import Opening
from provisioning.ledger.plain import NotPlain, Plain
from provisioning.link.events import Listener, silent

if TYPE_CHECKING:
    from provisioning.ledger.store import Ledger

Before = Callable[[Report], None]


def unrecorded(_report: Report) -> None:
    """For jobs inside other jobs, which have rows of their own, and for tests."""


class Evidence:
    """A context manager around one job on one board; `before` is called with its report, before each write. At the end the outcome row is
    written when there was one, and a ledger that cannot take it makes the report one of an error: a PASS that is not in the ledger is none.

    `job`: the command's name. `location`: the ledger's. `fields`: more of the rows; called, with the job's report, when there is something
    to write.
    """

    fields: Callable[[Report], Mapping[str, Any]] = staticmethod(lambda _report: {})

    def __init__(self, job: str, location: str | None, events: Listener = silent, port: str | None = None) -> None:
        self._job = job
        self._location = location
        self._events = events
        self._port = port
        self._plain: Plain | None = None
        self._opening: Opening | None = None
        self._loading: threading.Thread | None = None
        self._attempt = uuid.uuid4().hex
        self._rows: dict[str, Any] = {}
        self._report: Report | None = None
        self._intended = False

    def soon(self) -> None:
        """There may be a write: where the ledger needs the database layer, which takes a third of a second to load, that is loaded beside
        what comes before it. The ledger is opened by the first write, so that where nothing is written none is made."""
        if self._loading is None and not self._is_plain():
            self._loading = threading.Thread(target=_load, daemon=True)
            self._loading.start()

    def _is_plain(self) -> bool:
        found = Plain.open(self._location)
        if found is not None:
            found.close()
        return found is not None

    def before(self, report: Report) -> None:
        """The intent, once. Raises what keeps the ledger from taking it; nothing is written to the board then."""
        if self._intended:
            return
        from provisioning.job import fingerprints

        of_board = {"mac": report.mac, "chip": report.chip, "board": report.board, "product": report.product, "device": report.device}
        self._rows = {**fingerprints.who_and_where(), "job": self._job, "port": self._port, **of_board, **self.fields(report)}
        if self._report is None:
            self._plain = Plain.open(self._location)
            self._append(INTENT, self._rows)
        else:
            from provisioning.ledger import claims

            claims.intend(self._ledger(), self._attempt, self._rows)
        self._report, self._intended = report, True

    def _append(self, kind: str, row: Mapping[str, Any]) -> None:
        if self._plain is not None:
            try:
                return self._plain.append(kind, self._attempt, row)
            except NotPlain:
                self._close_plain()
        self._ledger().append(kind, self._attempt, row)
        return None

    def _close_plain(self) -> None:
        if self._plain is not None:
            self._plain.close()
        self._plain = None

    def _ledger(self) -> Ledger:
        if self._opening is None:
            self._opening = Opening(self._location, self._events)
        return self._opening()

    def promise(self, mac: str, device: str, fields: Mapping[str, Any]) -> None:
        """The claim of a device that the board did not have; from here on there is an outcome, whatever happens. Raises InputError where
        the board or the device is bound otherwise."""
        from provisioning.ledger import claims

        self._rows = {**fields, "job": self._job, "port": self._port, "mac": mac, "device": device}
        claims.claim(self._ledger(), self._attempt, mac, [device], self._rows)
        self._report = Report(mac=mac, device=device, active=active.UNTOUCHED)

    def take(self, report: Report, others: bool = False) -> None:
        """How the job ended, where it may have written nothing. `others`: whether attempts on this board are open, whose process died."""
        if self._report is not None:
            self._report = report
        elif others:
            self._settle(report)

    def __enter__(self) -> Evidence:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        try:
            if isinstance(error, TwinrootError) and self._report is not None and not self._intended:
                self._report.failed(error)
            if self._report is not None:
                self._end(self._report)
        finally:
            self._close_plain()
            if self._loading is not None:
                self._loading.join()
            if self._opening is not None:
                self._opening.__exit__()

    def _end(self, report: Report) -> None:
        from provisioning.job import fingerprints

        row = {name: self._rows.get(name) for name in fingerprints.OUTCOME_FIELDS} | {
            "mac": report.mac or self._rows.get("mac"),
            "chip": report.chip,
            "outcome": report.outcome,
            "code": report.code if report.code != "not-run" else "interrupted",
            "message": report.message,
            "wrote": report.active != active.UNTOUCHED,
            "steps": report.steps,
            "files": report.files,
        }
        try:
            self._append(OUTCOME, row)
            self._settle(report)
        except TwinrootError as error:
            report.failed(error)

    def _settle(self, report: Report) -> None:
        """An outcome for attempts whose process died, where the board has just said what it holds."""
        from provisioning.job.reconcile import reconcile

        if report.outcome == "pass" and report.mac and report.selftest and self._others_open(report.mac):
            reconcile(self._ledger(), report.mac, self._attempt, report.selftest, report)

    def _others_open(self, mac: str) -> bool:
        """Whether there may be another attempt on this board that has no outcome."""
        try:
            return self._plain is None or self._plain.has_open(mac, self._attempt)
        except NotPlain:
            return True


def _load() -> None:
    with suppress(ImportError):  # said by who opens the ledger
        from provisioning.ledger import store  # noqa: F401
