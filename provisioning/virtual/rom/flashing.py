"""What ROM loader and stubs do with the flash alike: reading, erasing and programming it, its parameters, MD5, the rate.

How data is written is each loader's own: see rom.py and stub.py. NOR: what is not erased first only loses bits.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from typing import Any

from provisioning.virtual.nor_flash import BLOCK, SECTOR, FlashRangeError
from provisioning.virtual.rom.encryption import encrypt_esp32
from provisioning.virtual.rom.loader import Answer, Loader, LoaderError

LONGEST_BLOCK = 0x4000  # bytes of data in one command


class FlashCommands(Loader):
    """`busy`, the time that an answer waits, grows with what the flash needs (flash.py)."""

    bad_deflate = 0x0B
    not_in_flash_mode = 0x06
    too_much = 0x06
    not_enough = 0x06

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.attached = self.chip.attached
        self.chip_size = 4 << 20  # the loader's own idea until SPI_SET_PARAMS
        self.encrypted = False
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

    def erase_area(self, address: int, size: int) -> float:
        """Erases the sectors that hold the range, whole blocks in one go. Seconds that it takes."""
        at, end = address // SECTOR * SECTOR, address + size
        seconds = 0.0
        try:
            while at < end:
                if at % BLOCK == 0 and end - at >= BLOCK:
                    seconds += self.flash.erase_block(at)
                    at += BLOCK
                else:
                    seconds += self.flash.erase(at, SECTOR)
                    at += SECTOR
        except FlashRangeError:
            raise LoaderError(self.failed) from None
        return seconds

    def program(self, address: int, data: bytes) -> Iterator[float]:
        """Programs `data`; yields the seconds of each sector."""
        self.check_range(address, len(data))
        if self.encrypted:
            data = encrypt_esp32(data)
        at = 0
        while at < len(data):
            n = min(SECTOR - (address + at) % SECTOR, len(data) - at)
            try:
                yield self.flash.program(address + at, data[at : at + n])
            except FlashRangeError:
                raise LoaderError(self.failed) from None
            at += n

    def read(self, address: int, size: int) -> bytes:
        """The content; the time that it takes is added to `busy`."""
        self.need_flash()
        try:
            content = self.flash.read(address, size)
        except FlashRangeError:
            raise LoaderError(self.failed) from None
        self.busy += size * self.flash.timing.read
        return content

    # --- commands -------------------------------------------------------------------------------------------------

    def flash_begin(self, data: bytes, checksum: int) -> Answer:
        raise NotImplementedError

    def flash_data(self, data: bytes, checksum: int) -> Answer:
        raise NotImplementedError

    def flash_end(self, data: bytes, checksum: int) -> Answer:
        raise NotImplementedError

    def deflate_begin(self, data: bytes, checksum: int) -> Answer:
        raise NotImplementedError

    def deflate_data(self, data: bytes, checksum: int) -> Answer:
        raise NotImplementedError

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

    def md5(self, data: bytes, checksum: int) -> Answer:
        address, size, _, _ = self.unpack("<IIII", data)
        return 0, self.render_md5(hashlib.md5(self.read(address, size), usedforsecurity=False).digest())

    def render_md5(self, digest: bytes) -> bytes:
        return digest.hex().encode()

    def security_info(self, data: bytes, checksum: int) -> Answer:
        """Flags, crypt count, seven key purposes, chip number, ROM version; the S2 ends after the purposes."""
        answer = struct.pack("<IB7x", 0, 0)
        if self.chip.magic is None:
            answer += struct.pack("<II", self.facts.address("IMAGE_CHIP_ID"), 1)
        return 0, answer
