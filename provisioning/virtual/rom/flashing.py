"""The flash commands that ROM loader and stub both have, each with its own rules: see the table of each sub-class."""

from __future__ import annotations

import hashlib
import struct
import zlib
from typing import Any

from provisioning.virtual.flash import SECTOR, FlashRangeError
from provisioning.virtual.rom.encryption import encrypt_esp32
from provisioning.virtual.rom.loader import Answer, Loader, LoaderError


class FlashCommands(Loader):
    """Write, compressed write, MD5, parameters. NOR: what is not erased first only loses bits."""

    bad_deflate = 0x0B
    not_in_flash_mode = 0x06
    too_much = 0x06
    not_enough = 0x06
    erases_as_it_writes = False

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.attached = self.chip == "esp32s2"  # its ROM attaches the flash by itself
        self.chip_size = 4 << 20  # the loader's own idea until SPI_SET_PARAMS
        self._address = 0  # where the next byte goes
        self._start = 0
        self._left = 0  # bytes still expected
        self._erased_to = 0
        self._block_size = 0
        self._blocks = 0
        self._next = 0
        self._mode = ""
        self._encrypted = False
        self._inflate: Any = None
        self.commands |= {
            0x02: self.flash_begin,
            0x03: self.flash_data,
            0x04: self.flash_end,
            0x0B: self.set_params,
            0x0D: self.spi_attach,
            0x0F: self.change_rate,
            0x10: self.deflate_begin,
            0x11: self.deflate_data,
            0x12: self.flash_end,
            0x13: self.md5,
        }

    # --- the flash itself -----------------------------------------------------------------------------------------

    def need_flash(self) -> None:
        if not self.attached:
            raise LoaderError(self.failed)

    def check_range(self, address: int, size: int) -> None:
        """Raises LoaderError for what lies outside the flash, by the parameters that were set or by its real size."""
        if address + size > min(self.chip_size, self.flash.size):
            raise LoaderError(self.failed)

    def erase(self, address: int, size: int) -> None:
        try:
            self.busy += self.flash.erase(address, size)
        except FlashRangeError:
            raise LoaderError(self.failed) from None

    def program(self, address: int, data: bytes) -> None:
        self.check_range(address, len(data))
        if self._encrypted:
            data = encrypt_esp32(data)
        try:
            self.busy += self.flash.program(address, data)
        except FlashRangeError:
            raise LoaderError(self.failed) from None

    # --- commands -------------------------------------------------------------------------------------------------

    def spi_attach(self, data: bytes, checksum: int) -> Answer:
        self.unpack("<I", data)
        self.attached = True
        return 0, b""

    def set_params(self, data: bytes, checksum: int) -> Answer:
        _id, size, _block, sector, page, _mask = self.unpack("<IIIIII", data)
        if sector != SECTOR or page != 256:
            raise LoaderError(self.failed)
        self.chip_size = size
        return 0, b""

    def change_rate(self, data: bytes, checksum: int) -> Answer:
        rate, _old = self.unpack("<II", data)
        if not 300 <= rate <= 6_000_000:
            raise LoaderError(self.failed)
        return 0, b""

    def after(self, opcode: int, data: bytes) -> None:
        if opcode == 0x0F and len(data) >= 8:
            rate = struct.unpack_from("<I", data)[0]
            if 300 <= rate <= 6_000_000:
                self.machine.loader_rate(rate)

    def flash_begin(self, data: bytes, checksum: int) -> Answer:
        self._begin("plain", data)
        return 0, b""

    def deflate_begin(self, data: bytes, checksum: int) -> Answer:
        self._begin("deflate", data)
        self._inflate = zlib.decompressobj()
        return 0, b""

    def _begin(self, mode: str, data: bytes) -> None:
        size, blocks, block_size, address = self.unpack("<IIII", data)
        self._encrypted = len(data) >= 20 and bool(self.unpack("<IIIII", data)[4])
        self._mode = ""
        if block_size > 0x4000:
            raise LoaderError(self.failed)
        if size or blocks:
            self.need_flash()
            self.check_range(address, size)
        if not self.erases_as_it_writes and size:
            self.erase(address, size)
        self._mode, self._block_size, self._blocks = mode, block_size, blocks
        self._address = self._start = address
        self._erased_to = address & ~(SECTOR - 1)
        self._left = size
        self._next = 0

    def flash_data(self, data: bytes, checksum: int) -> Answer:
        sequence, content = self.block(data, checksum)
        if self._mode != "plain":
            raise LoaderError(self.not_in_flash_mode)
        self._expect(sequence, content)
        if self.erases_as_it_writes:
            # The last block may be padded; what lies behind the announced length is not written.
            content = content[: max(0, self._left - sequence * self._block_size)]
        self._write(self._start + sequence * self._block_size, content)
        return 0, b""

    def deflate_data(self, data: bytes, checksum: int) -> Answer:
        sequence, content = self.block(data, checksum)
        if self._mode != "deflate":
            raise LoaderError(self.not_in_flash_mode)
        self._expect(sequence, content)
        try:
            plain = self._inflate.decompress(content)
        except zlib.error:
            self._mode = ""
            raise LoaderError(self.bad_deflate) from None
        if len(plain) > self._left:
            raise LoaderError(self.too_much)
        self._write(self._address, plain)
        self._address += len(plain)
        self._left -= len(plain)
        if sequence == self._blocks - 1:
            self._finish_deflate()
        return 0, b""

    def _finish_deflate(self) -> None:
        if not self._inflate.eof:
            raise LoaderError(self.not_enough)

    def _expect(self, sequence: int, content: bytes) -> None:
        # A block may be sent again after a bad checksum, never ahead of its turn.
        if sequence >= self._blocks or sequence > self._next or len(content) > self._block_size:
            raise LoaderError(self.failed)
        if self._mode == "deflate" and sequence != self._next:
            raise LoaderError(self.failed)
        self._next = sequence + 1

    def _write(self, address: int, data: bytes) -> None:
        if not data:
            return
        if self.erases_as_it_writes:
            end = address + len(data)
            if end > self._erased_to:
                self.erase(self._erased_to, end - self._erased_to)
                self._erased_to = (end + SECTOR - 1) & ~(SECTOR - 1)
        self.program(address, data)

    def flash_end(self, data: bytes, checksum: int) -> Answer:
        self.unpack("<I", data)
        if not self._mode:
            raise LoaderError(self.not_in_flash_mode)
        self._mode = ""
        return 0, b""

    def md5(self, data: bytes, checksum: int) -> Answer:
        address, size, _, _ = self.unpack("<IIII", data)
        return 0, self.render_md5(hashlib.md5(self.read(address, size), usedforsecurity=False).digest())

    def read(self, address: int, size: int) -> bytes:
        self.need_flash()
        try:
            return self.flash.read(address, size)
        except FlashRangeError:
            raise LoaderError(self.failed) from None

    def render_md5(self, digest: bytes) -> bytes:
        return digest.hex().encode()

    def security_info(self, data: bytes, checksum: int) -> Answer:
        """Flags, crypt count, seven key purposes, chip number, ROM version; the S2 ends after the purposes."""
        answer = struct.pack("<IB7x", 0, 0)
        if self.chip != "esp32s2":
            answer += struct.pack("<II", self.facts.address("IMAGE_CHIP_ID"), 1)
        return 0, answer
