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
NVS = 0x02  # sub-type of DATA


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
        PartitionEntry(APP, 0x00, 0x10000, 0x1F0000, "factory"),
        PartitionEntry(DATA, 0x81, 0x200000, flash_size - 0x200000, "vfs"),
    )


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
