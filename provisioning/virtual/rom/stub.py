"""The flasher stub that esptool runs in RAM. It answers a block of data before it writes it, so the next one is on its way meanwhile.

What goes wrong in a write is therefore told late: at the next command, by esp-flasher-stub (this file); at the next block of data or at
the end, by the older stub (legacy_stub.py). Source: command_handler.c of esp-flasher-stub 1.1.0 and flash.c of esp-stub-lib.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator
from typing import Any

from provisioning.virtual import slip
from provisioning.virtual.nor_flash import BLOCK, ERASED, SECTOR
from provisioning.virtual.rom.flashing import FlashCommands
from provisioning.virtual.rom.loader import Answer, LoaderError, xor

WINDOW = 32768  # bytes: what is inflated is written when the dictionary is full
SKIPS_BLANK = (1, 1)  # the release of esp-flasher-stub from which on it does not erase what is blank
_HEAD = 16  # bytes of a data command before its content


class SpinError(Exception):
    """The stub waits for something that never happens."""


class Stub(FlashCommands):
    """Begins with OHAI; its sync value is 0; its answers end with an error code and a zero.

    A flash operation that was started runs beside the CPU until `_ready_at`, in the machine's seconds.
    """

    bad_length = 0xC0
    bad_checksum = 0xC1
    bad_block_size = 0xC2
    failed = 0xC4
    not_in_flash_mode = 0xC6
    bad_deflate = 0xC7
    not_enough = 0xC8
    too_much = 0xC9
    no_command = 0xC3
    sync_value = 0
    fast_read_ahead = 1  # blocks in flight, whatever the host allows
    skips_blank = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.attached = True  # the first thing the stub does
        self._ready_at = 0.0
        self._deferred: Iterator[float] | None = None
        self._late = 0  # error code of a write whose command was answered before
        self._writing = False
        self._left = 0  # bytes that still have to be written
        self._address = 0  # where the next byte goes
        self._erase_at = self._erase_left = 0  # what still has to be erased
        self._dirty = False  # a sector was found that was not blank: no more looking
        self._inflate: Any = None
        self._window = bytearray()
        self._read: tuple[bytes, int, int] | None = None  # content, block size, blocks in flight
        self._pending: tuple[bytes, int, int] | None = None
        self._sent = self._acknowledged = 0
        self.commands |= {
            0x14: self.security_info,
            0xD0: self.erase_flash,
            0xD1: self.erase_region,
            0xD2: self.read_flash,
            0xD3: self.run_user_code,
        }
        if not self.chip.security_info:
            del self.commands[0x14]

    def greet(self) -> None:
        self.machine.loader_send(slip.encode(b"OHAI"))

    def unknown(self, opcode: int) -> None:
        self.answer(opcode, 0, b"", self.no_command)

    def status(self, error: int) -> bytes:
        return bytes([error, 0])

    def unpack(self, layout: str, data: bytes) -> tuple[int, ...]:
        if len(data) != struct.calcsize(layout):
            raise LoaderError(self.bad_length)
        return struct.unpack(layout, data)

    def handle(self, frame: bytes) -> None:
        if self._read is not None:
            self._acknowledge(frame)
            return
        super().handle(frame)

    def raise_late(self) -> None:
        late, self._late = self._late, 0
        if late:
            raise LoaderError(late)

    def work(self) -> Iterator[float]:
        steps, self._deferred = self._deferred, None
        try:
            yield from steps or ()
        except LoaderError as error:
            self._late = error.code

    # --- erasing and programming ------------------------------------------------------------------------------------

    def _ready(self) -> Iterator[float]:
        """Waits until the flash has done what was started."""
        wait = self._ready_at - self.machine.now()
        if wait > 0:
            yield wait

    def _start_erase(self) -> None:
        """Starts to erase a block where it can, else a sector; does nothing while the flash is busy, and never waits."""
        if not self._erase_left or self.machine.now() < self._ready_at:
            return
        # The chip takes the lower bits of the address only.
        at = self._erase_at % self.flash.size
        if self._erase_left >= BLOCK and at % BLOCK == 0:
            seconds, size = self.flash.erase_block(at), BLOCK
        else:
            seconds, size = self.flash.erase(at, SECTOR), SECTOR
        self._erase_at += size
        self._erase_left -= size
        self._ready_at = self.machine.now() + seconds

    def _erase_next(self) -> Iterator[float]:
        """The next step of erasing, which is a look at a sector for as long as all sectors were blank."""
        if not self._erase_left:
            return
        if self.skips_blank and not self._dirty:
            self.check_range(self._erase_at, SECTOR)
            yield SECTOR * self.flash.timing.read
            if self.flash.read(self._erase_at, SECTOR).count(ERASED) == SECTOR:
                self._erase_at += SECTOR
                self._erase_left -= SECTOR
                return
            self._dirty = True
        self._start_erase()

    def _write(self, data: bytes) -> Iterator[float]:
        while self._erase_at < self._address + len(data):
            if not self._erase_left:
                raise SpinError
            yield from self._ready()
            yield from self._erase_next()
        yield from self._ready()
        yield from self.program(self._address, data)
        self._address += len(data)
        self._left = (self._left - len(data)) & 0xFFFFFFFF

    # --- the commands that write --------------------------------------------------------------------------------------

    def flash_begin(self, data: bytes, checksum: int) -> Answer:
        if len(data) not in (16, 20):
            raise LoaderError(self.bad_length)
        self._left, _, _, self._address = struct.unpack_from("<IIII", data)
        self.encrypted = len(data) == 20 and any(data[16:])
        self._writing = True
        self._erase_at = self._address // SECTOR * SECTOR
        self._erase_left = -(-(self._address + self._left) // SECTOR) * SECTOR - self._erase_at
        self._dirty = False
        self.busy += sum(self._erase_next())
        return 0, b""

    def deflate_begin(self, data: bytes, checksum: int) -> Answer:
        answer = self.flash_begin(data, checksum)
        self._inflate = zlib.decompressobj()
        return answer

    def flash_data(self, data: bytes, checksum: int) -> Answer:
        if len(data) < _HEAD:
            raise LoaderError(self.not_enough)
        content = self._content(data, checksum, data[_HEAD:])
        if struct.unpack_from("<I", data)[0] != len(content):
            raise LoaderError(self.too_much)
        self._deferred = self._write(content[: self._left])
        return 0, b""

    def deflate_data(self, data: bytes, checksum: int) -> Answer:
        if len(data) < _HEAD:
            raise LoaderError(self.bad_length)
        size, sequence = struct.unpack_from("<II", data)
        self._deferred = self._write_deflated(self._content(data, checksum, data[_HEAD : _HEAD + size]), sequence)
        return 0, b""

    def _content(self, data: bytes, checksum: int, content: bytes) -> bytes:
        if not self._writing:
            raise LoaderError(self.not_in_flash_mode)
        if xor(content) != checksum:
            raise LoaderError(self.bad_checksum)
        return content

    def _write_deflated(self, content: bytes, sequence: int) -> Iterator[float]:
        if sequence == 0:
            self._window.clear()
        while content and not self._inflate.eof:
            yield from self._erase_next()
            content = self._inflate_some(content)
            if self._inflate.eof or len(self._window) == WINDOW:
                piece = bytes(self._window)
                self._window.clear()
                yield from self._write(piece)

    def _inflate_some(self, content: bytes) -> bytes:
        """Inflates until the window is full; returns what was not used."""
        try:
            self._window += self._inflate.decompress(content, WINDOW - len(self._window))
        except zlib.error:
            raise LoaderError(self.bad_deflate) from None
        return bytes(self._inflate.unconsumed_tail)

    def flash_end(self, data: bytes, checksum: int) -> Answer:
        self.unpack("<I", data)
        if not self._writing:
            raise LoaderError(self.not_in_flash_mode)
        if self._left:
            raise LoaderError(self.bad_length)
        self._writing = False
        return 0, b""

    # --- the others ---------------------------------------------------------------------------------------------------

    def erase_flash(self, data: bytes, checksum: int) -> Answer:
        self.busy += sum(self._ready()) + self.erase_area(0, self.flash.size)
        return 0, b""

    def erase_region(self, data: bytes, checksum: int) -> Answer:
        address, size = self.unpack("<II", data)
        if address % SECTOR or size % SECTOR:
            raise LoaderError(self.bad_length)
        self.check_range(address, size)
        self.busy += sum(self._ready()) + self.erase_area(address, size)
        return 0, b""

    def read(self, address: int, size: int) -> bytes:
        self.busy += sum(self._ready())
        return super().read(address, size)

    def render_md5(self, digest: bytes) -> bytes:
        return digest

    def run_user_code(self, data: bytes, checksum: int) -> Answer:
        return 0, b""

    # --- fast read: blocks go out while fewer than `in flight` are unacknowledged, then the MD5 of all ------------------

    def read_flash(self, data: bytes, checksum: int) -> Answer:
        address, size, block, in_flight = self.unpack("<IIII", data)
        if not block or block > SECTOR:
            raise LoaderError(self.bad_length)
        self._pending = (self.read(address, size), block, max(1, self.fast_read_ahead or in_flight))
        return 0, b""

    def after(self, opcode: int, data: bytes) -> None:
        super().after(opcode, data)
        if opcode == 0xD2 and self._pending is not None:
            self._read, self._pending = self._pending, None
            self._sent = self._acknowledged = 0
            self._send_blocks()
        elif opcode == 0x06 and len(data) == 8:
            stay, entry = self.unpack("<II", data)
            if not stay and entry:
                self.machine.loader_run(entry)
        elif opcode == 0xD3:
            self.machine.loader_restart("software")

    def _send_blocks(self) -> None:
        assert self._read is not None  # noqa: S101 - only called while reading
        content, block, in_flight = self._read
        while self._sent < len(content) and self._sent - self._acknowledged < block * in_flight:
            piece = content[self._sent : self._sent + block]
            self.machine.loader_send(slip.encode(piece))
            self._sent += len(piece)
        if self._acknowledged >= len(content):
            self._read = None
            self.machine.loader_send(slip.encode(hashlib.md5(content, usedforsecurity=False).digest()))

    def _acknowledge(self, frame: bytes) -> None:
        if len(frame) == 4:
            self._acknowledged = struct.unpack("<I", frame)[0]
            self._send_blocks()
        else:
            self._read = None  # the host has given up and begins anew
            super().handle(frame)
