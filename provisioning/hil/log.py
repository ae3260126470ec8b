"""What went on between a test and its board: every byte with its time, and the last events in words."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from provisioning.link import tap

EVENTS = 50
_MOST = 256 * 1024  # bytes of a serial log
_VISIBLE = {code: f"\\x{code:02x}" for code in range(32) if code not in (9, 10)} | {127: "\\x7f"}


class BoardLog:
    """The serial log and the events of one board since `begin`. A listener of the ports that this process opens (link/tap.py)."""

    def __init__(self) -> None:
        self.ports: set[str] = set()
        self._received = bytearray()
        self._lost = 0
        self._events: deque[tuple[float, str]] = deque(maxlen=EVENTS)
        self._start = time.monotonic()
        self.bytes = {tap.RX: 0, tap.TX: 0}

    def begin(self) -> None:
        """A test begins: everything from before is forgotten."""
        self._received.clear()
        self._lost = 0
        self._events.clear()
        self._start = time.monotonic()
        self.bytes = {tap.RX: 0, tap.TX: 0}

    def __call__(self, port: str, what: str, value: Any, at: float) -> None:
        if port not in self.ports:
            return
        if what in self.bytes:
            self.bytes[what] += len(value)
            if what == tap.RX:
                self._received += value
                if (over := len(self._received) - _MOST) > 0:
                    del self._received[:over]
                    self._lost += over
        else:
            self.event(f"port {what}" if value is None else f"port {what} {value}", at)

    def event(self, text: str, at: float | None = None) -> None:
        self._events.append(((time.monotonic() if at is None else at) - self._start, text))

    @property
    def text(self) -> str:
        """What the board sent since the test began, control characters made visible."""
        head = f"… {self._lost} bytes before this\n" if self._lost else ""
        return head + self._received.decode("utf-8", "replace").replace("\r\n", "\n").translate(_VISIBLE)

    @property
    def events(self) -> list[str]:
        """The last 50 events, oldest first, each with the seconds since the test began."""
        return [f"{at:9.3f} s  {text}" for at, text in self._events]

    def __contains__(self, text: str) -> bool:
        return text in self.text

    def __str__(self) -> str:
        return self.text
