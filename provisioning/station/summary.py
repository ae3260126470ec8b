"""What is said of the boards when the screen is gone."""

from __future__ import annotations

from provisioning.job.many import PortResult
from provisioning.station.engine import Engine


def lines_of(engine: Engine) -> list[str]:
    """What a person has to know when the screen is gone: the boards that did not pass, and those that are still in their slots."""
    inside = {f"slot {slot.name}": slot.shown_mac for slot in engine.slots.values() if slot.port is not None and slot.report}
    return [
        _line(row)
        for row in engine.counts.rows.values()
        if not row.passed or (row.port in inside and inside[row.port] == (row.report["mac"] or ""))
    ]


def _line(row: PortResult) -> str:
    report = row.report
    who = report["device"] or report["mac"] or "a board"
    hint = "" if row.passed else f" {report['hint']}"
    return f"{row.port}: {who}: {report['outcome'].upper()} {report['message']}{hint}"
