"""Non-volatile storage in the flash's partition "nvs": a log of records in one half, copied to the other half when it is full.

It lives and dies with the flash: it survives resets, power cuts and SIGKILL, and goes with an erase. A power cut in the middle of
a write leaves the value of before or the new one. The layout is this board's own, not ESP-IDF's.

    half:   HEAD (magic, generation, CRC-32 of both), then records; the head is written last
    record: RECORD (CRC-32 of all that follows, length of the key, length of the value or DELETED), key, value, padded to 4 bytes
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from provisioning.virtual import partition
from provisioning.virtual.nor_flash import SECTOR, NorFlash

# From nvs.h of ESP-IDF.
NOT_INITIALIZED, NOT_FOUND, NOT_ENOUGH_SPACE = -0x1101, -0x1102, -0x1105

_HEAD = struct.Struct("<4sII")
_RECORD = struct.Struct("<IHH")
_MAGIC = b"NVSL"
_DELETED = 0xFFFF
_BLANK = b"\xff" * _RECORD.size


class NvsError(Exception):
    """`status`: what ESP-IDF answers."""

    def __init__(self, status: int) -> None:
        super().__init__(hex(-status))
        self.status = status


@dataclass
class _Half:
    """Where a half is, and what it holds. `end`: where the next record goes, None after one that is torn."""

    start: int
    generation: int
    values: dict[bytes, bytes]
    end: int | None


class Nvs:
    """Reads the partition at each call: flash may change by other hands (esptool, a bench programmer, a restored snapshot)."""

    def __init__(self, flash: NorFlash) -> None:
        self._flash = flash

    def get(self, key: bytes) -> bytes:
        """Raises NvsError when it is not there."""
        values = self._newest()[0].values
        if key not in values:
            raise NvsError(NOT_FOUND)
        return values[key]

    def has(self, key: bytes) -> bool:
        return key in self._newest()[0].values

    def put(self, key: bytes, value: bytes | None) -> float:
        """Sets, or with None erases; seconds that flash takes. Raises NvsError, and PowerCutError when the power goes meanwhile."""
        half, other, size = self._newest()
        if half.values.get(key) == value:
            return 0.0
        record = _record(key, value)
        if half.end is not None and half.end + len(record) <= half.start + size:
            return self._flash.program(half.end, record)
        values = {**half.values}
        values.pop(key, None)
        if value is not None:
            values[key] = value
        return self._rewrite(other, size, half.generation + 1, values)

    def _rewrite(self, start: int, size: int, generation: int, values: dict[bytes, bytes]) -> float:
        body = b"".join(_record(key, value) for key, value in values.items())
        if _HEAD.size + len(body) > size:
            raise NvsError(NOT_ENOUGH_SPACE)
        seconds = self._flash.erase(start, size)
        seconds += self._flash.program(start + _HEAD.size, body)
        fields = struct.pack("<4sI", _MAGIC, generation)
        return seconds + self._flash.program(start, fields + struct.pack("<I", zlib.crc32(fields)))

    def _newest(self) -> tuple[_Half, int, int]:
        """The half in force, the start of the other one, and the size of a half in bytes. Raises NvsError without a partition."""
        try:
            rows = partition.decode(self._flash.peek(partition.TABLE_OFFSET, partition.TABLE_SIZE))
        except ValueError:
            raise NvsError(NOT_INITIALIZED) from None
        where = next((row for row in rows if (row.type, row.subtype) == (partition.DATA, partition.NVS)), None)
        size = where.size // 2 // SECTOR * SECTOR if where else 0
        if where is None or not size:
            raise NvsError(NOT_INITIALIZED)
        first, second = (self._read(where.offset + i * size, size) for i in range(2))
        newest, oldest = (first, second) if first.generation >= second.generation else (second, first)
        if newest.generation == 0:  # nothing is written yet: the first write makes the first half
            return _Half(oldest.start, 0, {}, None), newest.start, size
        return newest, oldest.start, size

    def _read(self, start: int, size: int) -> _Half:
        content = self._flash.peek(start, size)
        magic, generation, crc = _HEAD.unpack_from(content)
        if magic != _MAGIC or crc != zlib.crc32(content[: _HEAD.size - 4]):
            return _Half(start, 0, {}, None)
        values: dict[bytes, bytes] = {}
        at = _HEAD.size
        while at + _RECORD.size <= size and content[at : at + _RECORD.size] != _BLANK:
            crc, key_size, value_size = _RECORD.unpack_from(content, at)
            end = at + _RECORD.size + key_size + (0 if value_size == _DELETED else value_size)
            if end > size or zlib.crc32(content[at + 4 : end]) != crc:
                return _Half(start, generation, values, None)
            key = content[at + _RECORD.size : at + _RECORD.size + key_size]
            values.pop(key, None)
            if value_size != _DELETED:
                values[key] = content[at + _RECORD.size + key_size : end]
            at = end + -end % 4
        # A cut may have left bits behind the last record even where its head reads as blank.
        return _Half(start, generation, values, None if content[at:].strip(b"\xff") else start + at)


def _record(key: bytes, value: bytes | None) -> bytes:
    body = struct.pack("<HH", len(key), _DELETED if value is None else len(value)) + key + (value or b"")
    record = struct.pack("<I", zlib.crc32(body)) + body
    return record + b"\xff" * (-len(record) % 4)
