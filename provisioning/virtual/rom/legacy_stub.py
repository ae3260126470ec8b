"""esptool's older stub (`--stub-version 1`): it erases whatever was there, and an error of a write stays until the next beginning.

Source: stub_write_flash.c and stub_flasher.c of esptool-legacy-flasher-stub 1.11.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from provisioning.virtual.nor_flash import SECTOR
from provisioning.virtual.rom.flashing import LONGEST_BLOCK
from provisioning.virtual.rom.loader import Answer, LoaderError, xor
from provisioning.virtual.rom.stub import WINDOW, Stub

_CHECKSUM_BYTES = 4  # Adler-32 at the end of a deflated stream, which may come in a block of its own


class LegacyStub(Stub):
    """Other error codes for the same mistakes, and its own order of erasing and writing."""

    no_command = 0xFF
    skips_blank = False

    def raise_late(self) -> None:
        """Errors are told by data and end only."""

    def flash_begin(self, data: bytes, checksum: int) -> Answer:
        if len(data) not in (16, 20):
            raise LoaderError(self.bad_length)
        size, _, block_size, address = struct.unpack_from("<IIII", data)
        if block_size > LONGEST_BLOCK:
            raise LoaderError(self.bad_block_size)
        self.encrypted = len(data) == 20 and any(data[16:])
        self._writing, self._late = True, 0
        self._left, self._address = size, address
        self._erase_at = address // SECTOR * SECTOR
        self._erase_left = -(-(address % SECTOR + size) // SECTOR) * SECTOR
        return 0, b""

    def deflate_begin(self, data: bytes, checksum: int) -> Answer:
        answer = self.flash_begin(data, checksum)
        self._inflate = zlib.decompressobj()
        self._window.clear()
        return answer

    def flash_data(self, data: bytes, checksum: int) -> Answer:
        self._deferred = self._write(self._checked(data, checksum))
        return 0, b""

    def deflate_data(self, data: bytes, checksum: int) -> Answer:
        self._deferred = self._write_deflated(self._checked(data, checksum), 0)
        return 0, b""

    def _checked(self, data: bytes, checksum: int) -> bytes:
        if not self._writing:
            raise LoaderError(self.not_in_flash_mode)
        content = data[16:]
        if xor(content) != checksum & 0xFF:
            raise LoaderError(self.bad_checksum)
        if struct.unpack_from("<I", data.ljust(4, b"\0"))[0] != len(content):
            raise LoaderError(self.bad_length)
        if self._late:
            raise LoaderError(self._late)
        return content

    def _write(self, data: bytes) -> Iterator[float]:
        data = data[: self._left]
        if not data:
            return
        while self._erase_left and self._erase_at <= (self._address + len(data)) // SECTOR * SECTOR:
            yield from self._ready()
            self._start_erase()
        yield from self._ready()
        try:
            yield from self.program(self._address, data)
        except LoaderError as error:
            self._late = error.code  # and it goes on
        self._address += len(data)
        self._left -= len(data)

    def _write_deflated(self, content: bytes, sequence: int) -> Iterator[float]:
        if not self._left and len(content) > _CHECKSUM_BYTES:
            raise LoaderError(self.too_much)
        while content and self._left and not self._inflate.eof:
            self._start_erase()
            content = self._inflate_some(content)
            if self._inflate.eof or len(self._window) == WINDOW:
                piece = bytes(self._window)
                self._window.clear()
                yield from self._write(piece)
        if self._inflate.eof and self._left:
            raise LoaderError(self.not_enough)

    def flash_end(self, data: bytes, checksum: int) -> Answer:
        if not self._writing:
            raise LoaderError(self.not_in_flash_mode)
        if self._left:
            raise LoaderError(self.not_enough)
        self._writing = False
        if self._late:
            raise LoaderError(self._late)
        return 0, b""

    def after(self, opcode: int, data: bytes) -> None:
        super().after(opcode, data)
        if opcode in (0x04, 0x12) and data[:4] == bytes(4):
            self.machine.loader_restart("software")
