"""The loader in the chip's ROM, entered when IO0 is low at reset. It erases at the beginning and answers when data is in the flash."""

from __future__ import annotations

import zlib
from typing import Any

from provisioning.virtual.rom.flashing import LONGEST_BLOCK, FlashCommands
from provisioning.virtual.rom.loader import Answer, LoaderError

_SLOW_READ = 64  # bytes per READ_FLASH_SLOW, whatever was asked


class SimulatedRom(FlashCommands):
    """Answers MD5 in hexadecimal, ends its answers with four status bytes."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._mode = ""
        self._start = self._address = 0  # of the first byte, of the next one
        self._left = 0  # bytes still expected
        self._block_size = self._blocks = self._next = 0
        self._inflate: Any = None
        self.commands[0x0E] = self.read_slow
        if self.chip.security_info:
            self.commands[0x14] = self.security_info

    def flash_begin(self, data: bytes, checksum: int) -> Answer:
        self._begin("plain", data)
        return 0, b""

    def deflate_begin(self, data: bytes, checksum: int) -> Answer:
        self._begin("deflate", data)
        self._inflate = zlib.decompressobj()
        return 0, b""

    def _begin(self, mode: str, data: bytes) -> None:
        size, blocks, block_size, address = self.unpack("<IIII", data)
        self.encrypted = len(data) >= 20 and bool(self.unpack("<IIIII", data)[4])
        self._mode = ""
        if block_size > LONGEST_BLOCK:
            raise LoaderError(self.failed)
        if size or blocks:
            self.need_flash()
            self.check_range(address, size)
        if size:
            self.busy += self.erase_area(address, size)
        self._mode, self._block_size, self._blocks = mode, block_size, blocks
        self._address = self._start = address
        self._left = size
        self._next = 0

    def flash_data(self, data: bytes, checksum: int) -> Answer:
        sequence, content = self.block(data, checksum)
        if self._mode != "plain":
            raise LoaderError(self.not_in_flash_mode)
        self._expect(sequence, content)
        self.busy += sum(self.program(self._start + sequence * self._block_size, content))
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
        self.busy += sum(self.program(self._address, plain))
        self._address += len(plain)
        self._left -= len(plain)
        if sequence == self._blocks - 1 and not self._inflate.eof:
            raise LoaderError(self.not_enough)
        return 0, b""

    def _expect(self, sequence: int, content: bytes) -> None:
        # A block may be sent again after a bad checksum, never ahead of its turn.
        if sequence >= self._blocks or sequence > self._next or len(content) > self._block_size:
            raise LoaderError(self.failed)
        if self._mode == "deflate" and sequence != self._next:
            raise LoaderError(self.failed)
        self._next = sequence + 1

    def flash_end(self, data: bytes, checksum: int) -> Answer:
        self.unpack("<I", data)
        if not self._mode:
            raise LoaderError(self.not_in_flash_mode)
        self._mode = ""
        return 0, b""

    def read_slow(self, data: bytes, checksum: int) -> Answer:
        address, size = self.unpack("<II", data)
        if size > _SLOW_READ:
            raise LoaderError(0x0A)
        self.check_range(address, size)
        return 0, self.read(address, size).ljust(_SLOW_READ, b"\0")

    def after(self, opcode: int, data: bytes) -> None:
        super().after(opcode, data)
        if opcode == 0x06 and len(data) >= 8:
            stay, entry = self.unpack("<II", data)
            if not stay and entry:
                self.machine.loader_run(entry)
        elif opcode in (0x04, 0x12) and len(data) >= 4:
            # Both values leave the loader: 0 restarts, 1 runs what is in flash.
            self.machine.loader_restart("software")
