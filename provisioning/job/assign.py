"""Which board is which device, when several are updated at once: decided for all of them together, before any is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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

    In this order: the row with the board's MAC, the device that the ledger binds to it, the one whose set it holds; then, for boards that
    have no identity yet, the first rows that are free. `scans`: those get none here, since a scanned label says which.
    """
    return _Round(devices, bindings, scans).decide(boards)


class _Round:
    def __init__(self, devices: Sequence[Device], bindings: Bindings, scans: bool) -> None:
        self._scans = scans
        self._rows = {device.id: device for device in devices}
        self._reserved = {mac: device for device in devices if (mac := mac_of(device)) is not None}
        self._bindings = bindings
        self._given: dict[str, FoundBoard] = {}  # device -> board

    def decide(self, boards: Sequence[FoundBoard]) -> dict[str, Device | InputError]:
        decided: dict[str, Device | InputError] = {}
        seen: dict[str, str] = {}  # MAC -> port
        unassigned = []
        for board in boards:
            try:
                if board.mac in seen:
                    raise _twice(board, seen[board.mac])
                seen[board.mac] = board.port
                own = self._own(board)
                if own is None:
                    unassigned.append(board)
                else:
                    decided[board.port] = self._give(own, board)
            except InputError as error:
                decided[board.port] = error
        for board in unassigned:
            if self._scans and len(self._rows) > 1:
                decided[board.port] = scan_needed()
                continue
            free = next((device for device in self._rows.values() if self._is_free(device)), None)
            decided[board.port] = self._give(free, board) if free else none_left(len(self._rows))
        return decided

    def _own(self, board: FoundBoard) -> Device | None:
        """The device that this board is already. Raises InputError when it must not be written as that."""
        if board.mac in self._reserved:
            return self._reserved[board.mac]
        bound = self._bindings.device_of(board.mac)
        name = bound or board.holds
        if name is None:
            return None
        device = self._rows.get(name)
        if device is None or mac_of(device) is not None:
            how = "is device" if bound else "holds the set of device"
            sentence = f"The board {board.mac} on {board.port} {how} {name}, which the list of devices does not have for it."
            hint = f"Add {name} to the list, or update this board alone with --device."
            raise InputError("mac-used", sentence, hint) if bound else NotThatDevice("other-device", sentence, hint)
        return device

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

    def _is_free(self, device: Device) -> bool:
        return device.id not in self._given and mac_of(device) is None and self._bindings.board_of(device.id) is None


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
