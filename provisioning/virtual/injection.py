"""Faults on a running board: sets them where they act, and takes them back."""

from __future__ import annotations

from dataclasses import replace

from provisioning.virtual import filling
from provisioning.virtual.circuit import Circuit
from provisioning.virtual.faults import Fault


class Injection:
    """What is wrong with this board."""

    def __init__(self, board: Circuit) -> None:
        self._board = board
        self._born = board.spec
        self._full = False

    def inject(self, fault: Fault) -> None:
        """Sets a fault; those without a byte happen now. Raises InputError for one that this board cannot have."""
        board = self._board
        if fault.name == "cut-op":
            board.flash.cut_after = int(fault.value)
        elif fault.name == "worn":
            board.flash.worn.add(int(fault.value))
        elif fault.name == "boot":
            board.boot_time = fault.value / 1000
        elif fault.name == "held":
            board.uart.hold(True)
        elif fault.name == "wifi":
            board.wifi_meets(fault.word)
        elif fault.name == "full":
            filling.fill(board, int(fault.value))
            self._full = True
        elif fault.name == "heap":
            board.spec = replace(board.spec, heap=fault.word)
        elif fault.name == "clock":
            board.spec = replace(board.spec, clock=fault.word)
        elif not board.uart.inject(fault):
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
        board = self._board
        board.uart.heal()
        board.boot_time = 0.0
        board.flash.cut_after = None
        board.flash.worn.clear()
        board.wifi_meets("up")
        board.spec = replace(board.spec, heap=self._born.heap, clock=self._born.clock)
        if self._full:
            self._full = False
            filling.clear(board)
