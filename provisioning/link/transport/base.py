"""What every transport offers. The device's part of the guarantees is one piece of code, firmware/link/ops.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from provisioning.errors import BoardError
from provisioning.link.payload import Payload


class LinkBroken(BoardError):
    """The line gave out under a transfer: the same session cannot go on, another one may."""


@dataclass(frozen=True)
class Plan:
    """The board's answer to a payload, before the first write. `send`: indices into Payload.items of what it does not hold."""

    number: int
    send: tuple[int, ...]
    copy: int
    need: int
    free: int

    @classmethod
    def of(cls, answer: dict[str, Any]) -> Plan:
        return cls(answer["n"], tuple(answer["send"]), answer["copy"], answer["need"], answer["free"])


class Session(Protocol):
    """An open transfer session on a board. Only `transfer`, `tidy` and `back` write to its flash."""

    name: str

    def hello(self) -> dict[str, Any]:
        """What the board is and has: interpreter, machine, unique id, heap, file system, active set, sets."""

    def prepare(self, payload: Payload) -> Plan:
        """Plan the payload; writes nothing."""

    def transfer(self) -> int:
        """Send what is missing, read everything back, commit, clear up. Returns the number of the active set."""

    def audit(self) -> dict[str, str]:
        """Hashes of the active set as they are in flash."""

    def tidy(self) -> None:
        """Remove what broken runs left."""

    def back(self) -> tuple[int, int]:
        """Make the set before the active one active: numbers of the set that was and the set that is active (0: none)."""

    def close(self) -> None:
        """End the session; the board is at its raw prompt again."""


def plan_text(payload: Payload) -> tuple[bytes, list[Any]]:
    """The two arguments of the device's prepare(): set.json, and [[path, sha256] of the files outside it..., sizes of all]."""
    rest: list[Any] = [[item.name, item.sha256] for item in payload.rest]
    rest.append([len(item.content) for item in payload.items])
    return payload.set_json, rest
