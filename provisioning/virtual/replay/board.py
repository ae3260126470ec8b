"""The board of a recorded session: wires and ports as on every virtual board; what it says is in the recording."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from provisioning.chips import CHIPS
from provisioning.errors import InputError, TwinrootError
from provisioning.link import recording
from provisioning.virtual.faults import ON_THE_WIRE, Fault
from provisioning.virtual.identity import BoardIdentity
from provisioning.virtual.replay.script import Player, script
from provisioning.virtual.spec import BoardSpec
from provisioning.virtual.uart import HostEndpoint, Uart


def cannot(what: str) -> InputError:
    return InputError("engine-cannot", f"A replayed session cannot do this: {what}", "Use the engine micropython, without --replay.")


class NoFlash:
    """A session has no flash: only what was said is known."""

    size = 0

    def peek(self, address: int, size: int) -> bytes:
        raise cannot("there is no flash to read")

    def load(self, data: bytes, address: int = 0) -> None:
        raise cannot("there is no flash to write")


class ReplayBoard:
    """Each power-on plays the session from its beginning. A host that does something else than in the session hears nothing more, and
    `counters()["diverged"]` says what that was."""

    def __init__(self, spec: BoardSpec, state: Path) -> None:
        self.spec = spec
        self.state = state
        self.identity = BoardIdentity.load(state, CHIPS[spec.chip], spec.seed)
        self.flash = NoFlash()
        self.faults = self
        self.lines = self
        self.uart = Uart(spec, self._received, self.happen, sees_rates=False)
        self.powered = False
        self.on_event: Callable[[str], None] = lambda event: None
        self.on_report: Callable[[TwinrootError], None] = lambda error: None
        self._script = script(recording.read(Path(spec.replay)))
        self._player = Player(self._script)
        self._timer: asyncio.TimerHandle | None = None
        self._low = False
        self._told = False

    # --- power and reset ------------------------------------------------------------------------------------------

    async def ready(self) -> None:
        """It is: `power_on` has done everything."""

    def power_on(self) -> None:
        if not self.powered:
            self.powered = True
            self.restart("power")

    def power_off(self) -> None:
        self.powered = False
        self._cancel()
        self.uart.power_off()
        self.on_event("off")

    def restart(self, cause: str, download: bool = False) -> None:
        """From the beginning of the session."""
        if self.powered:
            self._cancel()
            self.uart.reset()
            self._player = Player(self._script)
            self._told = False
            self.on_event("boot")
            self._go_on()

    def hold_in_reset(self) -> None:
        """The reset line is part of the session (`set`)."""

    def set(self, dtr: bool, rts: bool) -> None:
        """DTR and RTS as the host asserts them: EN is low while RTS is and DTR is not."""
        low, self._low = self._low, rts and not dtr
        if self._low and not low:
            self._player.reset()
            self._go_on()

    # --- the session ----------------------------------------------------------------------------------------------

    def from_host(self, data: bytes, endpoint: HostEndpoint) -> None:
        if self.powered:
            if endpoint.rate:
                self.uart.set_rate(endpoint.rate)
            self.uart.from_host(data, self.uart.rate, frames=False)

    def _received(self, data: bytes) -> None:
        self._player.host(data)
        if self._player.diverged and not self._told:
            self._told = True
            sys.stderr.write(f"twinroot: the replay of {self.spec.replay} ended before its end: {self._player.diverged}.\n")
        self._go_on()

    def _go_on(self) -> None:
        says = self._player.due()
        if says is None or self._timer is not None:
            return

        def speak() -> None:
            self._timer = None
            self.uart.to_host.send(self._player.take(says))
            self._go_on()

        self._timer = asyncio.get_running_loop().call_later(says.pause if self.spec.paced else 0.0, speak)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- the bench's hand -----------------------------------------------------------------------------------------

    def inject(self, fault: Fault) -> None:
        """Sets a fault on the wires. Raises InputError for another."""
        if fault.name not in ON_THE_WIRE:
            raise cannot(f"the fault {fault.name} is inside the chip")
        if not self.uart.inject(fault):
            self.happen(fault.name)

    def happen(self, name: str) -> None:
        if name == "stuck":
            self.uart.stuck = True
        elif name == "reset":
            self.restart("pin")
        else:
            self.power_off()

    def heal(self) -> None:
        self.uart.heal()

    def cut(self, operations: int, seed: int) -> None:
        raise cannot("there are no flash operations to cut at")

    def uncut(self) -> int | None:
        return None

    def counters(self) -> dict[str, Any]:
        """`left`: how many things the board has still to say; `diverged`: what the host did that is not in the session."""
        return {
            "to_board": self.uart.to_board.carried,
            "to_host": self.uart.to_host.carried,
            "turns": self.uart.turnaround.turns,
            "left": self._player.left,
            "diverged": self._player.diverged,
        }

    def clear_counters(self) -> None:
        self.uart.clear_counters()

    def close(self) -> None:
        self.power_off()
