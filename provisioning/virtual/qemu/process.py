"""A running QEMU: its command line, its serial port as a pair of sockets, its end. It ends with this process, however that ends."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import subprocess
from functools import partial
from pathlib import Path
from typing import Protocol

from provisioning.virtual.qemu.machines import QemuMachine

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_SAID = 4096  # bytes of its own messages that are kept
_CHUNK = 65536
_UNREAD = 65536  # bytes that the chip may leave unread before what more comes is lost
_libc = ctypes.CDLL(None, use_errno=True)


def command(binary: str, machine: QemuMachine, name: str, card: str, flash: Path, efuse: Path, loader: bool) -> list[str]:
    """QEMU's command line, without the serial port. `loader`: the strapping for the ROM loader."""
    strap = machine.strap_loader if loader else machine.strap_flash
    counted = () if loader else machine.counted
    line = [binary, "-machine", name, *counted, "-display", "none", "-monitor", "none", "-parallel", "none"]
    line += ["-drive", f"file={_escaped(flash)},if=mtd,format=raw"]
    line += ["-drive", f"file={_escaped(efuse)},if=none,format=raw,id=efuse"]
    line += ["-global", f"driver={machine.efuse},property=drive,value=efuse"]
    line += ["-global", f"driver={machine.gpio},property=strap_mode,value=0x{strap:02x}"]
    if not counted:
        # They would count the host's time, and bite a chip that is only slow. By the chip's own they reset one that hangs, as they should.
        line += ["-global", f"driver={machine.timers},property=wdt_disable,value=true"]
    return [*line, "-nic", f"user,model={card}" if card else "none"]


def _escaped(path: Path) -> str:
    """A comma ends a value, two are one."""
    return str(path).replace(",", ",,")


class Owner(Protocol):
    """What a board offers its emulator."""

    def emulator_output(self, data: bytes) -> None: ...
    def emulator_ended(self, code: int, said: str) -> None: ...


class Emulation:
    """One process, from power or EN to the next."""

    def __init__(self, line: list[str], owner: Owner) -> None:
        """Starts it. Raises OSError when it cannot be started."""
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._said = bytearray()
        self._waiting = bytearray()
        self.dropped = 0
        self._serial, theirs = _pair()
        serial = ["-chardev", f"socket,id=uart0,fd={theirs.fileno()}", "-serial", "chardev:uart0"]
        try:
            self._process = subprocess.Popen(
                [*line, *serial],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
                # A terminal's control-C is for this process, which then ends it.
                start_new_session=True,
                preexec_fn=partial(_die_with, os.getpid()),  # this process has no threads
            )
        except OSError:
            self._serial.close()
            raise
        finally:
            theirs.close()
        self.pid = self._process.pid
        self._pidfd = os.pidfd_open(self.pid)
        assert self._process.stdout is not None  # noqa: S101
        self._messages = self._process.stdout.fileno()
        os.set_blocking(self._messages, False)
        self._serial.setblocking(False)
        self._loop.add_reader(self._serial, self._on_serial)
        self._loop.add_reader(self._messages, self._on_message)
        self._loop.add_reader(self._pidfd, self._on_exit)

    # --- the serial port ------------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """Bytes that arrived at the UART. It takes them when the chip has room for them."""
        self._waiting += data
        if len(self._waiting) > _UNREAD:
            self.dropped += len(self._waiting) - _UNREAD
            del self._waiting[_UNREAD:]
        self._write()

    def _write(self) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while self._waiting:
                del self._waiting[: self._serial.send(self._waiting)]
        if self._waiting:
            self._loop.add_writer(self._serial, self._write)
        else:
            self._loop.remove_writer(self._serial)

    def _on_serial(self) -> None:
        # Always read: what QEMU cannot get rid of is lost.
        try:
            data = self._serial.recv(_CHUNK)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if data:
            self._owner.emulator_output(data)
        else:
            self._loop.remove_reader(self._serial)

    # --- its own messages, its end --------------------------------------------------------------------------------

    def _on_message(self) -> None:
        try:
            data = os.read(self._messages, _CHUNK)
        except BlockingIOError:
            return
        if not data:
            self._loop.remove_reader(self._messages)
            return
        self._said += data
        del self._said[:-_SAID]

    def kill(self) -> None:
        """Ends it at once; what the flash file holds stays."""
        if self._pidfd >= 0:
            self._process.kill()
            self._process.wait()
            self._close()

    def _on_exit(self) -> None:
        """It ended by itself."""
        code = self._process.wait()
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._messages, _CHUNK):
                self._said += data
        said = self._said[-_SAID:].decode("utf-8", "replace")
        self._close()
        self._owner.emulator_ended(code, said)

    def _close(self) -> None:
        for fd in (self._serial.fileno(), self._messages, self._pidfd):
            self._loop.remove_reader(fd)
        self._loop.remove_writer(self._serial)
        os.close(self._pidfd)
        self._pidfd = -1
        self._serial.close()
        if self._process.stdout is not None:
            self._process.stdout.close()


def _pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a TCP connection. QEMU sends each byte by itself, and drops what is not taken at once: in a pair of Unix sockets each
    byte takes a buffer of its own, and after some 280 of them bytes were lost when this process was not quick enough."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, address = server.accept()
        while address != ours.getsockname():  # somebody else was there first
            theirs.close()
            theirs, address = server.accept()
    for end in (ours, theirs):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return ours, theirs


def _die_with(parent: int) -> None:
    """In the child, before it becomes QEMU: the kernel kills it when the process that started it is gone."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
