"""The chip in download mode: which loader runs, and how it meets the board's wires and power."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

from provisioning.errors import StationError
from provisioning.virtual.flash import Flash, PowerCutError
from provisioning.virtual.rom import facts as chip_facts
from provisioning.virtual.rom.facts import Facts
from provisioning.virtual.rom.loader import Loader
from provisioning.virtual.rom.registers import AccessError, Registers
from provisioning.virtual.rom.rom import RomLoader
from provisioning.virtual.rom.spi_flash import SpiFlashChip
from provisioning.virtual.rom.stub import Stub

if TYPE_CHECKING:
    from provisioning.virtual.board import Board

_WATCHDOG_BITE = 0.06  # s: esptool sets 2000 ticks of the slow clock


class DownloadMode:
    """From entering download mode to leaving it. The rate follows the host's until CHANGE_BAUDRATE (the ROM measures it)."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self.flash: Flash = board.flash
        self.automatic_rate = True
        self._loader: Loader | None = None
        self._queue: list[bytes] = []
        self._early = bytearray()
        self._facts: Facts | None = board.facts
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._out: list[bytes] | None = None  # answers of the command in progress
        self._lost = False  # code runs that is not a loader
        if self._facts is None:
            self._task = asyncio.get_running_loop().create_task(self._learn())
        else:
            self._start()

    async def _learn(self) -> None:
        try:
            self._facts = self._board.facts = await chip_facts.load(self._board.spec.chip)
        except StationError as error:
            self._board.report(error)
            return
        self._start()
        early, self._early = bytes(self._early), bytearray()
        self.feed(early)

    def _start(self) -> None:
        assert self._facts is not None  # noqa: S101
        board = self._board
        flash_chip = SpiFlashChip(board.flash)
        registers = Registers(
            board.spec.chip,
            self._facts,
            bytes.fromhex(board.identity.mac.replace(":", "")),
            flash_chip,
            lambda: board.rate,
            lambda: bool(getattr(self._loader, "attached", False)),
        )
        registers.on_watchdog = lambda: board.later(_WATCHDOG_BITE, lambda: board.restart("rtc-watchdog"))
        self._loader = RomLoader(self, registers, self._facts, board.spec.chip)

    def feed(self, data: bytes) -> None:
        """Bytes from the wire."""
        if self._lost:
            return
        if self._loader is None:
            self._early += data
            return
        self._queue += self._loader.feed(data)
        if self._timer is None:
            self._work()

    def _work(self) -> None:
        self._timer = None
        while self._queue and self._loader is not None and not self._lost:
            frame = self._queue.pop(0)
            self._out = []
            try:
                self._loader.handle(frame)
            except PowerCutError:
                self._board.power_off()
                return
            except AccessError as error:
                self._board.say(f"Fatal exception (28): {error}\r\n")
                self._board.restart("panic")
                return
            if self._loader.busy:
                # The answer comes when the flash is done.
                self._timer = asyncio.get_running_loop().call_later(self._loader.busy, self._complete)
                return
            self._complete(more=False)

    def _complete(self, more: bool = True) -> None:
        out, self._out = self._out, None
        if out:
            self._board.to_host.send(b"".join(out))
        if self._loader is not None:
            self._loader.complete()
        if more:
            self._work()

    def stop(self) -> None:
        """The chip leaves download mode."""
        self._loader = None
        self._lost = True
        self._queue.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    # --- what the loader asks for -----------------------------------------------------------------------------------

    def loader_send(self, data: bytes) -> None:
        if self._out is not None:
            self._out.append(data)
        else:
            self._board.to_host.send(data)

    def loader_rate(self, rate: int) -> None:
        """After the answer has left at the old rate."""
        self.automatic_rate = False

        def change() -> None:
            self._board.to_host.on_idle = None
            self._board.set_rate(rate)

        if self._board.to_host.backlog:
            self._board.to_host.on_idle = change
        else:
            change()

    def loader_run(self, entry: int) -> None:
        """Jumps into what was downloaded. A flasher stub begins its work; other code is beyond this board, and is silent."""
        old = self._loader
        assert old is not None and self._facts is not None  # noqa: S101
        for _, content in old.segments:
            if self._facts.stubs.get(hashlib.sha256(content).hexdigest()) == entry:
                stub = Stub(self, old.registers, self._facts, self._board.spec.chip)
                self._loader = stub
                stub.greet()
                return
        self._lost = True

    def loader_restart(self, cause: str) -> None:
        self._board.restart(cause)
