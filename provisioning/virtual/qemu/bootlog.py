"""What the chip's ROM says when it starts, as events: the emulator itself tells nobody that its chip was reset."""

from __future__ import annotations

import re
from collections.abc import Callable

# The ROM's line after a reset: "rst:0x1 (POWERON_RESET),boot:0x12 (SPI_FAST_FLASH_BOOT)"; and what it says when it finds no boot loader.
_START = re.compile(rb"rst:0x[0-9a-f]+ \([A-Z0-9_]+\),boot:0x[0-9a-f]+ \(([A-Z0-9_/()]+)\)|invalid header: 0x")
_LONGEST = 120  # bytes: a line of it that came in two pieces is seen whole


class BootLog:
    """Told of everything that the chip sends; calls `event` with "boot", "download" or "no-firmware"."""

    def __init__(self, event: Callable[[str], None]) -> None:
        self._event = event
        self._tail = b""

    def feed(self, data: bytes) -> None:
        text = self._tail + data
        end = 0
        for found in _START.finditer(text):
            end = found.end()
            mode = found[1]
            self._event("no-firmware" if mode is None else "download" if b"DOWNLOAD" in mode or b"UART" in mode else "boot")
        self._tail = text[max(end, len(text) - _LONGEST) :]
