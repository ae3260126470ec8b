"""The live table of a station: a line per port, fed by events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from provisioning.untrusted_text import one_line

if TYPE_CHECKING:
    from rich.table import Table

    from provisioning.link.events import Event

STYLE = {"pass": "bold green", "fail": "bold red", "error": "bold yellow"}


class Rows:
    """What is known of each port so far."""

    def __init__(self, ports: Sequence[str]) -> None:
        self._rows: dict[str, dict[str, Any]] = {port: {} for port in ports}

    def hear(self, port: str, event: Event) -> str:
        """Take an event over; returns a text that a person should see beside the table, or ""."""
        row = self._rows[port]
        if event.kind == "step":
            row.update(step=event.data["name"], done="")
            row.pop("report", None)
        elif event.kind == "bytes" and event.data["total"]:
            row["done"] = f"{100 * event.data['done'] // event.data['total']}%"
        elif event.kind == "board":
            row["mac"] = event.data["mac"]
        elif event.kind == "claim":
            row["device"] = event.data["device"]
        elif event.kind == "report":
            row["report"] = event.data
        elif event.kind in ("note", "quiet", "ledger"):
            return one_line(f"{port}: {event.data['text']}")
        return ""

    def table(self) -> Table:
        """The table as it is now; with the sentence and the next step of what did not pass."""
        from rich.markup import escape
        from rich.table import Table

        table = Table("port", "board", "device", "step", "done", "result")
        for port, row in self._rows.items():
            report = row.get("report", {})
            outcome = report.get("outcome", "")
            busy = ("", "") if outcome else (row.get("step", ""), row.get("done", ""))
            who = (report.get(name) or row.get(name) or "" for name in ("mac", "device"))
            cells = (port, *who, *busy)
            table.add_row(*(escape(one_line(str(cell))) for cell in cells), _result(report) if outcome else "")
        return table


def _result(report: dict[str, Any]) -> str:
    from rich.markup import escape

    outcome = report["outcome"]
    head = f"[{STYLE[outcome]}]{outcome.upper()}[/] {report['code']}"
    if outcome == "pass":
        return head
    return f"{head}\n{escape(one_line(report['message']))}\n[dim]next: {escape(one_line(report['hint']))}[/]"
