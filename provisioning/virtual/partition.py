"""The partition table of ESP-IDF: 32-byte rows at 0x8000, closed by an MD5 row (gen_esp32part)."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

TABLE_OFFSET = 0x8000
TABLE_SIZE = 0xC00
_MAGIC = b"\xaa\x50"
_MD5_MAGIC = b"\xeb\xeb" + b"\xff" * 14
APP, DATA = 0, 1
OTADATA, NVS = 0x00, 0x02  # sub-types of DATA
FACTORY, OTA_0, OTA_15 = 0x00, 0x10, 0x1F  # sub-types of APP
APP_OFFSET = 0x10000
_FILES = ("vfs", "ffat")  # labels


@dataclass(frozen=True)
class PartitionEntry:
    """One row: type, sub-type, offset and size in bytes, label."""

    type: int
    subtype: int
    offset: int
    size: int
    label: str


def standard(flash_size: int) -> tuple[PartitionEntry, ...]:
    """MicroPython's stock table for a flash of this size in bytes."""
    return (
        PartitionEntry(DATA, NVS, 0x9000, 0x6000, "nvs"),
        PartitionEntry(DATA, 0x01, 0xF000, 0x1000, "phy_init"),
        PartitionEntry(APP, FACTORY, APP_OFFSET, 0x1F0000, "factory"),
        PartitionEntry(DATA, 0x81, 0x200000, flash_size - 0x200000, "vfs"),
    )


def two_slots(flash_size: int, slot: int) -> tuple[PartitionEntry, ...]:
    """The table of MicroPython's OTA builds (partitions-4MiB-ota.csv) with two slots of `slot` bytes, the file system behind them."""
    end = APP_OFFSET + 2 * slot
    return (
        PartitionEntry(DATA, NVS, 0x9000, 0x4000, "nvs"),
        PartitionEntry(DATA, OTADATA, 0xD000, 0x2000, "otadata"),
        PartitionEntry(DATA, 0x01, 0xF000, 0x1000, "phy_init"),
        PartitionEntry(APP, OTA_0, APP_OFFSET, slot, "ota_0"),
        PartitionEntry(APP, OTA_0 + 1, APP_OFFSET + slot, slot, "ota_1"),
        PartitionEntry(DATA, 0x81, end, flash_size - end, "vfs"),
    )


def slots(rows: tuple[PartitionEntry, ...]) -> tuple[PartitionEntry, ...]:
    """The applications ota_0, ota_1, … as far as the numbers go without a gap."""
    found: list[PartitionEntry] = []
    while row := next((row for row in rows if row.type == APP and row.subtype == OTA_0 + len(found) <= OTA_15), None):
        found.append(row)
    return tuple(found)


def files(rows: tuple[PartitionEntry, ...], flash_size: int) -> tuple[int, int]:
    """Where the file system begins and ends; without one in the table, what is left behind the last partition (ports/esp32/main.c)."""
    row = next((row for row in rows if row.label in _FILES), None)
    if row:
        return row.offset, row.offset + row.size
    end = max((row.offset + row.size for row in rows), default=0)
    return end, max(end, flash_size)


def encode(rows: tuple[PartitionEntry, ...]) -> bytes:
    """The table as it lies in flash, padded with 0xff to TABLE_SIZE."""
    body = b"".join(_MAGIC + struct.pack("<BBII16sI", row.type, row.subtype, row.offset, row.size, row.label.encode(), 0) for row in rows)
    body += _MD5_MAGIC + hashlib.md5(body, usedforsecurity=False).digest()
    return body.ljust(TABLE_SIZE, b"\xff")


def decode(table: bytes) -> tuple[PartitionEntry, ...]:
    """Raises ValueError when the table is not one, or its MD5 does not match."""
    rows: list[PartitionEntry] = []
    for at in range(0, len(table) - 31, 32):
        row = table[at : at + 32]
        if row[:2] == _MAGIC:
            kind, subtype, offset, size, label, _flags = struct.unpack("<BBII16sI", row[2:])
            rows.append(PartitionEntry(kind, subtype, offset, size, label.split(b"\0")[0].decode("latin-1")))
        elif row[:16] == _MD5_MAGIC:
            if row[16:] != hashlib.md5(table[:at], usedforsecurity=False).digest():
                raise ValueError("partition table MD5 does not match")
            return tuple(rows)
        elif row == b"\xff" * 32:
            break
        else:
            raise ValueError(f"partition table row at +0x{at:x} is not one")
    if not rows:
        raise ValueError("partition table is empty")
    return tuple(rows)
