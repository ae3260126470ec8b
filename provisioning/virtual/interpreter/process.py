"""A running MicroPython: its process, pipes and control channel. It knows nothing of UARTs or flash, only of bytes and requests."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import struct
from pathlib import Path
from typing import Protocol

from provisioning.virtual.interpreter.engine import SOFT_RESET, Engine, become
from provisioning.virtual.interpreter.receive import ReceiveRing
from provisioning.virtual.interpreter.requests import ANSWER, HEAD, Op, Request
from provisioning.virtual.interpreter.shared_page import SharedPage

_PIPE_SIZE = 4096
_F_SETPIPE_SZ = 1031


class Owner(Protocol):
    """What a board offers its interpreter."""

    def interpreter_output(self, data: bytes) -> None: ...
    def interpreter_request(self, request: Request) -> None: ...
    def interpreter_ended(self, soft: bool, raw_mode: bool, cause: str) -> None: ...


class InterpreterProcess:
    """One life of MicroPython, from a reset to the next."""

    def __init__(
        self,
        engine: Engine,
        owner: Owner,
        page: SharedPage,
        flash_image: Path,
        machine: str,
        heap: str,
        raw_mode: bool,
        ring: int,
    ) -> None:
        """Starts it. `heap` as in `-X heapsize=`; `ring`: bytes the receive ring holds."""
        self._owner = owner
        self._head: tuple[Op, int, int] | None = None
        self._reading = False
        page.reset()
        stdin_r, self._stdin = os.pipe()
        self._stdout, stdout_w = os.pipe()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        flash_fd = os.open(flash_image, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.fcntl(self._stdout, _F_SETPIPE_SZ, _PIPE_SIZE)
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            fds = (stdin_r, stdout_w, theirs.fileno(), flash_fd)
            become(engine, parent, page.address, fds, machine, heap, raw_mode)
        for fd in (stdin_r, stdout_w, flash_fd):
            os.close(fd)
        theirs.close()
        self._control = ours
        self._pidfd = os.pidfd_open(self.pid)
        self._loop = asyncio.get_running_loop()
        os.set_blocking(self._stdin, False)
        os.set_blocking(self._stdout, False)
        ours.setblocking(False)
        self._ring = ReceiveRing(ring, page, self.pid, self._pidfd, self._stdin, ours)
        self._loop.add_reader(ours.fileno(), self._on_control)
        self._loop.add_reader(self._pidfd, self._on_exit)
        self.resume_output()

    # --- input ----------------------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """Bytes that arrived at the UART now."""
        self._ring.feed(data)

    @property
    def dropped(self) -> int:
        """Bytes that did not fit the receive ring."""
        return self._ring.dropped

    def clear_dropped(self) -> None:
        self._ring.dropped = 0

    # --- output and requests --------------------------------------------------------------------------------------

    def resume_output(self) -> None:
        if not self._reading and self._stdout >= 0:
            self._reading = True
            self._loop.add_reader(self._stdout, self._on_output)

    def pause_output(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._stdout)

    def _on_output(self) -> None:
        try:
            data = os.read(self._stdout, 512)
        except BlockingIOError:
            return
        if data:
            self._owner.interpreter_output(data)
        else:
            self.pause_output()

    def drain_output(self) -> bytes:
        """Everything it has printed so far."""
        out = b""
        while True:
            try:
                data = os.read(self._stdout, 65536)
            except BlockingIOError:
                return out
            if not data:
                return out
            out += data

    def _on_control(self) -> None:
        try:
            message = self._control.recv(65536)
        except BlockingIOError:
            return
        if not message:
            self._loop.remove_reader(self._control.fileno())
            return
        if self._head is not None:
            op, a, b = self._head
            self._head = None
            self._owner.interpreter_request(Request(op, a, b, message))
            return
        try:
            op, has_data, _, a, b = HEAD.unpack(message)
            op = Op(op)
        except (struct.error, ValueError):
            self.answer(-22)  # a program wrote to the channel itself
            return
        if has_data:
            self._head = (op, a, b)
            self._on_control()
        else:
            self._owner.interpreter_request(Request(op, a, b, b""))

    def answer(self, status: int, data: bytes = b"") -> None:
        """Lets the interpreter go on after a request; `status` negative: -errno."""
        with contextlib.suppress(OSError):
            self._control.send(ANSWER.pack(status, len(data)))
            if data:
                self._control.send(data)

    # --- end ------------------------------------------------------------------------------------------------------

    def kill(self) -> None:
        """Ends it at once, as a reset or a power cut does: nothing more comes from it."""
        if self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self._close()

    def _on_exit(self) -> None:
        _, status = os.waitpid(self.pid, 0)
        rest = self.drain_output()
        self._close()
        if rest:
            self._owner.interpreter_output(rest)
        code = os.waitstatus_to_exitcode(status)
        soft = code in (SOFT_RESET, SOFT_RESET + 1)
        cause = "" if soft else (f"signal {-code}" if code < 0 else f"exit {code}")
        self._owner.interpreter_ended(soft, code == SOFT_RESET + 1, cause)

    def _close(self) -> None:
        self._ring.close()
        self.pause_output()
        self._loop.remove_reader(self._control.fileno())
        self._loop.remove_reader(self._pidfd)
        self._control.close()
        for fd in (self._stdin, self._stdout, self._pidfd):
            os.close(fd)
        self._stdin = self._stdout = self._pidfd = -1
