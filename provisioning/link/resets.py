"""How DTR and RTS are pulled to reset a chip: a row for each kind of reset, and the one way to pull them.

On boards with a UART bridge RTS pulls EN low and DTR pulls IO0 low, and both at once neither. A chip's own USB-Serial-JTAG knows the same
sequences. Source: esptool/reset.py.
"""

from __future__ import annotations

import os
import struct
import time
from typing import Any, NamedTuple


class Step(NamedTuple):
    """What the two lines are set to, None where DTR is left as it is, and for how many seconds that stays."""

    dtr: bool | None
    rts: bool
    seconds: float = 0.0


Reset = tuple[Step, ...]

_EN_LOW = 0.1  # seconds; EN has an RC delay of about 1 ms on modules, and 100 ms is what esptool uses

# Into the program that is in flash.
RUN: Reset = (Step(False, True, _EN_LOW), Step(False, False))


def _loader(seconds: float) -> Reset:
    """Into the ROM loader, IO0 held low for `seconds` after EN went high."""
    return (Step(False, True, _EN_LOW), Step(True, False, seconds), Step(False, False))


# Into the ROM loader of a chip that is its own USB device: through (1,1) instead of (0,0), and RTS first, since (0,1) is a reset.
_USB: Reset = (
    Step(None, False),
    Step(False, False, 0.1),
    Step(True, False, 0.1),
    Step(True, True),
    Step(False, True, 0.1),
    Step(False, False),
)

# A board file's `reset: {before: …}` -> what is tried in turn. Boards with a big capacitor on EN need IO0 held longer.
INTO_LOADER: dict[str, tuple[Reset, ...]] = {"default-reset": (_loader(0.05), _loader(0.5)), "usb-reset": (_USB,)}


def pull(port: Any, reset: Reset) -> None:
    """Pull the lines of a pyserial-like port. Raises OSError: the port has no lines (ENOTTY, EINVAL), or it is gone."""
    for dtr, rts, seconds in reset:
        if not _at_once(port, dtr, rts):
            _one_by_one(port, dtr, rts)
        time.sleep(seconds)


def _one_by_one(port: Any, dtr: bool | None, rts: bool) -> None:
    # Over RFC 2217 each change costs a round trip and more: only what changes.
    if dtr is not None and port.dtr != dtr:
        port.dtr = dtr
    if port.rts != rts:
        port.rts = rts
    if dtr is not None and os.name == "nt":
        port.dtr = dtr  # Windows' usbser.sys sends a changed RTS only with the next DTR


def _at_once(port: Any, dtr: bool | None, rts: bool) -> bool:
    """Both lines in one request, where the system can: MicroPython's own USB port enters the loader when (0,1) is followed by (1,0), with
    nothing in between (mp_usbd_cdc.c)."""
    if os.name != "posix" or not isinstance(getattr(port, "fd", None), int):
        return False
    import fcntl
    import termios

    (state,) = struct.unpack("I", fcntl.ioctl(port.fd, termios.TIOCMGET, bytes(4)))
    for bit, level in ((termios.TIOCM_DTR, dtr), (termios.TIOCM_RTS, rts)):
        if level is not None:
            state = state | bit if level else state & ~bit
    fcntl.ioctl(port.fd, termios.TIOCMSET, struct.pack("I", state))
    return True
