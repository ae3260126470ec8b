"""The classic auto-reset circuit: two transistors between DTR, RTS and EN, IO0, and the capacitor at EN; and boards without transistors.

EN is low while RTS is asserted and DTR is not; IO0 is low while DTR is asserted and RTS is not; with both asserted neither
transistor conducts. IO0 is sampled when EN rises. Times in seconds.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

EN_RISE = 0.002  # the capacitor at EN (100 nF to 1 uF at 10 kOhm) charges
# With both lines asserted EN would rise too, but a host changes RTS just after DTR. An RFC 2217 client needs up to 0.1 s between
# the two (pyserial polls for the acknowledgement), which is why serial servers for these chips have a longer hold as well.
BOTH_HOLD = 0.150


class Resettable(Protocol):
    """What hangs on EN."""

    def hold_in_reset(self) -> None: ...
    def restart(self, cause: str, download: bool = False) -> None: ...


class AutoReset:
    """Follows the two lines and resets the board."""

    def __init__(self, board: Resettable) -> None:
        self._board = board
        self.dtr = self.rts = False
        self.en_low = False
        self._rise: asyncio.TimerHandle | None = None

    @property
    def io0_low(self) -> bool:
        return self.dtr and not self.rts

    def set(self, dtr: bool, rts: bool) -> None:
        """DTR and RTS as the host asserts them (True: the pin of the adapter is low)."""
        self.dtr, self.rts = dtr, rts
        if rts and not dtr:
            self._cancel()
            if not self.en_low:
                self.en_low = True
                self._board.hold_in_reset()
        elif self.en_low:
            self._cancel()
            delay = BOTH_HOLD if dtr and rts else EN_RISE
            self._rise = asyncio.get_running_loop().call_later(delay, self._risen)

    def _risen(self) -> None:
        self._rise = None
        self.en_low = False
        self._board.restart("pin")

    def _cancel(self) -> None:
        if self._rise is not None:
            self._rise.cancel()
            self._rise = None


class Straight(AutoReset):
    """RTS leads straight to EN, DTR to IO0: a host that asserts both, as systems do when they open a port, holds the chip in reset."""

    @property
    def io0_low(self) -> bool:
        return self.dtr

    def set(self, dtr: bool, rts: bool) -> None:
        """DTR and RTS as the host asserts them."""
        self.dtr, self.rts = dtr, rts
        if rts:
            self._cancel()
            if not self.en_low:
                self.en_low = True
                self._board.hold_in_reset()
        elif self.en_low and self._rise is None:
            self._rise = asyncio.get_running_loop().call_later(EN_RISE, self._risen)
