"""The engine qemu: your own firmware image on an emulated chip, whose power and reset lines are at hand."""

from __future__ import annotations

import os
from typing import Any

from provisioning.errors import InputError, StationError
from provisioning.hil.engines.board_process import BoardProcess
from provisioning.hil.engines.engine import FAULTS, IMAGE, POWER, Engine
from provisioning.hil.options import Wanted
from provisioning.link.port import open_port
from provisioning.virtual import VirtualBoard

BOOT = 90.0  # seconds from power to the prompt; 0.5 to 12 are usual
_PROMPT = b">>> "


class QemuHardware(BoardProcess):
    """A chip whose QEMU may end by itself: then the next test gets a new process on the same flash."""

    engine = "qemu"
    can = frozenset({POWER, IMAGE, FAULTS})

    def __init__(self, board: VirtualBoard, number: int) -> None:
        super().__init__(board, number)
        self._images: dict[str, bytes] = {}

    @property
    def loader_port(self) -> str:
        return self.board.rfc2217

    def facts(self) -> dict[str, Any]:
        return {name: self.board.info[name] for name in ("mac", "chip", "board")}

    def wifi(self) -> bool:
        return bool(self.board.info["wifi"])

    def fresh(self) -> None:
        """Only what has ended is started again: an emulated chip takes seconds to boot, and its prompt does the rest."""
        try:
            self.board.heal()
            on = self.board.powered
        except StationError:
            self.board.restart()
            self.port = self.board.pty
            on = True
        if not on:
            self.board.power_on()

    def snapshot(self, name: str) -> None:
        self.board.power_off()
        self._images[name] = (self.board.state / "flash.bin").read_bytes()
        self._start()

    def restore(self, name: str) -> None:
        self.board.power_off()
        self.board.load_flash(0, self._images[name])
        self._start()

    def _start(self) -> None:
        """Power on; returns when the prompt is there, or a program that gives none has run for a while."""
        with open_port(self.board.pty) as wire:
            wire.discard()
            self.board.power_on()
            wire.until(_PROMPT, BOOT)


class QemuEngine:
    """`--qemu DIR --firmware FILE`, or TWINROOT_QEMU and TWINROOT_QEMU_FIRMWARE."""

    count: int | None = None

    def __init__(self, wanted: Wanted) -> None:
        self._qemu = wanted.qemu or os.environ.get("TWINROOT_QEMU")
        self._firmware = wanted.firmware or os.environ.get("TWINROOT_QEMU_FIRMWARE")
        if not self._qemu or not self._firmware:
            raise InputError(
                "hil-engine",
                "The engine qemu needs a QEMU and a firmware image.",
                "Give --qemu DIR --firmware FILE, or set TWINROOT_QEMU and TWINROOT_QEMU_FIRMWARE.",
            )
        self._board = wanted.board

    def open(self, number: int) -> QemuHardware:
        options = {"board": self._board} if self._board else {}
        board = VirtualBoard(engine="qemu", qemu=self._qemu, firmware=self._firmware, link="pty", **options)
        return QemuHardware(board.start(), number)

    def close(self) -> None:
        pass


def open_engine(wanted: Wanted) -> Engine:
    return QemuEngine(wanted)
