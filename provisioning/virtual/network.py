"""The board's Wi-Fi as the hardware decides it, and the name resolution that its jail cannot do."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable

_IDLE, _CONNECTING, _GOT_IP = 1000, 1001, 1010  # network.STAT_*
_NO_AP_FOUND, _WRONG_PASSWORD = 201, 202
_STATUS, _ACTIVE, _CONNECT, _DISCONNECT, _LINK = range(5)  # as in shims/network.py


class Wifi:
    """By default every access point is in reach and every password right; `ssid` and `password` narrow it."""

    def __init__(self) -> None:
        self.ssid: str | None = None
        self.password: str | None = None
        self.refuses = 0  # the status every connect ends with, 0: none
        self.up = True  # False: the network is gone, whatever the board does
        self.reset()

    def reset(self) -> None:
        self._active = False
        self._status = _IDLE

    def serve(self, what: int, value: int, data: bytes) -> int:
        if what == _ACTIVE:
            if value != 2:
                self._active = bool(value)
                self._status = self._status if value else _IDLE
            return int(self._active)
        if what == _CONNECT:
            ssid, _, password = data.decode("utf-8", "replace").partition("\0")
            self._status = self._outcome(ssid, password)
        elif what == _DISCONNECT:
            self._status = _IDLE
        elif what == _LINK:
            return int(self.up)
        elif what == _STATUS and self._status == _GOT_IP and not self.up:
            return _CONNECTING
        return self._status

    def meet(self, word: str) -> None:
        """up, down, no-ap, wrong-password: what connecting leads to from now on."""
        self.up = word != "down"
        self.refuses = {"no-ap": _NO_AP_FOUND, "wrong-password": _WRONG_PASSWORD}.get(word, 0)

    def _outcome(self, ssid: str, password: str) -> int:
        if self.refuses:
            return self.refuses
        if not self.up or (self.ssid is not None and ssid != self.ssid):
            return _NO_AP_FOUND
        if self.password is not None and password != self.password:
            return _WRONG_PASSWORD
        return _GOT_IP


class Resolver:
    """Asks the host's resolver in a forked child: it may take seconds, and this process has no threads."""

    def __init__(self) -> None:
        self._pid = 0
        self._pipe = -1

    def resolve(self, name: str, done: Callable[[str], None]) -> None:
        """Calls `done` with an IPv4 address, or "" when there is none."""
        self.stop()
        reader, writer = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            _ask(name, writer)
        os.close(writer)
        self._pipe = reader
        asyncio.get_running_loop().add_reader(reader, self._finished, done)

    def _finished(self, done: Callable[[str], None]) -> None:
        address = os.read(self._pipe, 64).decode("ascii", "replace")
        self.stop()
        done(address)

    def stop(self) -> None:
        if self._pipe >= 0:
            asyncio.get_running_loop().remove_reader(self._pipe)
            os.close(self._pipe)
            self._pipe = -1
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)


def _ask(name: str, writer: int) -> None:
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        found = socket.getaddrinfo(name, None, socket.AF_INET, socket.SOCK_STREAM)
        os.write(writer, str(found[0][4][0]).encode())
    except OSError:
        os._exit(1)
    finally:
        os._exit(0)
