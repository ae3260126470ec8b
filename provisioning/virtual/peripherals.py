"""What MicroPython asks of the chip: flash, resets, rate, clock, watchdog, sleep, network. One handler per request."""

from __future__ import annotations

import asyncio
import errno
import json
import time
from collections.abc import Callable

from provisioning.virtual import otadata, partition
from provisioning.virtual.circuit import Circuit
from provisioning.virtual.interpreter.requests import Op, Request, Slots
from provisioning.virtual.network import Resolver, Wifi
from provisioning.virtual.nor_flash import FlashRangeError, PowerCutError
from provisioning.virtual.nvs import Nvs, NvsError

_FOREVER = 0xFFFFFFFF
_PROGRAM_LIMIT = 65536
_RTC_MEMORY = 2048

# machine.reset_cause() of each reset cause
_RESET_CAUSE = {
    "power": 1, "pin": 1, "software": 2, "watchdog": 3, "rtc-watchdog": 3, "deep-sleep": 4, "panic": 3, "brownout": 1,
}  # fmt: skip


class Peripherals:
    """The state of these survives soft resets; what survives which reset is said at each."""

    def __init__(self, board: Circuit) -> None:
        self._board = board
        self.wifi = Wifi()
        self._resolver = Resolver()
        self._watchdog: asyncio.TimerHandle | None = None
        self._wait: asyncio.TimerHandle | None = None
        self._memory = b""
        self._nvs = Nvs(board.flash)
        self._serve: dict[Op, Callable[[Request], None]] = {
            Op.PROGRAM: self._program,
            Op.ERASE: self._erase,
            Op.RESET: self._reset,
            Op.BAUD: self._baud,
            Op.RTC: self._rtc,
            Op.WATCHDOG: self._watch,
            Op.SLEEP: self._sleep,
            Op.RESOLVE: self._resolve,
            Op.WIFI: self._wifi,
            Op.IDENTITY: self._identity,
            Op.NVS_GET: self._nvs_get,
            Op.NVS_SET: self._nvs_set,
            Op.MEMORY: self._rtc_memory,
            Op.SLOTS: self._slots,
        }

    def serve(self, request: Request) -> None:
        self._serve[request.op](request)

    def power_on(self) -> None:
        """RTC memory and the radio's state are lost without power."""
        self._memory = b""
        self.wifi.reset()

    def stop(self) -> None:
        """The interpreter is gone: nobody waits for an answer."""
        for timer in (self._watchdog, self._wait):
            if timer is not None:
                timer.cancel()
        self._watchdog = self._wait = None
        self._resolver.stop()

    def _answer(self, status: int = 0, data: bytes = b"") -> None:
        if self._board.interpreter is not None:
            self._board.interpreter.answer(status, data)

    def _after(self, seconds: float, status: int = 0) -> None:
        if seconds > 0:
            self._wait = asyncio.get_running_loop().call_later(seconds, self._answer, status)
        else:
            self._answer(status)

    # --- flash ----------------------------------------------------------------------------------------------------

    def _program(self, request: Request) -> None:
        if request.b != len(request.data) or request.b > _PROGRAM_LIMIT:
            self._answer(-errno.EINVAL)
            return
        if not self._dangerous(request):
            self._flash(lambda: self._board.flash.program(request.a, request.data))

    def _erase(self, request: Request) -> None:
        if not self._dangerous(request):
            self._flash(lambda: self._board.flash.erase(request.a, request.b))

    def _dangerous(self, request: Request) -> bool:
        """What would hit boot loader, partition table or running application ends in abort(): SPI_FLASH_DANGEROUS_WRITE_ABORTS."""
        app = self._board.running
        areas = [(self._board.chip.boot_offset, partition.TABLE_OFFSET + partition.TABLE_SIZE)]
        areas += [(app.offset, app.offset + app.size)] if app else []
        hits = any(request.a < end and request.a + max(request.b, 1) > start for start, end in areas)
        if hits:
            self._flush()
            self._board.abort()
        return hits

    def _flash(self, operation: Callable[[], float], status: int = 0) -> None:
        try:
            seconds = operation()
        except PowerCutError:
            self._board.power_off()
        except FlashRangeError:
            self._answer(-errno.EINVAL)
        else:
            self._after(seconds, status)

    # --- slots ----------------------------------------------------------------------------------------------------

    def _slots(self, request: Request) -> None:
        """Answers where a partition is, in units of a sector: an address may not fit the status of an answer."""
        board = self._board
        rows = partition.decode(board.flash.peek(partition.TABLE_OFFSET, partition.TABLE_SIZE))
        ota = otadata.OtaData(board.flash, rows)
        there = next((row for row in rows if row.offset == request.b), None)
        if request.a in (Slots.RUNNING, Slots.BOOT, Slots.NEXT):
            found = board.running
            if request.a != Slots.RUNNING:
                found = ota.boot() if request.a == Slots.BOOT else ota.next_update(there) if there else None
            self._answer(found.offset >> 12 if found else -errno.ENOENT)
            return
        status = 0

        def write() -> float:
            nonlocal status
            seconds, status = ota.mark_valid() if request.a == Slots.MARK_VALID else ota.set_boot(board.chip, there) if there else (0.0, 0)
            return seconds

        try:
            seconds = write()
        except PowerCutError:
            board.power_off()
        else:
            self._after(seconds, status)

    # --- resets, clock, rate --------------------------------------------------------------------------------------

    def _reset(self, request: Request) -> None:
        self._flush()
        if request.a == 2:
            self._board.panic("LoadProhibited")
        elif request.a == 1:
            if self._board.spec.usb == "otg":
                self._board.force_loader()
            else:
                self._board.enter_download()
        else:
            self._board.restart("software")

    def _flush(self) -> None:
        """What was printed before a reset that the program asked for is still sent, as esp_restart() does."""
        if self._board.interpreter is not None:
            self._board.uart.to_host.send(self._board.interpreter.drain_output())

    def _sleep(self, request: Request) -> None:
        self._flush()
        self._board.asleep()
        if request.a != _FOREVER:
            self._board.later(request.a / 1000, lambda: self._board.restart("deep-sleep"))

    def _watch(self, request: Request) -> None:
        if self._watchdog is not None:
            self._watchdog.cancel()
        self._watchdog = asyncio.get_running_loop().call_later(request.a / 1000, self._board.restart, "watchdog")
        self._answer()

    def _baud(self, request: Request) -> None:
        """The new rate begins when everything before it is sent, as uart_wait_tx_done() does on hardware."""
        board = self._board
        if board.interpreter is None:
            return
        self._flush()

        def change() -> None:
            if request.a:
                board.uart.set_rate(request.a)
            self._answer()

        board.uart.when_sent(change)

    def _rtc(self, request: Request) -> None:
        """The RTC survives every reset but not a power cut."""
        self._board.page.clock_offset = (request.a | request.b << 32) - int(time.time())
        self._answer()

    def _rtc_memory(self, request: Request) -> None:
        if request.a:
            self._memory = request.data[:_RTC_MEMORY]
            self._answer()
        else:
            self._answer(0, self._memory)

    # --- identity, NVS, network -----------------------------------------------------------------------------------

    def _identity(self, request: Request) -> None:
        board = self._board
        known = {
            "mac": board.identity.mac,
            "machine": board.chip.machine,
            "build": board.chip.build,
            "platform": "esp32",
            "flash_size": board.spec.flash_size,
            "reset_cause": _RESET_CAUSE[board.reset_cause],
            "version": board.version,
        }
        self._answer(0, json.dumps(known).encode())

    def _nvs_get(self, request: Request) -> None:
        try:
            self._answer(0, self._nvs.get(request.data))
        except NvsError as error:
            self._answer(error.status)

    def _nvs_set(self, request: Request) -> None:
        try:
            if request.b:
                self._flash(lambda: self._nvs.put(request.data[: request.a], request.data[request.a :]))
            else:
                self._flash(lambda: self._nvs.put(request.data, None), status=self._nvs.has(request.data))
        except NvsError as error:
            self._answer(error.status)

    def _wifi(self, request: Request) -> None:
        self._answer(self.wifi.serve(request.a, request.b, request.data))

    def _resolve(self, request: Request) -> None:
        name = request.data.decode("ascii", "replace")
        self._resolver.resolve(name, lambda address: self._answer(0 if address else -errno.ENOENT, address.encode()))
