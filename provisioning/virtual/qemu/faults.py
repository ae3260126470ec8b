"""Faults on an emulated board: those on its wires, its reset line and its power. What is inside the chip is QEMU's."""

from __future__ import annotations

from typing import Protocol

from provisioning.errors import InputError
from provisioning.virtual.faults import ON_THE_WIRE, Fault
from provisioning.virtual.uart import Uart


class Wired(Protocol):
    """What can be reached of a chip from outside it."""

    @property
    def uart(self) -> Uart: ...
    def restart(self, cause: str, download: bool = False) -> None: ...
    def power_off(self) -> None: ...


def cannot(what: str, instead: str) -> InputError:
    """The sentence for what this engine has not."""
    return InputError("engine-cannot", f"The engine qemu cannot do this: {what}", instead)


def check(fault: Fault) -> None:
    """Raises InputError for a fault that would have to happen inside the chip."""
    if fault.name not in ON_THE_WIRE:
        raise cannot(f"the fault {fault.name} is inside the chip", f"It has {', '.join(ON_THE_WIRE)}; `--engine micropython` has all.")


class EmulatedFaults:
    """What is wrong with this board."""

    def __init__(self, board: Wired) -> None:
        self._board = board

    def inject(self, fault: Fault) -> None:
        """Sets a fault; those without a byte happen now. Raises InputError for one that this engine has not."""
        check(fault)
        if not self._board.uart.inject(fault):
            self.happen(fault.name)

    def happen(self, name: str) -> None:
        """The board gets stuck, is reset, or loses its power."""
        if name == "stuck":
            self._board.uart.stuck = True
        elif name == "reset":
            self._board.restart("pin")
        else:
            self._board.power_off()

    def heal(self) -> None:
        """Takes all faults back."""
        self._board.uart.heal()
