"""Sizes of flash, as board files write them and as the chips have them."""

from __future__ import annotations

SECTOR = 4096  # bytes; the erase unit of NOR flash, and the block size of littlefs on ESP32


def megabytes(size: str) -> int:
    return int(size.removesuffix("MB")) * 1024 * 1024
