"""SPI NOR flash in a file: programming only clears bits, an erase sets 4096 bytes, power may go at any operation.

Every operation is in the image file when it is done: another process that reads the file, or starts after a SIGKILL, sees it.
Times are in seconds. Source: Winbond's W25Q32JV data sheet, "AC Electrical Characteristics" (tPP, tSE, tBE2), typical and maximum; a
GD25Q32C is within a fifth of them. The ROM loader reads at the SPI clock's rate: 20 MHz on one line, 32 bits of command and address for
64 bytes. What a read costs the firmware is the chip's, not the flash's: see provisioning/chips.
"""

from __future__ import annotations

import mmap
import os
import random
from dataclasses import dataclass, field, replace
from pathlib import Path

from provisioning.chips.flash_reads import FREE, ReadCost

SECTOR = 4096
BLOCK = 65536
PAGE = 256
ERASED = 0xFF


@dataclass(frozen=True)
class FlashTiming:
    """Seconds per operation; zero is an ideal flash."""

    program: float = 0.0  # per page of 256 bytes
    erase: float = 0.0  # per sector of 4096 bytes
    erase_block: float = 0.0  # per block of 64 KB, in one command
    read: float = 0.0  # per byte, by ROM loader and stub through the SPI controller
    firmware: ReadCost = FREE  # by MicroPython

    @classmethod
    def named(cls, name: str, reads: ReadCost | None = None) -> FlashTiming:
        """A profile of `PROFILES`; `reads`: the chip's. KeyError for another name."""
        profile = PROFILES[name]
        return profile if reads is None or name not in _READS_OF_CHIP else replace(profile, firmware=reads)


_SPI = (32 + 512) / 20e6 / 64
PROFILES = {
    "none": FlashTiming(),
    "typical": FlashTiming(0.0007, 0.045, 0.150, _SPI),
    "worst": FlashTiming(0.003, 0.400, 2.0, _SPI),
    "slow": FlashTiming(0.020, 0.020, 0.020, _SPI, ReadCost(0.020)),  # every operation, as measured on Espressif's machines in QEMU
}
_READS_OF_CHIP = ("typical", "worst")


class PowerCutError(Exception):
    """Power went during a flash operation; the operation is torn."""


class FlashRangeError(Exception):
    """The address or the length lies outside the flash."""


@dataclass
class FlashCounters:
    programs: int = 0  # pages
    program_bytes: int = 0
    erases: int = 0  # sectors
    erases_per_block: dict[int, int] = field(default_factory=dict)
    reads: int = 0
    read_bytes: int = 0
    seconds: float = 0.0  # that all of them took

    @property
    def operations(self) -> int:
        """Programs and erases: what a power cut can tear."""
        return self.programs + self.erases


class NorFlash:
    """`size` bytes, kept in `path`; a new file is blank."""

    def __init__(self, path: Path, size: int, timing: FlashTiming | None = None) -> None:
        self.path = path
        self.size = size
        self.timing = timing or FlashTiming()
        self.counters = FlashCounters()
        self.cut_after: int | None = None  # operations from now until the power goes, 0 = in the next one
        self.tear = random.Random(0)
        self.worn: set[int] = set()  # sectors whose erase no longer works
        self.quiet = (0, 0)  # a range whose changes do not count as changes of the firmware
        self.firmware_changes = 0
        fresh = not path.exists() or path.stat().st_size != size
        if fresh:
            temporary = path.with_suffix(".new")
            # A device's private key may come to lie in it.
            temporary.touch(0o600)
            temporary.chmod(0o600)
            temporary.write_bytes(bytes([ERASED]) * size)
            temporary.replace(path)
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._map = mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)
        self._map.madvise(mmap.MADV_DONTFORK)

    def close(self) -> None:
        self._map.close()

    def read(self, address: int, size: int) -> bytes:
        self._check(address, size)
        self.counters.reads += 1
        self.counters.read_bytes += size
        self.counters.seconds += size * self.timing.read
        return self._map[address : address + size]

    def peek(self, address: int, size: int) -> bytes:
        """Like read, for the board's own use: not counted."""
        self._check(address, size)
        return self._map[address : address + size]

    def program(self, address: int, data: bytes) -> float:
        """Clears bits, page by page. Seconds that it takes. Raises PowerCutError when the power goes meanwhile."""
        self._check(address, len(data))
        seconds = 0.0
        at = 0
        while at < len(data):
            n = min(PAGE - (address + at) % PAGE, len(data) - at)
            self._program_page(address + at, data[at : at + n])
            seconds += self.timing.program
            at += n
        self.counters.seconds += seconds
        return seconds

    def erase(self, address: int, size: int) -> float:
        """Erases the sectors that hold the range. Seconds that it takes. Raises PowerCutError when the power goes meanwhile."""
        self._check(address, size)
        seconds = 0.0
        for sector in range(address // SECTOR, (address + size + SECTOR - 1) // SECTOR):
            self._erase_sector(sector)
            seconds += self.timing.erase
        self.counters.seconds += seconds
        return seconds

    def erase_block(self, address: int) -> float:
        """Erases the 64 KB that hold the address, in one go: a power cut meanwhile tears all of it. Seconds that it takes."""
        first = address // BLOCK * BLOCK
        self._check(first, BLOCK)
        sectors = range(first // SECTOR, (first + BLOCK) // SECTOR)
        if self.cut_after is not None and self.cut_after < len(sectors):
            self.cut_after = None
            self._touched(first, BLOCK)
            for sector in sectors:
                self._tear_erase(sector * SECTOR)
            raise PowerCutError
        for sector in sectors:
            self._erase_sector(sector)
        self.counters.seconds += self.timing.erase_block
        return self.timing.erase_block

    def _program_page(self, address: int, data: bytes) -> None:
        self._touched(address, len(data))
        old = self._map[address : address + len(data)]
        new = _and(old, data)
        if self._power_goes():
            # Some bytes are done, one has only some of its bits, the rest are as before.
            done = self.tear.randrange(len(data) + 1)
            torn = new[:done] + old[done:]
            if done < len(data):
                half = old[done] & (data[done] | self.tear.randrange(256))
                torn = new[:done] + bytes([half]) + old[done + 1 :]
            self._map[address : address + len(data)] = torn
            raise PowerCutError
        self._map[address : address + len(data)] = new
        self.counters.programs += 1
        self.counters.program_bytes += len(data)

    def _erase_sector(self, sector: int) -> None:
        at = sector * SECTOR
        self._touched(at, SECTOR)
        if self._power_goes():
            self._tear_erase(at)
            raise PowerCutError
        if sector in self.worn:
            # A worn sector keeps every 97th byte from becoming all ones.
            kept = bytearray([ERASED]) * SECTOR
            kept[::97] = bytes(len(kept[::97]))
            self._map[at : at + SECTOR] = bytes(kept)
        else:
            self._map[at : at + SECTOR] = bytes([ERASED]) * SECTOR
        self.counters.erases += 1
        self.counters.erases_per_block[sector] = self.counters.erases_per_block.get(sector, 0) + 1

    def _tear_erase(self, at: int) -> None:
        """An erase is not done from one end to the other: bits come up in any order."""
        old = self._map[at : at + SECTOR]
        noise = self.tear.randbytes(SECTOR)
        shape = self.tear.randrange(4)
        if shape == 0:
            torn = old
        elif shape == 1:
            cut = self.tear.randrange(SECTOR + 1)
            torn = bytes([ERASED]) * cut + old[cut:]
        elif shape == 2:
            torn = _or(old, noise)
        else:
            torn = _or(_or(old, noise), self.tear.randbytes(SECTOR))
        self._map[at : at + SECTOR] = torn

    def _touched(self, address: int, size: int) -> None:
        if address < self.quiet[0] or address + size > self.quiet[1]:
            self.firmware_changes += 1

    def _power_goes(self) -> bool:
        if self.cut_after is None:
            return False
        if self.cut_after > 0:
            self.cut_after -= 1
            return False
        self.cut_after = None
        return True

    def load(self, image: bytes, address: int = 0) -> None:
        """Replaces content as a programmer on the bench would: no wear, not counted."""
        self._check(address, len(image))
        if image != self._map[address : address + len(image)]:
            self._touched(address, len(image))
        self._map[address : address + len(image)] = image

    def _check(self, address: int, size: int) -> None:
        if address < 0 or size < 0 or address + size > self.size:
            raise FlashRangeError(f"0x{address:x}+0x{size:x} is outside the flash of 0x{self.size:x} bytes")


def _and(left: bytes, right: bytes) -> bytes:
    both = int.from_bytes(left, "little") & int.from_bytes(right, "little")
    return both.to_bytes(len(left), "little")


def _or(left: bytes, right: bytes) -> bytes:
    either = int.from_bytes(left, "little") | int.from_bytes(right, "little")
    return either.to_bytes(len(left), "little")
