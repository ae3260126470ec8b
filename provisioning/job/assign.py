"""Which board is which device: the one place that says it, for one board and for several that are updated at once.

The ledger has the last word: it promises a device in the transaction that writes the promise down (`ledger/claims.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from provisioning.config.device import Device
from provisioning.errors import InputError
from provisioning.job.allow import mac_of


class NotThatDevice(InputError):
    """The board is another device, or holds another certificate, than the one that is meant."""


@dataclass(frozen=True)
class FoundBoard:
    """A board as it introduced itself. `holds`: the device whose set it holds, None where it has no identity yet."""

    port: str
    mac: str
    holds: str | None


def candidates(board: FoundBoard, rows: Iterable[Device], bound: str | None = None, only: bool = True) -> list[str]:
    """The devices that this board may become, in order; one where something says which it is. A row with a MAC is for that board and for no
    other, and a board that holds a set stays what it is.

    `bound`: its device by the ledger. `only`: whether a board that is none of the rows is not meant. Where the ledger binds the board and
    its set says something else that is not meant, it is the ledger that refuses it. Raises NotThatDevice.
    """
    own = {row.id: mac_of(row) for row in rows}
    meant = [name for name, mac in own.items() if mac == board.mac] or [name for name, mac in own.items() if mac is None]
    if board.holds is None:
        return meant
    if board.holds in meant or not (only or board.holds in own or board.mac in own.values()):
        return [board.holds]
    if bound is not None:
        return meant
    raise NotThatDevice(
        "other-device",
        f"The board {board.mac} on {board.port} is {board.holds}, and {_listed(meant)} is meant here.",
        f"Nothing was written. Take the board that is meant; or leave --device out, or add {board.holds} to the list: it stays who it is.",
    )


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"none of {len(names)} devices of a list" if names else "another"


@dataclass(frozen=True)
class Bindings:
    """What the ledger knows: the device of a MAC, the MAC of a device, None for none; whether attempts on a MAC are open."""

    device_of: Callable[[str], str | None] = lambda _mac: None
    board_of: Callable[[str], str | None] = lambda _device: None
    is_open: Callable[[str], bool] = lambda _mac: False


def assign(
    devices: Sequence[Device], boards: Sequence[FoundBoard], bindings: Bindings, scans: bool = False
) -> Mapping[str, Device | InputError]:
    """Port -> its device, or why it gets none. No device is given twice, and a board that has an identity keeps it.

    First those of which something says who they are, the ledger or the board itself; then, for the others, the first rows that are free.
    `scans`: those get none here, since a scanned label says which.
    """
    return _Round(devices, bindings, scans).decide(boards)


class _Round:
    def __init__(self, devices: Sequence[Device], bindings: Bindings, scans: bool) -> None:
        self._scans = scans
        self._rows = {device.id: device for device in devices}
        self._bindings = bindings
        self._given: dict[str, FoundBoard] = {}  # device -> board

    def decide(self, boards: Sequence[FoundBoard]) -> dict[str, Device | InputError]:
        decided: dict[str, Device | InputError] = {}
        seen: dict[str, str] = {}  # MAC -> port
        unassigned: list[tuple[FoundBoard, list[str]]] = []
        for board in boards:
            try:
                if board.mac in seen:
                    raise _twice(board, seen[board.mac])
                seen[board.mac] = board.port
                bound = self._bindings.device_of(board.mac)
                names = candidates(board, self._rows.values(), bound)
                if bound is not None and bound not in names:
                    raise _bound_otherwise(board, bound)
                own_row = any(mac_of(self._rows[name]) for name in names)
                if bound is None and board.holds is None and not own_row:
                    unassigned.append((board, names))
                else:
                    decided[board.port] = self._give(self._rows[bound or names[0]], board)
            except InputError as error:
                decided[board.port] = error
        for board, names in unassigned:
            if self._scans and len(self._rows) > 1:
                decided[board.port] = scan_needed()
                continue
            free = next((name for name in names if self._is_free(name)), None)
            decided[board.port] = self._give(self._rows[free], board) if free else none_left(len(self._rows))
        return decided

    def _give(self, device: Device, board: FoundBoard) -> Device:
        other = self._given.get(device.id)
        mac = other.mac if other else self._bindings.board_of(device.id)
        if mac is not None and mac != board.mac:
            raise InputError(
                "serial-used",
                f"The board {board.mac} on {board.port} says that it is {device.id}, and {device.id} is the board {mac}.",
                "One of them is a copy of the other: keep the one that the ledger and the cloud know, and put the copy aside.",
            )
        self._given[device.id] = board
        return device

    def _is_free(self, name: str) -> bool:
        return name not in self._given and self._bindings.board_of(name) is None


def _bound_otherwise(board: FoundBoard, bound: str) -> InputError:
    return InputError(
        "mac-used",
        f"The board {board.mac} on {board.port} is device {bound} by the ledger, and another is meant, or is what it holds.",
        f"Add {bound} to the list. Only when the board is scrapped does `twinroot ledger release` free it.",
    )


def _twice(board: FoundBoard, first: str) -> InputError:
    return InputError("board-twice", f"The board {board.mac} is on {first} and on {board.port}.", "Two ports lead to it: name one of them.")


def scan_needed() -> InputError:
    """A board without an identity gets the device whose label is scanned, and no other."""
    return InputError(
        "scan-needed",
        "The product's labels are scanned (`scan:`), and nobody has scanned the one of this board.",
        "Run `twinroot station` on a terminal with the scanner, or name the device with --device.",
    )


def none_left(count: int) -> InputError:
    """No device is free for a board without an identity."""
    if not count:
        return InputError(
            "no-device",
            "The board has no identity yet, and nothing says which device it is to be.",
            "Add --device ID, or --devices CSV for a list.",
        )
    return InputError("no-device-left", f"All {count} devices have a board already.", "Add rows to the CSV of devices.")
