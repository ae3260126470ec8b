"""The partition table: read from an image, found by label, made where an image has none.

Source: "Partition Tables" in the ESP-IDF programming guide. 32 bytes per entry: 0xAA 0x50, type, sub-type, offset, size (4 bytes each,
little endian), label of 16 bytes, flags of 4; then an entry 0xEB 0xEB, fourteen 0xFF, and the MD5 of the entries before it; then 0xFF.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

TABLE_OFFSET = 0x8000  # where the boot loader of ESP-IDF's default configuration looks
TABLE_SIZE = 0xC00
FACTORY_OFFSET = 0x10000  # where stock tables have the application
_ENTRY = struct.Struct("<2sBBII16sI")
_MAGIC, _MD5 = b"\xaa\x50", b"\xeb\xeb"

APP, DATA = 0x00, 0x01
FILE_SYSTEMS = ("vfs", "ffat")  # labels that MicroPython looks for
FACTORY, OTA_0, OTA_15 = 0x00, 0x10, 0x1F  # sub-types of APP
OTADATA = 0x00  # sub-type of DATA


@dataclass(frozen=True)
class Partition:
    """One row of the table; offset and size in bytes."""

    label: str
    type: int
    subtype: int
    offset: int
    size: int

    @property
    def is_app(self) -> bool:
        """Whether an application may lie there."""
        return self.type == APP


class BadTable(ValueError):
    """The bytes are not a partition table; the text can end a sentence."""


def parse(data: bytes) -> tuple[Partition, ...]:
    """The partitions of a table. Raises BadTable."""
    rows: list[Partition] = []
    for at in range(0, min(len(data), TABLE_SIZE), _ENTRY.size):
        entry = data[at : at + _ENTRY.size]
        if entry == b"\xff" * _ENTRY.size:
            break
        if len(entry) == _ENTRY.size and entry[:2] == _MD5:
            if entry[16:] != hashlib.md5(data[:at], usedforsecurity=False).digest():
                raise BadTable("has a wrong MD5")
            break
        if len(entry) < _ENTRY.size or entry[:2] != _MAGIC:
            raise BadTable(f"has no entry at byte {at}")
        _, type_, subtype, offset, size, label, _ = _ENTRY.unpack(entry)
        rows.append(Partition(label.split(b"\0")[0].decode("utf-8", "replace"), type_, subtype, offset, size))
    if not rows:
        raise BadTable("has no entries")
    return tuple(rows)


def make(rows: tuple[Partition, ...]) -> bytes:
    """The bytes of a table, TABLE_SIZE long."""
    body = b"".join(_ENTRY.pack(_MAGIC, p.type, p.subtype, p.offset, p.size, p.label.encode(), 0) for p in rows)
    digest = hashlib.md5(body, usedforsecurity=False).digest()
    return (body + _MD5 + b"\xff" * 14 + digest).ljust(TABLE_SIZE, b"\xff")


def stock(label: str, offset: int, size: int) -> tuple[Partition, ...]:
    """The table of stock MicroPython with the file system at `offset`: nvs, phy_init, factory up to it."""
    return (
        Partition("nvs", DATA, 0x02, 0x9000, 0x6000),
        Partition("phy_init", DATA, 0x01, 0xF000, 0x1000),
        Partition("factory", APP, FACTORY, FACTORY_OFFSET, offset - FACTORY_OFFSET),
        Partition(label, DATA, 0x81, offset, size),
    )


def two_slots(slot: int, flash: int) -> tuple[Partition, ...]:
    """The table of MicroPython's OTA builds (partitions-4MiB-ota.csv) with slots of this size; the file system has the rest of `flash`."""
    end = FACTORY_OFFSET + 2 * slot
    return (
        Partition("nvs", DATA, 0x02, 0x9000, 0x4000),
        Partition("otadata", DATA, OTADATA, 0xD000, 0x2000),
        Partition("phy_init", DATA, 0x01, 0xF000, 0x1000),
        Partition("ota_0", APP, OTA_0, FACTORY_OFFSET, slot),
        Partition("ota_1", APP, OTA_0 + 1, FACTORY_OFFSET + slot, slot),
        Partition(FILE_SYSTEMS[0], DATA, 0x81, end, flash - end),
    )


def rest(rows: tuple[Partition, ...], flash: int) -> Partition | None:
    """What MicroPython from 1.26 on makes a `vfs` of when its table has none: all behind the last partition, up to the end of the flash
    that is really there (`flash`, bytes). None where nothing is left, or where the table has a file system.

    Source: boardctrl_startup() in ports/esp32/main.c.
    """
    end = max((row.offset + row.size for row in rows), default=0)
    if not end or end >= flash or any(row.label in FILE_SYSTEMS for row in rows):
        return None
    return Partition(FILE_SYSTEMS[0], DATA, 0x81, end, flash - end)
