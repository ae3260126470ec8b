"""An ESP32 image as the boot ROM reads it: header, segments, checksum, appended hash.

Source of the layout: "Firmware Image Format" in esptool's documentation. Offsets in bytes, little endian:

    0   magic 0xE9           8   extended header:  12  chip id, 2 bytes
    1   number of segments                         14  minimum chip revision (old form)
    2   flash mode                                 15  minimum revision, 2 bytes, major * 100 + minor
    3   flash size, frequency                      17  maximum revision, 2 bytes
    4   entry address                              23  1: a SHA-256 follows the image

Then the segments (load address and length, 4 bytes each, and the data); zeros up to 15 modulo 16; one byte that is 0xEF xor all data.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from functools import reduce

MAGIC = 0xE9
_HEADER = 24
_CHECKSUM_SEED = 0xEF
_MAX_SEGMENTS = 16


@dataclass(frozen=True)
class AppImage:
    """One boot loader or application inside a file; `size` bytes from its magic on, hash included."""

    chip_id: int
    flash: int  # bytes of flash that it is made for
    min_revision: int  # major * 100 + minor
    segments: int
    size: int


class BadImage(ValueError):
    """The bytes are not a whole image; the text says what is wrong, in words that can end a sentence."""


def parse(data: bytes, at: int = 0) -> AppImage:
    """The image that begins at `data[at]`, its checksum and hash checked. Raises BadImage."""
    header = data[at : at + _HEADER]
    if len(header) < _HEADER:
        raise BadImage("is cut off inside the image header")
    if header[0] != MAGIC:
        raise BadImage(f"has 0x{header[0]:02x} where an image begins, expected 0x{MAGIC:02x}")
    count = header[1]
    if not 0 < count <= _MAX_SEGMENTS:
        raise BadImage(f"says that the image has {count} segments")
    position, checksum = at + _HEADER, _CHECKSUM_SEED
    for _ in range(count):
        if position + 8 > len(data):
            raise BadImage("is cut off between segments")
        (length,) = struct.unpack_from("<I", data, position + 4)
        segment = data[position + 8 : position + 8 + length]
        if len(segment) < length:
            raise BadImage(f"is cut off inside a segment, {length - len(segment)} bytes are missing")
        checksum ^= _xor(segment)
        position += 8 + length
    position += 15 - (position - at) % 16
    if position >= len(data):
        raise BadImage("is cut off before its checksum")
    if data[position] != checksum:
        raise BadImage("does not have the checksum that its data has")
    position += 1
    if header[23] == 1:
        digest = data[position : position + 32]
        if digest != hashlib.sha256(data[at:position]).digest():
            raise BadImage("does not have the SHA-256 that its data has")
        position += 32
    chip_id, _, least = struct.unpack_from("<HBH", header, 12)
    return AppImage(chip_id, (1 << 20) << (header[3] >> 4), least, count, position - at)


def _xor(data: bytes) -> int:
    """XOR of all bytes, folded in halves of a big number: a megabyte in milliseconds."""
    if not data:
        return 0
    words = len(data) // 4096
    number = reduce(lambda a, b: a ^ b, (int.from_bytes(data[i * 4096 : (i + 1) * 4096], "little") for i in range(words)), 0)
    folded = number.to_bytes(4096, "little") + data[words * 4096 :]
    return reduce(lambda a, b: a ^ b, folded, 0)
