"""How far a board has come, from the events of its worker; and what is true of it when the work is stopped there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from provisioning.job import active
from provisioning.link.events import Event

# Step -> what a board is in whose work ended there. Other steps write nothing, or `active` says what they left.
_LEFT = {
    "write": "Its flash is half written, and it does not start before it is written again.",
    "boot": "It is written, and has not said yet that it is whole.",
    "selftest": "It is written, and has not said yet that it is whole.",
}


@dataclass
class Progress:
    """`done` and `total` in bytes of the step; `active`: as in a report."""

    mac: str | None = None
    chip: str | None = None
    device: str | None = None
    step: str = ""
    done: int = 0
    total: int = 0
    active: str | None = None

    def take(self, event: Event) -> None:
        data = event.data
        if event.kind == "step":
            self.step, self.done, self.total = data["name"], 0, 0
        elif event.kind == "bytes":
            self.done, self.total = data["done"], data["total"]
        elif event.kind == "board":
            self.mac, self.chip = data["mac"], data["chip"]
        elif event.kind == "claim":
            self.device = data["device"]
        elif event.kind == "active":
            self.active = data["active"]

    @property
    def percent(self) -> int | None:
        """Of the step's bytes; None where they are not known."""
        return min(100, 100 * self.done // self.total) if self.total else None

    def completed(self, report: dict[str, Any]) -> dict[str, Any]:
        """The report of a worker that was stopped, with what it had said before; any other as it is."""
        if report["code"] != "interrupted":
            return report
        known = {name: report[name] or getattr(self, name) for name in ("mac", "chip", "device", "active")}
        where = f"Interrupted in {self.step}." if self.step else "Interrupted before it began."
        left = _LEFT.get(self.step) or active.sentence(known["active"]) or active.sentence(active.UNTOUCHED)
        return {**report, **known, "message": f"{where} {left}", "hint": "Plug the board in again, or run the same command again."}
