"""The engine virtual: a real MicroPython behind modelled hardware, a process for each board."""

from __future__ import annotations

from typing import Any

from provisioning.hil.engines.board_process import BoardProcess
from provisioning.hil.engines.engine import COUNTERS, CUT, FAULTS, IMAGE, POWER, Engine, FlashOps
from provisioning.hil.options import Wanted
from provisioning.link.port import open_port
from provisioning.virtual import VirtualBoard

_CLEAN = "hil-clean"
_PROMPT = b">>> "
_FIRST_BOOT = 30.0  # seconds


class VirtualHardware(BoardProcess):
    """`board` is the VirtualBoard, with everything that it can do beside."""

    engine = "virtual"
    instant = True
    can = frozenset({POWER, CUT, IMAGE, COUNTERS, FAULTS})

    def __init__(self, board: VirtualBoard, number: int) -> None:
        super().__init__(board, number)
        with open_port(board.pty) as wire:  # the first boot makes the file system
            wire.write(b"\r")
            wire.until(_PROMPT, _FIRST_BOOT)
        board.power_off()
        board.snapshot(_CLEAN)

    @property
    def loader_port(self) -> str:
        return self.board.rfc2217

    def facts(self) -> dict[str, Any]:
        return {name: self.board.info[name] for name in ("mac", "chip", "board")}

    def wifi(self) -> bool:
        return True

    def fresh(self) -> None:
        self.board.heal()
        self.board.call("uncut")
        self.board.power_off()
        self.board.restore(_CLEAN)
        self.board.power_on()

    def cut(self, operations: int, seed: int) -> None:
        self.board.cut(operations, seed)

    def snapshot(self, name: str) -> None:
        self.board.snapshot(name)

    def restore(self, name: str) -> None:
        self.board.power_off()
        self.board.restore(name)
        self.board.power_on()

    def flash_ops(self) -> FlashOps | None:
        found = self.board.counters()
        return FlashOps(found["flash_reads"], found["flash_programs"], found["flash_erases"])


class VirtualEngine:
    """As many boards as are asked for; `--board` and `--target` say of which kind."""

    count: int | None = None

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted

    def open(self, number: int) -> VirtualHardware:
        wanted = self._wanted
        kind: dict[str, Any] = {"chip": wanted.target, "paced": wanted.paced, "flash_timing": wanted.flash_timing}
        return VirtualHardware(VirtualBoard(wanted.board or "virtual-esp32", link="pty", **kind).start(), number)

    def close(self) -> None:
        pass


def open_engine(wanted: Wanted) -> Engine:
    return VirtualEngine(wanted)
