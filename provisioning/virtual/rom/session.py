"""The chip in download mode: which loader runs, and how it meets the board's wires and power."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator

from provisioning.errors import StationError
from provisioning.virtual import facts as chip_facts
from provisioning.virtual.circuit import Circuit
from provisioning.virtual.facts import LoaderFacts
from provisioning.virtual.nor_flash import NorFlash, PowerCutError
from provisioning.virtual.rom.legacy_stub import LegacyStub
from provisioning.virtual.rom.loader import Loader
from provisioning.virtual.rom.registers import AccessError, Registers
from provisioning.virtual.rom.rom import SimulatedRom
from provisioning.virtual.rom.spi_flash import SpiFlashChip
from provisioning.virtual.rom.stub import SKIPS_BLANK, SpinError, Stub

_SUPER_BITE = 1.0  # s: the super watchdog's own period
_OPENING_LOOK = 0.01  # s between two looks whether a host is still opening the port
_WATCHDOG_BITE = 0.06  # s: esptool sets 2000 ticks of the slow clock


class DownloadMode:
    """From entering download mode to leaving it. The rate follows the host's until CHANGE_BAUDRATE (the ROM measures it)."""

    def __init__(self, board: Circuit) -> None:
        self._board = board
        self.flash: NorFlash = board.flash
        self.automatic_rate = True
        self._loader: Loader | None = None
        self._queue: list[bytes] = []
        self._early = bytearray()
        self._facts: LoaderFacts | None = board.facts
        self._timer: asyncio.TimerHandle | None = None
        self._dog: asyncio.TimerHandle | None = None
        self._steps: Iterator[float] | None = None  # what is left of the command in progress
        self._now = 0.0  # s, in the loop's time: how far the chip's only CPU has come
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
            lambda: board.uart.rate,
            lambda: bool(getattr(self._loader, "attached", False)),
        )
        registers.on_watchdog = lambda: board.later(_WATCHDOG_BITE, lambda: board.restart("rtc-watchdog"))
        if board.spec.usb == "jtag" and board.usb is not None:  # the super watchdog was fed by the program that ran
            self._watch(_SUPER_BITE, board.usb.opening())
            registers.on_feeder = self._fed
        if board.spec.usb == "otg":
            registers.write(self._facts.address("RTC_CNTL_OPTION1_REG"), int(board.loader_forced))
            registers.on_option = self._option
        self._loader = SimulatedRom(self, registers, self._facts, board.spec.chip)

    def _watch(self, seconds: float, opening: float) -> None:
        """The super watchdog bites in so many seconds, and later by those in which a host opens its port; `opening`: until now."""
        board = self._board

        def bite() -> None:
            now = board.usb.opening() if board.usb is not None else opening
            if now > opening:
                self._watch(max(now - opening, _OPENING_LOOK), now)
            else:
                board.restart("rtc-watchdog")

        self._dog = asyncio.get_running_loop().call_later(seconds, bite)

    def _fed(self, register: int) -> None:
        if self._dog is not None and self._facts is not None and register & self._facts.address("RTC_CNTL_SWD_AUTO_FEED_EN"):
            self._dog.cancel()

    def _option(self, forced: bool) -> None:
        self._board.loader_forced = forced

    def feed(self, data: bytes) -> None:
        """Bytes from the wire."""
        if self._lost:
            return
        if self._loader is None:
            self._early += data
            return
        self._queue += self._loader.feed(data)
        if self._timer is None and self._steps is None:
            self._now = asyncio.get_running_loop().time()
            self._work()

    def _work(self) -> None:
        """Commands one after the other, each step when the one before is done."""
        self._timer = None
        loop = asyncio.get_running_loop()
        while not self._lost:
            if self._steps is None:
                if not self._queue:
                    return
                self._steps = self._serve(self._queue.pop(0))
            try:
                # Steps are added up, so that a timer that is late costs the chip nothing.
                self._now += next(self._steps)
            except StopIteration:
                self._steps = None
            except PowerCutError:
                self._board.power_off()
            except SpinError:
                self._lost = True
            except AccessError as error:
                self._board.say(f"Fatal exception (28): {error}\r\n")
                self._board.restart("panic")
            else:
                if self._now > loop.time():
                    self._timer = loop.call_at(self._now, self._work)
                    return

    def _serve(self, frame: bytes) -> Iterator[float]:
        """One command; yields the seconds that its steps take. An answer leaves when the flash is done, work may be left after it."""
        loader = self._loader
        assert loader is not None  # noqa: S101 - only called while there is one
        self._out = []
        loader.handle(frame)
        if loader.busy:
            yield loader.busy
        out, self._out = self._out, None
        if out:
            self._board.uart.to_host.send(b"".join(out))
        loader.complete()
        yield from loader.work()

    def stop(self) -> None:
        """The chip leaves download mode."""
        self._loader = None
        if self._dog is not None:
            self._dog.cancel()
        self._lost = True
        self._queue.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    # --- what the loader asks for -----------------------------------------------------------------------------------

    def now(self) -> float:
        """Seconds, as the chip's CPU counts them."""
        return self._now

    def loader_send(self, data: bytes) -> None:
        if self._out is not None:
            self._out.append(data)
        else:
            self._board.uart.to_host.send(data)

    def loader_rate(self, rate: int) -> None:
        """After the answer has left at the old rate."""
        self.automatic_rate = False
        self._board.uart.when_sent(lambda: self._board.uart.set_rate(rate))

    def loader_run(self, entry: int) -> None:
        """Jumps into what was downloaded. A flasher stub begins its work; other code is beyond this board, and is silent."""
        old = self._loader
        assert old is not None and self._facts is not None  # noqa: S101
        for _, content in old.segments:
            code = self._facts.stubs.get(hashlib.sha256(content).hexdigest())
            if code is not None and code.entry == entry:
                stub = (LegacyStub if code.line == "1" else Stub)(self, old.registers, self._facts, self._board.spec.chip)
                stub.skips_blank = stub.skips_blank and code.release >= SKIPS_BLANK
                self._loader = stub
                stub.greet()
                return
        self._lost = True

    def loader_restart(self, cause: str) -> None:
        self._board.restart(cause)
