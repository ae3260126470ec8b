"""What takes a set to the devices of a wave: a cable, or jobs of the cloud. A wave asks for no more than this of either."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

# Where a device of a wave is, in the order in which it gets there; the last five are ends. Withdrawn: it is offered no more, and had not
# begun.
WAITING, OFFERED, WRITING, DONE, FAILED, ROLLED_BACK, SILENT = "waiting", "offered", "writing", "done", "failed", "rolled-back", "silent"
WITHDRAWN = "withdrawn"
MEMBER_STATES = (WAITING, OFFERED, WRITING, DONE, FAILED, ROLLED_BACK, SILENT, WITHDRAWN)
ENDS = (DONE, FAILED, ROLLED_BACK, SILENT, WITHDRAWN)


@dataclass(frozen=True)
class Progress:
    """`state` of MEMBER_STATES; `detail`: why, in the device's own words; `at`: unix seconds of the change."""

    device: str
    state: str
    detail: str
    at: int


class Carrier(Protocol):
    """`key` is stable for a wave and direction: each call may be made again after a program died, and from another computer."""

    def start(self, key: str, devices: Sequence[str]) -> None:
        """Offer the set to these devices; again: nothing is offered twice, and after `stop` nothing is offered at all."""

    def progress(self, key: str) -> Iterator[Progress]:
        """Where each device is, of whom anything is known."""

    def stop(self, key: str, reason: str) -> None:
        """Offer it to nobody else. A device that has begun goes on to its end. Where nothing was offered yet: nothing to do."""
