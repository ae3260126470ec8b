"""The flasher stub that esptool runs in RAM: larger blocks, erase on the fly, fast reads. Error codes: esp-flasher-stub."""

from __future__ import annotations

import hashlib
import struct
from typing import Any

from provisioning.virtual.flash import SECTOR
from provisioning.virtual.rom import slip
from provisioning.virtual.rom.flashing import FlashCommands
from provisioning.virtual.rom.loader import Answer, LoaderError


class Stub(FlashCommands):
    """Begins with OHAI. Its answers end with two status bytes, its sync value is 0."""

    status_bytes = 2
    bad_length = 0xC0
    bad_checksum = 0xC1
    failed = 0xC4
    not_in_flash_mode = 0xC6
    bad_deflate = 0xC7
    not_enough = 0xC8
    too_much = 0xC9
    sync_value = 0
    unknown_repeats = 1
    erases_as_it_writes = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.attached = True  # the first thing the stub does
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
        if self.chip == "esp32":
            del self.commands[0x14]

    def greet(self) -> None:
        self.machine.loader_send(slip.encode(b"OHAI"))

    def unknown(self, opcode: int) -> None:
        self.answer(opcode, 0, b"", 0xFF)

    def handle(self, frame: bytes) -> None:
        if self._read is not None:
            self._acknowledge(frame)
            return
        super().handle(frame)

    def erase_flash(self, data: bytes, checksum: int) -> Answer:
        self.need_flash()
        self.erase(0, self.flash.size)
        return 0, b""

    def erase_region(self, data: bytes, checksum: int) -> Answer:
        address, size = self.unpack("<II", data)
        self.need_flash()
        if address % SECTOR or size % SECTOR:
            raise LoaderError(0xC2)
        self.check_range(address, size)
        self.erase(address, size)
        return 0, b""

    def render_md5(self, digest: bytes) -> bytes:
        return digest

    def _finish_deflate(self) -> None:
        if self._left or not self._inflate.eof:
            raise LoaderError(self.not_enough)

    def run_user_code(self, data: bytes, checksum: int) -> Answer:
        return 0, b""

    # --- fast read: blocks go out while fewer than `in flight` are unacknowledged, then the MD5 of all ------------------

    def read_flash(self, data: bytes, checksum: int) -> Answer:
        address, size, block, in_flight = self.unpack("<IIII", data)
        if not block or block > 0x10000:
            raise LoaderError(0xC2)
        self._pending = (self.read(address, size), block, max(1, in_flight))
        return 0, b""

    def after(self, opcode: int, data: bytes) -> None:
        super().after(opcode, data)
        if opcode == 0xD2 and self._pending is not None:
            self._read, self._pending = self._pending, None
            self._sent = self._acknowledged = 0
            self._send_blocks()
        elif opcode == 0x06 and len(data) >= 8:
            stay, entry = self.unpack("<II", data)
            if not stay and entry:
                self.machine.loader_run(entry)
        elif opcode == 0xD3 or (opcode in (0x04, 0x12) and data[:4] == bytes(4)):
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
