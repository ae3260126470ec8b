"""Which of several applications a chip starts next: ESP-IDF's otadata, as its boot loader reads it.

Two sectors, an entry at the beginning of each, little endian (esp_flash_partitions.h, esp_ota_select_entry_t): number, 4 bytes; label, 20;
state, 4; CRC-32 of the number. The higher number that is valid names the slot: (number - 1) modulo the number of slots.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable

from provisioning.flash import partition

SECTOR = 4096
ENTRY = 32  # bytes
_FORM = struct.Struct("<I20xII")
_BLANK = 0xFFFFFFFF
_GIVEN_UP = (3, 4)  # invalid, aborted
_TRIED = 1  # pending: it was started once, and is given up at the next start


def place(table: Iterable[partition.Partition]) -> partition.Partition | None:
    """Where it lies; None in a table for one application."""
    return next((row for row in table if row.type == partition.DATA and row.subtype == partition.OTADATA), None)


def slots(table: Iterable[partition.Partition]) -> list[partition.Partition]:
    """ota_0, ota_1, …"""
    found = [row for row in table if row.type == partition.APP and partition.OTA_0 <= row.subtype <= partition.OTA_15]
    return sorted(found, key=lambda row: row.subtype)


def first_starts(entries: Iterable[bytes], count: int) -> bool:
    """Whether the next start is that of the first of `count` slots. `entries`: ENTRY bytes from the beginning of either sector."""
    numbers = []
    for number, state, check in (_FORM.unpack(entry) for entry in entries):
        if number != _BLANK and state not in (*_GIVEN_UP, _TRIED) and check == zlib.crc32(struct.pack("<I", number), _BLANK):
            numbers.append(number)
    return not numbers or (max(numbers) - 1) % count == 0
