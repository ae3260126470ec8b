"""Sizes of flash, as board files write them and as the chips have them."""

from __future__ import annotations

SECTOR = 4096  # bytes; the erase unit of NOR flash, and the block size of littlefs on ESP32
FIRST_APP = 0x10000  # where MicroPython's partition tables have the first application
APP_ALIGNMENT = 0x10000  # bytes: the chip maps applications in pages of this size


def megabytes(size: str) -> int:
    return int(size.removesuffix("MB")) * 1024 * 1024
