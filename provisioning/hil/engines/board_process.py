"""What the engines virtual and qemu share: a board that is a process of its own, with power, reset lines and faults at hand."""

from __future__ import annotations

from provisioning.hil.engines.engine import Hardware
from provisioning.virtual import VirtualBoard

_CAUSES = {"hard": "pin"}  # what a test calls it -> the chip's word


class BoardProcess(Hardware):
    """`board` is the VirtualBoard, with everything that it can do beside."""

    real = False

    def __init__(self, board: VirtualBoard, number: int) -> None:
        super().__init__(board.pty, number)
        self.board = board

    def reset(self, cause: str) -> bool:
        self.board.reset(_CAUSES.get(cause, cause))
        return True

    def power_off(self) -> None:
        self.board.power_off()

    def power_on(self) -> None:
        self.board.power_on()

    def wait_off(self, seconds: float) -> bool:
        return self.board.happens("off", seconds)

    def inject(self, fault: str) -> None:
        self.board.inject(fault)

    def chip_log(self) -> str:
        return self.board.log()

    def close(self) -> None:
        self.board.close()
