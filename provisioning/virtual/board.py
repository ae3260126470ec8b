"""One board: power, reset lines, what runs on it now (nothing, ROM loader, MicroPython), and the wires to the host."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from provisioning.errors import TwinrootError
from provisioning.virtual import bootrom, filling, image
from provisioning.virtual.autoreset import AutoReset
from provisioning.virtual.chips import CHIPS, RESET_CAUSE
from provisioning.virtual.faults import Fault, WireFaults
from provisioning.virtual.flash import Flash, FlashCounters, FlashTiming
from provisioning.virtual.identity import Identity
from provisioning.virtual.interpreter.process import Engine, Interpreter
from provisioning.virtual.interpreter.requests import Request
from provisioning.virtual.interpreter.shared_page import SharedPage
from provisioning.virtual.peripherals import Peripherals
from provisioning.virtual.rom import slip
from provisioning.virtual.rom.facts import Facts
from provisioning.virtual.rom.session import DownloadMode
from provisioning.virtual.sampling import matches, resample
from provisioning.virtual.spec import BoardSpec
from provisioning.virtual.wire import Turnaround, Wire

DEFAULT_RATE = 115200
RECEIVE_RING = 259  # bytes: MicroPython's ringbuf of 260 keeps one free
_SEND_AHEAD = 256  # bytes the interpreter may be ahead of the wire, beside its pipe
_PANIC_DELAY = 0.05  # s that the panic handler takes; it also keeps a board that crashes at once from eating a processor
_Y2000 = 946684800  # 2000-01-01 in seconds since 1970


class Endpoint(Protocol):
    """Where a host is connected."""

    @property
    def rate(self) -> int | None:
        """The host's rate, None when it cannot be known."""

    def deliver(self, data: bytes) -> None: ...
    def space(self) -> None: ...


class Board:
    """Assembled off; `power_on` starts it."""

    def __init__(self, spec: BoardSpec, state: Path, engine: Engine) -> None:
        self.spec = self._born = spec
        self.state = state
        self.chip = CHIPS[spec.chip]
        self.identity = Identity.load(state, self.chip, spec.seed)
        self.engine = engine
        fresh = not (state / "flash.bin").exists()
        self.flash = Flash(state / "flash.bin", spec.flash_size, FlashTiming.named(spec.flash_timing))
        self.flash.tear.seed(spec.seed)
        if fresh and not spec.blank:
            for offset, content in image.stand_in(self.chip, spec.flash_size).items():
                self.flash.load(content, offset)
        self.page = SharedPage()
        self.turnaround = Turnaround(spec.latency_ms / 1000)
        self.to_board = Wire(self._arrived, self.turnaround, spec.paced)
        self.to_host = Wire(self._leave, self.turnaround, spec.paced)
        self.to_board.on_space = self._input_space
        self.to_host.on_space = self._output_space
        self.faults_in = WireFaults(spec.seed, self._fault)
        self.faults_out = WireFaults(spec.seed + 1, self._fault)
        self.stuck = False
        self.endpoints: list[Endpoint] = []
        self.interpreter: Interpreter | None = None
        self.download: DownloadMode | None = None
        self.facts: Facts | None = None
        self._verdict: tuple[int, bootrom.Verdict] | None = None
        self.peripherals = Peripherals(self)
        self.lines = AutoReset(self)
        self.powered = False
        self.rate = DEFAULT_RATE
        self.reset_cause = "power"
        self.raw_mode = False
        self.resets = 0
        self.boots = 0
        self.dropped = 0
        self.on_event: Callable[[str], None] = lambda event: None
        self.on_report: Callable[[TwinrootError], None] = lambda error: None
        self.strapped_low = False
        self._full = False
        self._next_step: asyncio.TimerHandle | None = None

    @property
    def machine(self) -> str:
        """MicroPython's name for the board."""
        return f"Generic {self.chip.title} module with {self.chip.title}"

    # --- power and reset ------------------------------------------------------------------------------------------

    def power_on(self) -> None:
        if self.powered:
            return
        self.powered = True
        self.page.clock_offset = 0 if self.spec.clock == "host" else _Y2000 - int(time.time())
        self.peripherals.power_on()
        self.restart("power")

    def power_off(self) -> None:
        """Pulls the plug: nothing is finished, nothing is said."""
        self.powered = False
        self._stop()
        self.to_board.clear()
        self.to_host.clear()
        self.on_event("off")

    def enter_download(self) -> None:
        """A reset into the ROM loader that software asked for."""
        self.restart("software", download=True)

    def restart(self, cause: str, download: bool = False) -> None:
        """A reset of the whole chip."""
        if not self.powered:
            return
        self._stop()
        self.stuck = False
        self.resets += 1
        self.reset_cause = cause
        self.raw_mode = False
        self.set_rate(DEFAULT_RATE)
        self.to_board.clear()
        head = f"{self.chip.rom_date}\r\n\r\nrst:{self.chip.reasons[cause]},boot:0x"
        # IO0 is sampled at a power-on and at EN's rising edge; other resets keep the strapping.
        if cause in ("power", "pin"):
            self.strapped_low = self.lines.io0_low
        if self.strapped_low or download:
            self.say(f"{head}{self.chip.download_boot:x} ({self.chip.download_name})\r\nwaiting for download\r\n")
            self.download = DownloadMode(self)
            self.on_event("download")
            return
        verdict = self._examine()
        self.say(f"{head}{self.chip.spi_boot:x} ({self.chip.fast_boot_name})\r\n{verdict.text}")
        if verdict.boots:
            self._start_interpreter()
        else:
            self.on_event("no-firmware")
            self.later(bootrom.RETRY, lambda: self.restart("rtc-watchdog"))

    def _examine(self) -> bootrom.Verdict:
        """The firmware is checked again only when something outside the file system changed."""
        if self._verdict is None or self._verdict[0] != self.flash.firmware_changes:
            verdict = bootrom.examine(self.chip, self.flash)
            self.flash.quiet = verdict.quiet
            self._verdict = (self.flash.firmware_changes, verdict)
        return self._verdict[1]

    def report(self, error: TwinrootError) -> None:
        """Something is wrong with this computer, not with the board."""
        self.on_report(error)

    def hold_in_reset(self) -> None:
        """EN is low: nothing runs."""
        self._stop()
        self.to_board.clear()
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

    def set_rate(self, rate: int) -> None:
        self.rate = rate
        self.to_host.rate = rate

    # --- MicroPython ----------------------------------------------------------------------------------------------

    def _start_interpreter(self) -> None:
        self.boots += 1
        self.interpreter = Interpreter(
            self.engine, self, self.page, self.flash.path, self.machine, self.spec.heap, self.raw_mode, RECEIVE_RING
        )
        self.on_event("boot")

    def interpreter_output(self, data: bytes) -> None:
        self.to_host.send(data)
        if self.to_host.backlog > _SEND_AHEAD and self.interpreter is not None:
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
        self.say(f"Guru Meditation Error: Core  1 panic'ed ({cause}). Exception was unhandled.\r\n\r\nRebooting...\r\n")
        self._stop()
        self.later(_PANIC_DELAY, lambda: self.restart("panic"))

    # --- the wires ------------------------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        """What ROM and boot loader print."""
        self.to_host.send(text.encode())

    def from_host(self, data: bytes, endpoint: Endpoint) -> None:
        """Bytes that a host put on the wire."""
        if self.powered:
            rate = endpoint.rate or self.rate
            if self.download is not None and self.download.automatic_rate and rate != self.rate:
                self.set_rate(rate)
            self.to_board.rate = rate
            # A fault at a byte happens when that byte is through.
            framed = self.download is not None and not self.faults_in.active
            self.to_board.frame_end = slip.FRAME_END if framed else None
            self.to_board.send(data)

    def _arrived(self, data: bytes) -> None:
        if self.faults_in.active:
            data = self.faults_in.apply(data)
        if self.stuck or not data:
            return
        if self.to_board.rate != self.rate and not matches(self.to_board.rate, self.rate):
            data = resample(data, self.to_board.rate, self.rate)
        if self.interpreter is not None:
            self.interpreter.feed(data)
        elif self.download is not None:
            self.download.feed(data)
        else:
            self.dropped += len(data)

    def _leave(self, data: bytes) -> None:
        if self.faults_out.active:
            data = self.faults_out.apply(data)
        if self.stuck or not data:
            return
        for endpoint in self.endpoints:
            rate = endpoint.rate
            same = rate is None or rate == self.to_host.rate or matches(self.to_host.rate, rate)
            endpoint.deliver(data if same else resample(data, self.to_host.rate, rate or self.to_host.rate))

    def inject(self, fault: Fault) -> None:
        """Sets a fault; those without a byte happen now."""
        if fault.name == "cut-op":
            self.flash.cut_after = int(fault.value)
        elif fault.name == "worn":
            self.flash.worn.add(int(fault.value))
        elif fault.name == "wifi":
            self.peripherals.wifi.meet(fault.word)
        elif fault.name == "full":
            filling.fill(self, int(fault.value))
            self._full = True
        elif fault.name == "heap":
            self.spec = replace(self.spec, heap=fault.word)
        elif fault.name == "clock":
            self.spec = replace(self.spec, clock=fault.word)
        elif fault.name in ("stuck", "reset", "cut") and fault.at is None:
            self._fault(fault.name)
        else:
            ways = {"in": [self.faults_in], "out": [self.faults_out], "": [self.faults_in, self.faults_out]}
            # An event happens once, by default while the host sends.
            for wire in ways[fault.way or ("in" if fault.at is not None else "")]:
                wire.add(fault)

    def heal(self) -> None:
        """Takes all faults back."""
        self.faults_in.clear()
        self.faults_out.clear()
        self.flash.cut_after = None
        self.flash.worn.clear()
        self.peripherals.wifi.meet("up")
        self.stuck = False
        self.spec = replace(self.spec, heap=self._born.heap, clock=self._born.clock)
        if self._full:
            self._full = False
            filling.clear(self)

    def _fault(self, name: str) -> None:
        if name == "stuck":
            self.stuck = True
        elif name == "reset":
            self.restart("pin")
        else:
            self.power_off()

    def _output_space(self) -> None:
        if self.interpreter is not None and self.to_host.backlog <= _SEND_AHEAD:
            self.interpreter.resume_output()

    def _input_space(self) -> None:
        for endpoint in self.endpoints:
            endpoint.space()

    # --- what tests ask -------------------------------------------------------------------------------------------

    def counters(self) -> dict[str, Any]:
        """Bytes, turns of direction, losses, flash operations, resets since the start or `clear_counters`."""
        counters = self.flash.counters
        reads, read_bytes = self.page.flash_reads
        dropped = self.dropped + (self.interpreter.dropped if self.interpreter is not None else 0)
        return {
            "to_board": self.to_board.carried,
            "to_host": self.to_host.carried,
            "turns": self.turnaround.turns,
            "dropped": dropped,
            "flash_reads": counters.reads + reads,
            "flash_read_bytes": counters.read_bytes + read_bytes,
            "flash_programs": counters.programs,
            "flash_program_bytes": counters.program_bytes,
            "flash_erases": counters.erases,
            "erases_per_block": {str(block): n for block, n in sorted(counters.erases_per_block.items())},
            "resets": self.resets,
            "boots": self.boots,
        }

    def clear_counters(self) -> None:
        """All counters start again at zero."""
        self.flash.counters = FlashCounters()
        self.page.clear_counters()
        self.turnaround.turns = 0
        self.to_board.carried = self.to_host.carried = 0
        self.resets = self.boots = self.dropped = 0
        if self.interpreter is not None:
            self.interpreter.dropped = 0

    def identity_json(self) -> bytes:
        """What the shims ask about the board."""
        return json.dumps(
            {
                "mac": self.identity.mac,
                "machine": self.machine,
                "build": f"{self.chip.title}_GENERIC" if self.chip.name == "esp32" else f"ESP32_GENERIC_{self.chip.title[5:]}",
                "platform": "esp32",
                "flash_size": self.spec.flash_size,
                "reset_cause": RESET_CAUSE[self.reset_cause],
            }
        ).encode()

    def close(self) -> None:
        self.power_off()
        self.flash.close()
