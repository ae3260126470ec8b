"""Firmware images as ROM and boot loader check them, and a small valid stand-in for tests.

Format: esp_image_format.h of ESP-IDF: header (24 bytes), segments (address, length, data), padding to 16 with a checksum byte,
optionally a SHA-256 of everything before it.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

from provisioning.chips import VIRTUAL, Chip
from provisioning.virtual import partition
from provisioning.virtual.rom.loader import xor

MAGIC = 0xE9
_HEADER = struct.Struct("<BBBBIB3sHBHH4sB")
_MAX_SEGMENTS = 16
_APP_DESCRIPTION_MAGIC = 0xABCD5432
_MODES = ("QIO", "QOUT", "DIO", "DOUT")
_SIZE_CODE = {1: 0, 2: 1, 4: 2, 8: 3, 16: 4, 32: 5}  # megabytes -> upper half of the header's fourth byte


class ImageError(Exception):
    """The text is what ROM or boot loader print about it."""


@dataclass(frozen=True)
class ImageCheck:
    """A good image: length with checksum and hash, chip number and flash size (bytes) of its header, (address, length) of each segment."""

    length: int
    chip_id: int
    flash_size: int
    flash_mode: str
    entry: int
    segments: tuple[tuple[int, int], ...]


def check(read: bytes, with_hash: bool) -> ImageCheck:
    """Checks the image at the start of `read` (more may follow). `with_hash`: the boot loader checks it, the ROM does not."""
    if len(read) < _HEADER.size or read[0] != MAGIC:
        raise ImageError(f"invalid header: 0x{int.from_bytes(read[:4], 'little'):08x}")
    fields = _HEADER.unpack_from(read)
    segments, size_code, chip_id, hashed = fields[1], fields[3] >> 4, fields[7], fields[12]
    if not 1 <= segments <= _MAX_SEGMENTS:
        raise ImageError(f"invalid segment count: {segments}")
    at = _HEADER.size
    folded = 0
    loads: list[tuple[int, int]] = []
    for number in range(segments):
        if at + 8 > len(read):
            raise ImageError(f"invalid segment {number}")
        address, length = struct.unpack_from("<II", read, at)
        loads.append((address, length))
        at += 8
        if at + length > len(read):
            raise ImageError(f"invalid segment length 0x{length:x}")
        folded ^= xor(read[at : at + length]) ^ xor(b"")
        at += length
    end = (at | 15) + 1
    if end > len(read):
        raise ImageError("image is cut off")
    expected = folded ^ xor(b"")
    if read[end - 1] != expected:
        raise ImageError(f"Checksum failed. Calculated 0x{expected:x} read 0x{read[end - 1]:x}")
    if hashed:
        digest = read[end : end + 32]
        if with_hash and hashlib.sha256(read[:end]).digest() != digest:
            raise ImageError("Image hash failed - image is corrupt")
        end += 32
    megabytes = {code: size for size, code in _SIZE_CODE.items()}.get(size_code, 4)
    mode = _MODES[fields[2]] if fields[2] < len(_MODES) else "unknown"
    return ImageCheck(end, chip_id, megabytes << 20, mode, fields[4], tuple(loads))


def bootable(read: bytes, chip: Chip) -> ImageCheck:
    """The application at the start of `read`, as boot loader and esp_image_verify() check one. Raises ImageError."""
    found = check(read, with_hash=True)
    if found.chip_id != chip.image_id:
        raise ImageError(f"mismatch chip ID, expected {chip.image_id}, found {found.chip_id}")
    return found


def make(chip: Chip, flash_size: int, segments: list[tuple[int, bytes]], entry: int) -> bytes:
    """A valid image with checksum and hash."""
    size = _SIZE_CODE[flash_size >> 20] << 4
    # DIO, 40 MHz; revision 0 and later
    header = _HEADER.pack(MAGIC, len(segments), 2, size, entry, 0xEE, b"\0\0\0", chip.image_id, 0, 0, 0xFFFF, b"\0\0\0\0", 1)
    body = header
    folded = xor(b"")
    for address, data in segments:
        data = data.ljust((len(data) + 3) & ~3, b"\0")
        body += struct.pack("<II", address, len(data)) + data
        folded ^= xor(data) ^ xor(b"")
    body = body.ljust(len(body) | 15, b"\0") + bytes([folded])
    return body + hashlib.sha256(body).digest()


@dataclass(frozen=True)
class AppDescription:
    """esp_app_desc_t. `version`: what the firmware says it is; `project`: MicroPython's name, or a word of DOES."""

    version: str
    project: str


MICROPYTHON = AppDescription("1.29.0-stand-in", "micropython")
# A firmware that is no good, by its project: it panics, or it hangs until the watchdog bites, before any Python runs.
DOES = ("panic", "hang")


def describes(image: bytes) -> AppDescription:
    """What the application at the start of `image` says of itself."""
    version, project = struct.unpack_from("<32s32s", image, _HEADER.size + 8 + 16)
    return AppDescription(*(text.split(b"\0")[0].decode("latin-1") for text in (version, project)))


def _filler(noise: random.Random, size: int) -> bytes:
    words = [noise.randbytes(4) for _ in range(600)]
    return b"".join(noise.choice(words) for _ in range(size // 4))


def application(chip: Chip, flash_size: int, app_size: int = 0x10000, description: AppDescription = MICROPYTHON) -> bytes:
    """An application of about `app_size` bytes. Two with other descriptions differ in every block."""
    noise = random.Random(f"{chip.name} {description.version}" if description != MICROPYTHON else chip.name)
    names = (description.version.encode(), description.project.encode())
    said = struct.pack("<II8s32s32s16s16s32s32s80x", _APP_DESCRIPTION_MAGIC, 0, b"", *names, b"00:00:00",
                       b"Jan  1 2000", b"stand-in", bytes(32))  # fmt: skip
    text = said + _filler(noise, app_size // 2)
    return make(chip, flash_size, [(0x3F400020, text), (0x40080000, _filler(noise, app_size // 2))], 0x40080000)


def stand_in(chip: Chip, flash_size: int, app_size: int = 0x10000, slot: int = 0) -> dict[int, bytes]:
    """{flash offset: content}: boot loader, partition table and application that this board boots. Nothing in it can run elsewhere.
    `slot`: bytes of each of two slots, the second one empty; 0 for a table with one application."""
    noise = random.Random(chip.name)
    loader = make(chip, flash_size, [(0x3FFF0030, _filler(noise, 0x1000)), (0x40078000, _filler(noise, 0x2000))], 0x40078000)
    table = partition.encode(partition.two_slots(flash_size, slot) if slot else partition.standard(flash_size))
    return {chip.boot_offset: loader, partition.TABLE_OFFSET: table, partition.APP_OFFSET: application(chip, flash_size, app_size)}


def firmware(chip: Chip, flash_size: int, app_size: int = 0x10000, slot: int = 0) -> bytes:
    """The stand-in as one file, to be written at the chip's image offset like a MicroPython download."""
    parts = stand_in(chip, flash_size, app_size, slot)
    end = max(offset + len(content) for offset, content in parts.items())
    whole = bytearray(b"\xff" * end)
    for offset, content in parts.items():
        whole[offset : offset + len(content)] = content
    return bytes(whole[chip.boot_offset :])


def main() -> int:
    """`python -m provisioning.virtual.boot_image --chip esp32 FILE`: writes the stand-in firmware."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--chip", choices=sorted(VIRTUAL), default="esp32")
    parser.add_argument("--flash-size", type=int, choices=sorted(_SIZE_CODE), default=4, help="megabytes")
    parser.add_argument("--app-size", type=int, default=0x10000, help="bytes")
    parser.add_argument("--slot", type=lambda text: int(text, 0), default=0, help="bytes of each of two slots; without, one application")
    arguments = parser.parse_args()
    content = firmware(VIRTUAL[arguments.chip], arguments.flash_size << 20, arguments.app_size, arguments.slot)
    arguments.file.write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
