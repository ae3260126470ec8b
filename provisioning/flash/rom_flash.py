"""The flash behind a chip's ROM loader, read and written in small pieces without a flasher in RAM.

Nothing on this line has a check sum of its own but a command's data, so every piece that is read or written is proven by the chip's
MD5 of it, and asked for again when it differs. Source of the protocol: "Serial Protocol" in esptool's documentation.
"""

from __future__ import annotations

import hashlib
import struct

from provisioning.chips import CHIPS
from provisioning.errors import StationError
from provisioning.flash.rom import NO_ANSWER, READ_FLASH_SLOW, SPI_FLASH_MD5, SPI_SET_PARAMS, RomLoader, geometry

SECTOR = 4096  # bytes that are erased at once
PIECE = 256  # bytes that are read, and proven, at once
FLASH_BEGIN, FLASH_DATA = 0x02, 0x03
_SLOW_READ = 64  # bytes of one READ_FLASH_SLOW: the loader's own limit
_BLOCK = 1024  # bytes of one FLASH_DATA: what the ROM of every chip takes
_WRITE = 3.0  # seconds for an erase of one sector or the write of one block; data sheets say 0.4 s and 12 ms at worst
ANSWER = 2.0  # seconds for what the loader answers without a write
_TRIES = 3
_ERASED = b"\xff"
_XOR_SEED = 0xEF  # of a command's checksum


class RomFlash:
    """Reads and writes of a chip that waits in its ROM loader. `size`: bytes of flash, None when the chip's id is not known.

    Raises StationError("line-errors") when the line damages too much.
    """

    def __init__(self, loader: RomLoader, chip: str, size: int | None) -> None:
        self._loader = loader
        self._chip = chip
        self._pieces: dict[int, bytes] = {}
        self.read_bytes = 0  # that came over the line
        self.written: list[int] = []  # addresses of sectors, in the order in which they were written
        self._gone: StationError | None = None  # a file system that is being left asks again and again: it is answered at once
        self._ask(SPI_SET_PARAMS, geometry(size or 4 << 20))

    def read(self, address: int, size: int) -> bytes:
        """`size` bytes from `address` on, from memory where they were read before."""
        first = address // PIECE * PIECE
        whole = b"".join(self._piece(at) for at in range(first, address + size, PIECE))
        return whole[address - first : address - first + size]

    def write(self, address: int, content: bytes) -> None:
        """Erase the sector at `address` and write `content`, one sector long; read back as an MD5."""
        if address % SECTOR or len(content) != SECTOR:
            raise ValueError("a sector is written as a whole")
        if self._gone is not None:
            raise self._gone
        for at in range(address, address + SECTOR, PIECE):
            self._pieces.pop(at, None)
        for _ in range(_TRIES):
            try:
                self._write(address, content)
            except NO_ANSWER:
                continue  # a command or its answer was lost: the sector is written anew
            if self._md5(address, SECTOR) == _digest(content):
                break
        else:
            raise self._damaged()
        self.written.append(address)
        for at in range(0, SECTOR, PIECE):
            self._pieces[address + at] = content[at : at + PIECE]

    def _piece(self, address: int) -> bytes:
        found = self._pieces.get(address)
        if found is not None:
            return found
        rest = SECTOR - address % SECTOR
        if rest > PIECE and self._md5(address, rest) == _digest(_ERASED * rest):
            # The erased end of a block, known by one question instead of sixty answers.
            for at in range(address, address + rest, PIECE):
                self._pieces.setdefault(at, _ERASED * PIECE)
            return _ERASED * PIECE
        for _ in range(_TRIES):
            content = b"".join(
                self._ask(READ_FLASH_SLOW, struct.pack("<II", address + at, _SLOW_READ))[:_SLOW_READ] for at in range(0, PIECE, _SLOW_READ)
            )
            self.read_bytes += PIECE
            if _digest(content) == self._md5(address, PIECE):
                self._pieces[address] = content
                return content
        raise self._damaged()

    def _write(self, address: int, content: bytes) -> None:
        begin = struct.pack("<IIII", SECTOR, SECTOR // _BLOCK, _BLOCK, address)
        if CHIPS[self._chip].write_encrypted:
            begin += bytes(4)  # newer loaders: whether the chip encrypts what it writes
        self._loader.command(FLASH_BEGIN, begin, _WRITE)
        for number in range(SECTOR // _BLOCK):
            block = content[number * _BLOCK : (number + 1) * _BLOCK]
            self._loader.command(FLASH_DATA, struct.pack("<IIII", _BLOCK, number, 0, 0) + block, _WRITE, _checksum(block))

    def _md5(self, address: int, size: int) -> bytes:
        answer = self._ask(SPI_FLASH_MD5, struct.pack("<IIII", address, size, 0, 0))
        try:
            return bytes.fromhex(answer[:32].decode("ascii"))
        except ValueError:
            return b""  # damaged on the way: it equals nothing

    def _ask(self, code: int, data: bytes) -> bytes:
        """The answer to a question, which changes nothing and so may be asked again."""
        if self._gone is not None:
            raise self._gone
        for _ in range(_TRIES):
            try:
                return self._loader.command(code, data, ANSWER)
            except NO_ANSWER:
                continue
        raise self._damaged()

    def _damaged(self) -> StationError:
        self._gone = StationError(
            "line-errors",
            "The ROM loader fell silent, or the line to it loses or damages too many bytes.",
            "Check power and cable, then run the same command again: it goes on where this one stopped.",
        )
        return self._gone


def _checksum(block: bytes) -> int:
    value = _XOR_SEED
    for byte in block:
        value ^= byte
    return value


def _digest(content: bytes) -> bytes:
    return hashlib.md5(content, usedforsecurity=False).digest()
