"""The UART's receive ring: what arrives goes to the interpreter's input, interrupts it, or is lost.

A byte is lost when the ring is full, as on hardware, and not when this computer gives the interpreter no processor to read it with:
then the wire waits. The interpreter is excused for as long as it wants to run and gets less than half a processor, and for the first
5 ms that it runs with a full ring. The time that a flash read takes counts as running: no computer has to be waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import struct
import termios
from pathlib import Path

from provisioning.virtual.interpreter.shared_page import SharedPage

_INTERRUPT_PAUSE = 0.001  # s between an interrupt and the bytes after it: on hardware the exception is raised at once
_INTERRUPT_PATIENCE = 50  # times that pause, at most, on a busy computer
_DEFERRED_RETRY = 0.002  # s
_FAIR_SHARE = 0.5  # of a processor: with that, a program that reads its input keeps up with any wire
_READS_WITHIN = 0.005  # s of processor time in which such a program reads at least a byte
_WOKEN_WITHIN = 0.02  # s in which one that was just woken gets to its next read
_STARVED_PAUSE = 0.0005  # s


class ReceiveRing:
    """`size` bytes before the interpreter `pid`, whose input is the pipe `fd`; `dropped` counts what did not fit.

    `pidfd` and `control` are the interpreter's, too: it is interrupted through the one, and asks the hardware through the other.
    """

    def __init__(self, size: int, page: SharedPage, pid: int, pidfd: int, fd: int, control: socket.socket) -> None:
        self.dropped = 0
        self._ring = size
        self._page = page
        self._pid = pid
        self._pidfd = pidfd
        self._fd = fd
        self._control = control
        self._loop = asyncio.get_running_loop()
        self._waiting = bytearray()
        self._pause: asyncio.TimerHandle | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._full_since: tuple[float, float] | None = None  # loop time, and s that the program was busy

    def feed(self, data: bytes) -> None:
        """Bytes that arrived at the UART now. 0x03 interrupts while it is the interrupt character; what does not fit is lost."""
        self._waiting += data
        if self._pause is None:
            self._deliver()

    def _deliver(self) -> None:
        self._pause = None
        while self._waiting:
            char = self._page.interrupt_char
            at = self._waiting.find(char) if char >= 0 else -1
            if at == 0:
                del self._waiting[0]
                ran = self._lived()
                self._interrupt()
                self._pause = self._loop.call_later(_INTERRUPT_PAUSE, self._after_interrupt, ran, _INTERRUPT_PATIENCE)
                return
            end = at if at > 0 else len(self._waiting)
            data = bytes(self._waiting[:end])
            del self._waiting[:end]
            rest = self._put(data)
            if rest:
                # This computer, not the board, is too slow: the wire waits for it.
                self._waiting[:0] = rest
                self._pause = self._loop.call_later(_STARVED_PAUSE, self._deliver)
                return

    def _after_interrupt(self, ran: float, patience: int) -> None:
        """The bytes after an interrupt come when the interpreter had a moment on a processor to take notice."""
        if self._page.deferred:
            # Nor before one that start-up put off: it would hit what these bytes ask for.
            if self._retry is None:  # it was put off after the last look
                self._retry = self._loop.call_later(_DEFERRED_RETRY, self._interrupt_again)
            self._pause = self._loop.call_later(_INTERRUPT_PAUSE, self._after_interrupt, self._lived(), _INTERRUPT_PATIENCE)
        elif patience and self._lived() == ran:
            self._pause = self._loop.call_later(_INTERRUPT_PAUSE, self._after_interrupt, ran, patience - 1)
        else:
            self._deliver()

    def _put(self, data: bytes) -> bytes:
        """Fills the ring; what does not fit is lost, or given back when the interpreter had no chance to read."""
        try:
            room = max(0, self._ring - self.unread)
            if room:
                os.write(self._fd, data[:room])
                self._full_since = None  # it reads
        except (BrokenPipeError, BlockingIOError):
            room = 0
        rest = data[room:]
        if not rest:
            self._full_since = None
            return b""
        if self._starved():
            return rest
        self.dropped += len(rest)
        return b""

    def _ran(self) -> float:
        """Seconds that the interpreter has run on a processor; always 0 on a kernel that does not tell."""
        try:
            return int(Path(f"/proc/{self._pid}/schedstat").read_bytes().split()[0]) / 1e9
        except (OSError, ValueError, IndexError):
            return 0.0

    def _lived(self) -> float:
        """Seconds that the program ran, or waited for its flash, which is running to an interrupt handler."""
        return self._ran() + self._page.waited

    def _starved(self) -> bool:
        """Whether the ring is full only because this computer is busy: the interpreter could run but does not get a processor, or
        it waits for an answer that the hardware has not got round to."""
        try:
            state = Path(f"/proc/{self._pid}/stat").read_bytes().rpartition(b") ")[2][:1]
        except OSError:
            return False
        now, ran = self._loop.time(), self._ran() + self._page.waited
        if self._full_since is None:
            self._full_since = (now, ran)
            return ran > 0
        full, used = now - self._full_since[0], ran - self._full_since[1]
        if state != b"R" and not self._page.reading:  # it sleeps, and not for want of input
            return self._request_waits() or (used > 0 and full < _WOKEN_WITHIN)
        return used < max(_READS_WITHIN, _FAIR_SHARE * full)

    def _request_waits(self) -> bool:
        try:
            return bool(self._control.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return False

    @property
    def unread(self) -> int:
        """Bytes in the receive ring that the program has not read."""
        return int(struct.unpack("i", fcntl.ioctl(self._fd, termios.FIONREAD, b"\0\0\0\0"))[0])

    def _interrupt(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGINT)
        if self._retry is None:
            self._retry = self._loop.call_later(_DEFERRED_RETRY, self._interrupt_again)

    def _interrupt_again(self) -> None:
        """An interrupt that arrived during start-up is sent again after it."""
        self._retry = None
        if self._page.deferred:
            if self._page.starting:
                self._retry = self._loop.call_later(_DEFERRED_RETRY, self._interrupt_again)
            else:
                self._page.take_deferred()
                ran = self._lived()
                self._interrupt()
                if self._pause is not None:
                    self._pause.cancel()
                self._pause = self._loop.call_later(_INTERRUPT_PAUSE, self._after_interrupt, ran, _INTERRUPT_PATIENCE)

    def close(self) -> None:
        """Nothing more arrives."""
        for timer in (self._pause, self._retry):
            if timer is not None:
                timer.cancel()
