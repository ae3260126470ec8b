"""How many connections there are, and how long each may last: nobody who opens many, or says nothing, takes the page from the others."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress

Key = tuple[str, int]  # the other end


class Connections:
    """Up to `limit` at once. `sweep` is called now and then, and hangs up those whose time is over."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: dict[Key, tuple[socket.socket, float]] = {}
        self._lock = threading.Lock()

    def enter(self, key: Key, line: socket.socket, seconds: float) -> bool:
        """A new connection that may last `seconds`; False where there are too many."""
        with self._lock:
            if len(self._open) >= self._limit:
                return False
            self._open[key] = (line, time.monotonic() + seconds)
            return True

    def extend(self, key: Key, line: socket.socket, seconds: float) -> None:
        """From now on `seconds`; `line` is what to hang up, since TLS puts another object in the place of the socket."""
        with self._lock:
            if key in self._open:
                self._open[key] = (line, time.monotonic() + seconds)

    def leave(self, key: Key) -> None:
        """The connection has ended."""
        with self._lock:
            self._open.pop(key, None)

    def sweep(self) -> None:
        """Hang up what has lasted too long: its thread's read or write ends with an error."""
        now = time.monotonic()
        with self._lock:
            late = [line for line, deadline in self._open.values() if deadline < now]
        for line in late:
            with suppress(OSError):
                socket.socket.shutdown(line, socket.SHUT_RDWR)
