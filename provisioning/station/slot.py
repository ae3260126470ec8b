"""One place of the bench: what is in it, and what is to be known of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from provisioning.job.many import PortResult
from provisioning.job.progress import Progress


class State(Enum):
    """The value is the word on the screen."""

    FREE = "FREE"
    SCAN = "SCAN"  # a board is there, and nobody has scanned its label
    WRONG = "WRONG"  # a board is there, and not where it was expected
    BUSY = "BUSY"
    PASS = "PASS"  # noqa: S105  a word on a screen
    FAIL = "FAIL"
    ERROR = "ERROR"


ENDED = {"pass": State.PASS, "fail": State.FAIL, "error": State.ERROR}
BAD = frozenset({State.FAIL, State.ERROR, State.WRONG})


@dataclass
class Cycle:
    """Times of a slot's boards that passed, in seconds."""

    count: int = 0
    total: float = 0.0

    def add(self, seconds: float) -> None:
        self.count += 1
        self.total += seconds

    @property
    def mean(self) -> float | None:
        return self.total / self.count if self.count else None


@dataclass
class Slot:
    """`number`: from 1, the order in which devices are given out. `port`: where the board is, None where there is none. `boards`: how many
    were begun here. `device`: what the label says, where labels are scanned. `note`: the last thing that a person should know meanwhile."""

    name: str
    number: int
    fixed: bool = False  # its port never goes away, so nobody sees that a board was changed
    state: State = State.FREE
    port: str | None = None
    native: bool = False
    device: str | None = None
    progress: Progress = field(default_factory=Progress)
    row: PortResult | None = None
    boards: int = 0
    began: float | None = None
    seconds: float | None = None  # of the last board, once it has ended
    cycle: Cycle = field(default_factory=Cycle)
    note: str = ""
    why: str = ""  # of WRONG
    unlabelled: bool = False  # `undone` is its label
    undone: str = ""  # what was to follow a PASS and failed (its label, its command); the board has passed all the same
    gone: float | None = None  # since when the port is not there
    pulled: bool = False  # the board was taken out while it was being worked on: what became of it stays on the screen

    @property
    def report(self) -> dict[str, Any]:
        """Of the last attempt; empty before."""
        return self.row.report if self.row else {}

    @property
    def shown_device(self) -> str:
        return self.report.get("device") or self.progress.device or self.device or ""

    @property
    def shown_mac(self) -> str:
        return self.report.get("mac") or self.progress.mac or ""

    @property
    def sentence(self) -> str:
        """What is wrong, or worth knowing; empty when nothing is."""
        if self.state is State.WRONG:
            return self.why
        if self.state in BAD:
            return str(self.report.get("message", ""))
        return self.undone or self.note

    @property
    def hint(self) -> str:
        """What comes next where something is wrong."""
        if self.state is State.WRONG:
            return "Take the board out, and put it where its label was scanned."
        return str(self.report.get("hint", "")) if self.state in BAD else ""

    def clear(self) -> None:
        """For the next board."""
        self.device, self.progress, self.row, self.began, self.seconds = None, Progress(), None, None, None
        self.note = self.why = self.undone = ""
        self.unlabelled = False
        self.pulled = False
