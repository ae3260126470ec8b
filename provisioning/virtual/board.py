"""One board: power, reset lines, what runs on it now (nothing, ROM loader, MicroPython), and the wires to the host."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from provisioning.chips import CHIPS
from provisioning.errors import TwinrootError
from provisioning.virtual import boot_image, bootrom, counters, rtc
from provisioning.virtual.autoreset import AutoReset, Straight
from provisioning.virtual.facts import LoaderFacts
from provisioning.virtual.identity import BoardIdentity
from provisioning.virtual.injection import Injection
from provisioning.virtual.interpreter.engine import Engine
from provisioning.virtual.interpreter.process import InterpreterProcess
from provisioning.virtual.interpreter.requests import Request
from provisioning.virtual.interpreter.shared_page import SharedPage
from provisioning.virtual.nor_flash import FlashTiming, NorFlash, PowerCutError
from provisioning.virtual.partition import PartitionEntry
from provisioning.virtual.peripherals import Peripherals
from provisioning.virtual.rom.session import DownloadMode
from provisioning.virtual.spec import BoardSpec
from provisioning.virtual.uart import HostEndpoint, Uart
from provisioning.virtual.usb import UsbLines, UsbPort

RECEIVE_RING = 259  # bytes: MicroPython's ringbuf of 260 keeps one free
_SEND_AHEAD = 256  # bytes the interpreter may be ahead of the wire, beside its pipe
_PANIC_DELAY = 0.05  # s that the panic handler takes; it also keeps a board that crashes at once from eating a processor


class Board:
    """Assembled off; `power_on` starts it."""

    def __init__(self, spec: BoardSpec, state: Path, engine: Engine) -> None:
        self.spec = spec
        self.state = state
        self.chip = CHIPS[spec.chip]
        self.boot_texts = self.chip.played().boot
        self.identity = BoardIdentity.load(state, self.chip, spec.seed)
        self.engine = engine
        fresh = not (state / "flash.bin").exists()
        self.flash = NorFlash(state / "flash.bin", spec.flash_size, FlashTiming.named(spec.flash_timing, self.chip.played().reads))
        self.flash.tear.seed(spec.seed)
        if fresh and not spec.blank:
            for offset, content in boot_image.stand_in(self.chip, spec.flash_size, slot=spec.slot).items():
                self.flash.load(content, offset)
        self.page = SharedPage()
        self.page.set_read_cost(self.flash.timing.firmware.call, self.flash.timing.firmware.byte)
        self.faults = Injection(self)
        self.uart = Uart(spec, self._received, self.faults.happen)
        self.uart.to_host.on_space = self._output_space
        self.interpreter: InterpreterProcess | None = None
        self.download: DownloadMode | None = None
        self.facts: LoaderFacts | None = None
        self._verdict: tuple[int, bootrom.BootResult] | None = None
        self.peripherals = Peripherals(self)
        self.usb = UsbPort(self) if spec.usb else None
        self.lines: AutoReset | UsbLines = UsbLines(self) if spec.usb else (Straight if spec.straight else AutoReset)(self)
        self.boot_time = 0.0  # s from the boot loader's words to MicroPython
        self.loader_forced = False  # a register that survives every reset but a power cycle
        self.powered = False
        self.reset_cause = "power"
        self.raw_mode = False
        self.resets = 0
        self.boots = 0
        self.dropped = 0
        self.on_event: Callable[[str], None] = lambda event: None
        self.on_report: Callable[[TwinrootError], None] = lambda error: None
        self.strapped_low = False
        self._next_step: asyncio.TimerHandle | None = None

    # --- power and reset ------------------------------------------------------------------------------------------

    def power_on(self) -> None:
        if self.powered:
            return
        self.powered = True
        self.loader_forced = False
        self.page.clock_offset = rtc.offset(self.spec.clock)
        self.peripherals.power_on()
        self.restart("power")

    def power_off(self) -> None:
        """Pulls the plug: nothing is finished, nothing is said."""
        self.powered = False
        self._stop()
        self.uart.power_off()
        if self.usb is not None:
            self.usb.leave()
        self.on_event("off")

    def enter_download(self) -> None:
        """A reset into the ROM loader that software asked for."""
        self.restart("software", download=True)

    def force_loader(self) -> None:
        """The same, and every reset leads there until a register is cleared: machine.bootloader() of chips with USB-OTG."""
        self.loader_forced = True
        self.enter_download()

    def asleep(self) -> None:
        """Deep sleep: nothing is powered but the RTC."""
        if self.usb is not None:
            self.usb.leave()

    def restart(self, cause: str, download: bool = False) -> None:
        """A reset of the whole chip."""
        if not self.powered:
            return
        self._stop()
        if self.usb is not None and not (self._verdict and not self._verdict[1].boots and cause == "rtc-watchdog"):
            self.usb.leave()  # the ROM's own loop of restarts leaves the USB peripheral alone
        self.resets += 1
        self.reset_cause = cause
        self.raw_mode = False
        self.uart.reset()
        texts = self.boot_texts
        head = f"{texts.rom}\r\n\r\nrst:{texts.reasons[cause]},boot:0x"
        # IO0 is sampled at a power-on and at EN's rising edge; other resets keep the strapping.
        if cause in ("power", "pin"):
            self.strapped_low = self.lines.io0_low
        if self.strapped_low or download or self.loader_forced:
            self.say(f"{head}{texts.download_strap:x} ({texts.download_name})\r\nwaiting for download\r\n")
            self.download = DownloadMode(self)
            if self.usb is not None:
                self.usb.loader()
            self.on_event("download")
            return
        try:
            verdict = self._examine()
        except PowerCutError:
            self.power_off()
            return
        self.say(f"{head}{texts.flash_strap:x} ({texts.flash_name})\r\n{verdict.text}")
        if verdict.says and verdict.says.project == "panic":
            self.later(_PANIC_DELAY, lambda: self.panic("LoadProhibited"))
        elif verdict.says and verdict.says.project == "hang":
            self.later(bootrom.RETRY, lambda: self.restart("rtc-watchdog"))
        elif verdict.boots and self.boot_time:
            self.later(self.boot_time, self._start_interpreter)
        elif verdict.boots:
            self._start_interpreter()
        else:
            if self.usb is not None:
                self.usb.nothing()
            self.on_event("no-firmware")
            self.later(bootrom.RETRY, lambda: self.restart("rtc-watchdog"))

    def _examine(self) -> bootrom.BootResult:
        """The firmware is checked again only when something outside the file system changed."""
        changes = self.flash.firmware_changes
        if self._verdict is None or self._verdict[0] != changes:
            verdict = bootrom.examine(self.chip, self.flash)
            self.flash.quiet = verdict.quiet
            self._verdict = (changes, verdict)  # what the boot loader has written meanwhile counts at the next boot
        return self._verdict[1]

    @property
    def running(self) -> PartitionEntry | None:
        return self._verdict[1].app if self._verdict else None

    @property
    def version(self) -> str:
        says = self._verdict[1].says if self._verdict else None
        return says.version if says and says != boot_image.MICROPYTHON else ""

    def report(self, error: TwinrootError) -> None:
        """Something is wrong with this computer, not with the board."""
        self.on_report(error)

    def hold_in_reset(self) -> None:
        """EN is low: nothing runs."""
        self._stop()
        self.uart.to_board.clear()
        self.on_event("held")

    def _stop(self) -> None:
        if self._next_step is not None:
            self._next_step.cancel()
            self._next_step = None
        self.peripherals.stop()
        if self.download is not None:
            self.download.stop()
            self.download = None
        if self.interpreter is not None:
            self.dropped += self.interpreter.dropped
            self.interpreter.kill()
            self.interpreter = None

    def later(self, seconds: float, step: Callable[[], None]) -> None:
        """The board's next own step, dropped by any reset."""
        self._next_step = asyncio.get_running_loop().call_later(seconds, step)

    # --- MicroPython ----------------------------------------------------------------------------------------------

    def _start_interpreter(self) -> None:
        self.boots += 1
        self.interpreter = InterpreterProcess(
            self.engine, self, self.page, self.flash.path, self.chip.machine, self.spec.heap, self.raw_mode, RECEIVE_RING
        )
        if self.usb is not None:
            self.usb.program()
        self.on_event("boot")

    def interpreter_output(self, data: bytes) -> None:
        self.uart.to_host.send(data)
        if self.uart.to_host.backlog > _SEND_AHEAD and self.interpreter is not None:
            self.interpreter.pause_output()

    def interpreter_request(self, request: Request) -> None:
        self.peripherals.serve(request)

    def interpreter_ended(self, soft: bool, raw_mode: bool, cause: str) -> None:
        if self.interpreter is not None:
            self.dropped += self.interpreter.dropped
        self.interpreter = None
        self.peripherals.stop()
        if not soft:
            self.panic(cause)
            return
        self.raw_mode = raw_mode
        self._start_interpreter()

    def panic(self, cause: str) -> None:
        """A CPU exception: the text of the IDF, then a reset."""
        self._crash(f"Guru Meditation Error: Core  1 panic'ed ({cause}). Exception was unhandled.")

    def abort(self) -> None:
        """abort() of the IDF: its text, then a reset."""
        self._crash("\r\nabort() was called at PC 0x4008177c on core 1")

    def _crash(self, text: str) -> None:
        self.say(f"{text}\r\n\r\nRebooting...\r\n")
        self._stop()
        self.later(_PANIC_DELAY, lambda: self.restart("panic"))

    def wifi_meets(self, network: str) -> None:
        """What the radio finds from now on: a word of the fault `wifi`."""
        self.peripherals.wifi.meet(network)

    # --- the UART -------------------------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        """What ROM and boot loader print."""
        self.uart.to_host.send(text.encode())

    def from_host(self, data: bytes, endpoint: HostEndpoint) -> None:
        """Bytes that a host put on the wire."""
        if self.powered:
            rate = endpoint.rate or self.uart.rate
            if self.download is not None and self.download.automatic_rate and rate != self.uart.rate:
                self.uart.set_rate(rate)
            self.uart.from_host(data, rate, frames=self.download is not None)

    def _received(self, data: bytes) -> None:
        if self.interpreter is not None:
            self.interpreter.feed(data)
        elif self.download is not None:
            self.download.feed(data)
        else:
            self.dropped += len(data)

    def _output_space(self) -> None:
        if self.interpreter is not None and self.uart.to_host.backlog <= _SEND_AHEAD:
            self.interpreter.resume_output()

    # --- the bench's hand -----------------------------------------------------------------------------------------

    async def ready(self) -> None:
        """It is: `power_on` has done everything."""

    def cut(self, operations: int, seed: int) -> None:
        """The power goes in the flash operation after `operations` more; what is torn and how follows from the seed."""
        self.flash.cut_after = operations
        self.flash.tear.seed(seed)

    def uncut(self) -> int | None:
        """Takes the cut back; how many operations were still to go."""
        left, self.flash.cut_after = self.flash.cut_after, None
        return left

    def counters(self) -> dict[str, Any]:
        return counters.of(self)

    def clear_counters(self) -> None:
        counters.clear(self)

    def close(self) -> None:
        self.power_off()
        self.flash.close()
