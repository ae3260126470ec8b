"""A pseudo-terminal. It carries the rate (the slave's termios) but no DTR and RTS. Constants: asm-generic/ioctls.h."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import struct
import termios
import tty
from pathlib import Path
from typing import TYPE_CHECKING

from provisioning.virtual.endpoint.opens import OPENS
from provisioning.virtual.endpoint.unread import Unread

if TYPE_CHECKING:
    from provisioning.virtual.engine import BoardEngine

_TCGETS2 = 0x802C542A
_TERMIOS2 = struct.Struct("<4IB19B2I")
_TIOCPKT = 0x5420
_FLUSHED = 1  # TIOCPKT_FLUSHREAD: the client drops what it has not read
_SHARE = 1 << 16  # bytes given to the kernel at once, which takes what it has space for
_BACKLOG = 4096  # bytes on the wire before the host has to wait, like a USB adapter's buffer


def remove_links(state: Path) -> None:
    """Removes what an earlier process left in its state folder; call it with the folder's lock held."""
    for link in state.glob("tty*"):
        if link.is_symlink():
            link.unlink()


class PtyEndpoint:
    """`path` is a link that stays the same when the device behind it changes.

    The link leads through this process's own descriptor, not to /dev/pts/N: when the process is killed the link leads nowhere, while
    the kernel gives N to whoever asks next, perhaps another board.
    """

    def __init__(self, board: BoardEngine, path: Path) -> None:
        self._board = board
        self._loop = asyncio.get_running_loop()
        self.path = path
        self._reading = self._writing = False
        self._unread = Unread()
        self._times = 0
        self.connected = False
        self._open()

    def reopen(self) -> None:
        """After `close`: another device under another name."""
        self._times += 1
        self.path = self.path.with_name(f"tty{self._times}")
        self._open()

    def _open(self) -> None:
        self._master, slave = os.openpty()
        # An open slave keeps the master from reporting a hang-up between two clients.
        self._slave = slave
        tty.setraw(slave)
        attributes = termios.tcgetattr(slave)
        attributes[4] = attributes[5] = termios.B115200
        termios.tcsetattr(slave, termios.TCSANOW, attributes)
        self.device = os.ttyname(slave)
        os.set_blocking(self._master, False)
        fcntl.ioctl(self._master, _TIOCPKT, struct.pack("i", 1))
        self._clients = 0
        self._watch = OPENS.watch(self.device, self._on_clients)
        link = self.path.with_suffix(".new")
        with contextlib.suppress(FileNotFoundError):
            link.unlink()
        link.symlink_to(f"/proc/{os.getpid()}/fd/{self._slave}")
        link.replace(self.path)
        self.connected = True
        self._resume()

    @property
    def rate(self) -> int | None:
        if not self.connected:
            return None
        fields = _TERMIOS2.unpack(fcntl.ioctl(self._master, _TCGETS2, bytes(_TERMIOS2.size)))
        return int(fields[-1])

    def _on_clients(self, steps: list[int]) -> None:
        for step in steps:
            self._clients = max(0, self._clients + step)
        if self._clients == 0:
            # What nobody read is gone when the port is opened again.
            self._forget()
            termios.tcflush(self._slave, termios.TCIFLUSH)
            self._on_input()  # takes the news of this very flush, before a new client's are behind it

    def _on_input(self) -> None:
        """A packet of tty_ioctl(4): a byte that says what the client did, 0 before what it wrote."""
        try:
            data = os.read(self._master, 4096)
        except BlockingIOError:
            return
        if data[0]:
            if data[0] & _FLUSHED:
                self._forget()
            return
        self._board.from_host(data[1:], self)
        if self._board.uart.to_board.backlog > _BACKLOG:
            self._pause()

    def deliver(self, data: bytes) -> None:
        """To the client, when it reads; without one the bytes are lost like on a wire."""
        if self.connected and self._clients:
            self._unread.add(data)
            if not self._writing:
                self._write()

    def _write(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._unread.take(os.write(self._master, self._unread.first(_SHARE)))
        if self._writing != bool(self._unread):
            self._writing = not self._writing
            if self._writing:
                self._loop.add_writer(self._master, self._write)
            else:
                self._loop.remove_writer(self._master)

    def _forget(self) -> None:
        self._unread.clear()
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._master)

    @property
    def lost(self) -> int:
        """Bytes that a client left unread until they did not fit."""
        return self._unread.lost

    def clear_lost(self) -> None:
        self._unread.lost = 0

    def space(self) -> None:
        if self.connected and self._board.uart.to_board.backlog <= _BACKLOG:
            self._resume()

    def _resume(self) -> None:
        if not self._reading:
            self._reading = True
            self._loop.add_reader(self._master, self._on_input)

    def _pause(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._master)

    def close(self) -> None:
        if not self.connected:
            return
        self.connected = False
        self._pause()
        self._forget()
        OPENS.forget(self._watch)
        for fd in (self._slave, self._master):
            os.close(fd)
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
