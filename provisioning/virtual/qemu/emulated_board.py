"""The emulated board: power, reset lines and wires as on the other engine's board; what runs on it is a chip in QEMU.

EN falling, or the power, ends QEMU's process; EN rising starts a new one on the same flash file, with the strapping that IO0 has then. What
a chip does by itself (machine.reset(), a panic, a deep sleep) happens inside QEMU.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from provisioning.chips import CHIPS
from provisioning.errors import StationError, TwinrootError
from provisioning.virtual.autoreset import AutoReset
from provisioning.virtual.identity import BoardIdentity
from provisioning.virtual.qemu import efuse
from provisioning.virtual.qemu.bootlog import BootLog
from provisioning.virtual.qemu.emulator import last_line
from provisioning.virtual.qemu.faults import EmulatedFaults, cannot
from provisioning.virtual.qemu.flash_file import FlashFile
from provisioning.virtual.qemu.machines import MACHINES
from provisioning.virtual.qemu.process import Emulation, command
from provisioning.virtual.spec import BoardSpec
from provisioning.virtual.uart import HostEndpoint, Uart

_ALIVE = 60.0  # s for the ROM's first byte; it takes 0.1 on a quiet computer


class EmulatedBoard:
    """Assembled off; `power_on` starts it."""

    def __init__(self, spec: BoardSpec, state: Path) -> None:
        self.spec = spec
        self.state = state
        self.machine = MACHINES[spec.chip]
        self.identity = BoardIdentity.load(state, CHIPS[spec.chip], spec.seed)
        self.flash = FlashFile(state / "flash.bin", spec, lambda: self._emulation is not None)
        self._efuse = state / "efuse.bin"
        if not self._efuse.exists():
            self._efuse.write_bytes(efuse.image(self.machine, self.identity.mac))
        self.faults = EmulatedFaults(self)
        self.uart = Uart(spec, self._received, self.faults.happen, sees_rates=False)
        self.lines = AutoReset(self)
        self.powered = False
        self.resets = 0
        self.boots = 0
        self._dropped = 0
        self._emulation: Emulation | None = None
        self._boot_log = BootLog(self._started)
        self._alive = asyncio.Event()
        self._failure: TwinrootError | None = None
        self.on_event: Callable[[str], None] = lambda event: None
        self.on_report: Callable[[TwinrootError], None] = lambda error: None

    # --- power and reset ------------------------------------------------------------------------------------------

    def power_on(self) -> None:
        if not self.powered:
            self.powered = True
            self.restart("power")

    def power_off(self) -> None:
        """Pulls the plug: nothing is finished, nothing is said."""
        self.powered = False
        self._stop()
        self.uart.power_off()
        self.on_event("off")

    def hold_in_reset(self) -> None:
        """EN is low: nothing runs."""
        self._stop()
        self.uart.reset()
        self.on_event("held")

    def restart(self, cause: str, download: bool = False) -> None:
        """EN rises, or the power comes: whatever the cause, the chip sees a power-on. Raises StationError when QEMU cannot be started."""
        if not self.powered:
            return
        self._stop()
        self.resets += 1
        self.uart.reset()
        loader = download or self.lines.io0_low
        line = command(self.spec.qemu, self.machine, self.spec.machine, self.spec.card, self.flash.path, self._efuse, loader)
        try:
            self._emulation = Emulation(line, self)
        except OSError as error:
            self._fail(StationError("qemu-runs-not", f"{self.spec.qemu} cannot be run: {error.strerror}", "Is it still there?"))

    def _stop(self) -> None:
        if self._emulation is not None:
            self._dropped += self._emulation.dropped
            self._emulation.kill()
            self._emulation = None

    async def ready(self) -> None:
        """Returns when the chip has said its first byte. Raises StationError when QEMU ends before, or nothing comes."""
        try:
            await asyncio.wait_for(self._alive.wait(), _ALIVE)
        except asyncio.TimeoutError:
            raise StationError(
                "qemu-silent", f"The emulated {self.spec.chip} has said nothing for {_ALIVE:g} s", "The computer is too busy: try again."
            ) from None
        if self._failure is not None:
            raise self._failure

    # --- QEMU -----------------------------------------------------------------------------------------------------

    def emulator_output(self, data: bytes) -> None:
        self._alive.set()
        self._boot_log.feed(data)
        self._dropped += self.uart.from_chip(data)

    def emulator_ended(self, code: int, said: str) -> None:
        self._emulation = None
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        message = f"QEMU, the emulated {self.spec.chip}, ended by itself ({how}): {last_line(said)}"
        self._fail(StationError("qemu-ended", message, "Start the board again; the flash is as it left it."))

    def _fail(self, error: TwinrootError) -> None:
        self._failure = error
        self._alive.set()
        self.powered = False
        self.on_event("off")
        self.on_report(error)

    def _started(self, event: str) -> None:
        """The ROM has started: after a reset from outside or one of the chip's own."""
        if event == "boot":
            self.boots += 1
        self.on_event(event)

    # --- the UART -------------------------------------------------------------------------------------------------

    def from_host(self, data: bytes, endpoint: HostEndpoint) -> None:
        """Bytes that a host put on the wire. The chip's rate cannot be seen, so the wire has the host's."""
        if self.powered:
            if endpoint.rate:
                self.uart.set_rate(endpoint.rate)
            self.uart.from_host(data, self.uart.rate, frames=False)

    def _received(self, data: bytes) -> None:
        if self._emulation is not None:
            self._emulation.feed(data)

    # --- the bench's hand -----------------------------------------------------------------------------------------

    def cut(self, operations: int, seed: int) -> None:
        raise cannot("cut at a flash operation", "Cut at a byte on the wire (`cut@4000`) or at a moment (`power_off()`).")

    def uncut(self) -> int | None:
        return None

    def counters(self) -> dict[str, Any]:
        """The other engine's names; None is what nobody can count in QEMU."""
        unknown = ("flash_reads", "flash_read_bytes", "flash_programs", "flash_program_bytes", "flash_erases", "flash_seconds")
        return {
            "to_board": self.uart.to_board.carried,
            "to_host": self.uart.to_host.carried,
            "turns": self.uart.turnaround.turns,
            "dropped": self._dropped + (self._emulation.dropped if self._emulation is not None else 0),
            "unread": self.uart.unread,
            **dict.fromkeys((*unknown, "erases_per_block")),
            "resets": self.resets,
            "boots": self.boots,
        }

    def clear_counters(self) -> None:
        self.uart.clear_counters()
        self.resets = self.boots = self._dropped = 0
        if self._emulation is not None:
            self._emulation.dropped = 0

    def close(self) -> None:
        self.power_off()
