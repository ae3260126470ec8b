"""What a shift has done: boards by their last result, so that one that passed at the second attempt counts as passed."""

from __future__ import annotations

from provisioning.job.many import PortResult


class Counts:
    """`rows`: the last result of each board, in the order in which boards came."""

    def __init__(self, began: float) -> None:
        self.began = began
        self.rows: dict[str, PortResult] = {}

    def add(self, slot: str, board: int, row: PortResult) -> None:
        """The result of the slot's board with this number; an earlier one of the same board is replaced."""
        place = f"{slot}/{board}"
        key = row.report.get("mac") or place
        self.rows.pop(place, None)
        self.rows[key] = row

    def count(self, outcome: str) -> int:
        """Boards whose last result is "pass", "fail" or "error"."""
        return sum(row.report["outcome"] == outcome for row in self.rows.values())

    @property
    def yield_percent(self) -> float | None:
        """Boards that passed of those that passed or failed; what the station is to blame for is not a board's fault."""
        passed, failed = self.count("pass"), self.count("fail")
        return 100 * passed / (passed + failed) if passed + failed else None
