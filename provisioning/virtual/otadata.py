"""Which application a chip with several slots starts: ESP-IDF's otadata, as boot loader and application read and write it.

Two sectors, an entry at the beginning of each: sequence number, label of 20 bytes (never written), state, CRC-32 of the number alone. The
higher number that is valid names the slot, (number - 1) modulo the number of slots. Sources, of ESP-IDF 5.2 to 5.5 with
BOOTLOADER_APP_ROLLBACK_ENABLE, as MicroPython is built: bootloader_utility.c (get_selected_boot_partition, load_boot_image,
set_actual_ota_seq), bootloader_common_loader.c (select_otadata), esp_ota_ops.c (esp_rewrite_ota_data, esp_ota_current_ota_is_workable).
`python -m tests.silicon --rows slots` holds each step against a stock boot loader, byte by byte.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace

from provisioning.chips import Chip
from provisioning.virtual import partition
from provisioning.virtual.boot_image import ImageError, bootable
from provisioning.virtual.nor_flash import SECTOR, NorFlash

NEW, PENDING_VERIFY, VALID, INVALID, ABORTED, UNDEFINED = 0, 1, 2, 3, 4, 0xFFFFFFFF
# From esp_err.h and esp_ota_ops.h.
FAIL, INVALID_ARG, NOT_FOUND, VALIDATE_FAILED = -1, -0x102, -0x105, -0x1503
_ENTRY = struct.Struct("<I20sII")
_BLANK = 0xFFFFFFFF


@dataclass(frozen=True)
class Entry:
    """`seq` 1 and up; `state` one of the words above."""

    seq: int
    state: int
    crc: int
    label: bytes = b"\xff" * 20

    @property
    def usable(self) -> bool:
        """Not blank, not given up."""
        return self.seq != _BLANK and self.state not in (INVALID, ABORTED)

    @property
    def valid(self) -> bool:
        return self.usable and self.crc == checksum(self.seq)


def checksum(seq: int) -> int:
    """esp_rom_crc32_le(UINT32_MAX, …) of the four bytes."""
    return zlib.crc32(struct.pack("<I", seq), _BLANK)


class OtaData:
    """The otadata of a flash with this table. It reads the flash at each call; writes raise PowerCutError."""

    def __init__(self, flash: NorFlash, rows: tuple[partition.PartitionEntry, ...]) -> None:
        self._flash = flash
        self._where = next((row for row in rows if row.type == partition.DATA and row.subtype == partition.OTADATA), None)
        self.factory = next((row for row in rows if row.type == partition.APP and row.subtype == partition.FACTORY), None)
        self.slots = partition.slots(rows)

    @property
    def there(self) -> bool:
        return self._where is not None

    def entries(self) -> list[Entry]:
        assert self._where is not None  # noqa: S101
        found = []
        for number in (0, 1):
            seq, label, state, crc = _ENTRY.unpack(self._flash.peek(self._where.offset + number * SECTOR, _ENTRY.size))
            found.append(Entry(seq, state, crc, label))
        return found

    def _write(self, number: int, entry: Entry) -> float:
        """Seconds that it takes. Between erase and program there is no entry."""
        assert self._where is not None  # noqa: S101
        at = self._where.offset + number * SECTOR
        return self._flash.erase(at, SECTOR) + self._flash.program(at, _ENTRY.pack(entry.seq, entry.label, entry.state, entry.crc))

    def _active(self, entries: list[Entry]) -> int | None:
        """Number of the entry in force: the higher valid one, the first of two that are equal."""
        valid = [number for number in (0, 1) if entries[number].valid]
        return max(valid, key=lambda number: (entries[number].seq, -number), default=None)

    def _slot(self, entry: Entry) -> int:
        return (entry.seq - 1) % len(self.slots)

    # --- the boot loader ------------------------------------------------------------------------------------------

    def boot_order(self) -> tuple[list[partition.PartitionEntry], bool, str]:
        """The applications to try, in order; whether otadata is to be made for the one that starts; what is printed. What was started
        before and has not said that it works is given up now; what is new is started for the first time."""
        if not self.there:
            return self._from(-1), False, ""
        entries = self.entries()
        for number, entry in enumerate(entries):
            if entry.state == PENDING_VERIFY:
                entries[number] = replace(entry, state=ABORTED)
                self._write(number, entries[number])
        if not self.slots or not any(entry.usable for entry in entries):
            first = -1 if self.factory else 0
            initial = not self.factory and all(entry.seq == _BLANK or entry.crc != checksum(entry.seq) for entry in entries)
            return self._from(first), initial, ""
        active = self._active(entries)
        if active is None:
            said = "falling back to factory" if self.factory else "and no factory, will try all partitions"
            return self._from(-1), False, f"E (64) boot: ota data partition invalid{',' if self.factory else ''} {said}\r\n"
        if entries[active].state == NEW:
            self._write(active, replace(entries[active], state=PENDING_VERIFY))
        return self._from(self._slot(entries[active])), False, ""

    def _from(self, start: int) -> list[partition.PartitionEntry]:
        """Backwards from `start` to the factory's (-1), then forwards."""
        order = [self.slots[number] for number in range(min(start, len(self.slots) - 1), -1, -1)]
        return [*order, *([self.factory] if self.factory else []), *self.slots[start + 1 :]]

    def started(self, app: partition.PartitionEntry) -> None:
        """A chip that has no otadata yet gets it with the first start."""
        if app in self.slots:
            seq = self.slots.index(app) + 1
            self._write(0, Entry(seq, VALID, checksum(seq)))

    # --- the application ------------------------------------------------------------------------------------------

    def boot(self) -> partition.PartitionEntry | None:
        """esp_ota_get_boot_partition(): what the next reset starts, as far as otadata says."""
        if not self.there:
            return None
        entries = self.entries()
        active = self._active(entries) if self.slots else None
        if active is None:
            return self.factory or next(iter(self.slots), None)
        return self.slots[self._slot(entries[active])]

    def next_update(self, start: partition.PartitionEntry) -> partition.PartitionEntry | None:
        """esp_ota_get_next_update_partition(): the slot behind this one, the first one behind the last."""
        if not self.slots:
            return None
        after = self.slots.index(start) + 1 if start in self.slots else 0
        return self.slots[after % len(self.slots)]

    def set_boot(self, chip: Chip, row: partition.PartitionEntry) -> tuple[float, int]:
        """esp_ota_set_boot_partition(): seconds that it takes, and 0 or an error of ESP-IDF."""
        try:
            bootable(self._flash.peek(row.offset, row.size), chip)
        except ImageError:
            return 0.0, VALIDATE_FAILED
        if row.type != partition.APP:
            return 0.0, INVALID_ARG
        if self._where is None:
            return 0.0, NOT_FOUND
        if row.subtype == partition.FACTORY:
            return self._flash.erase(self._where.offset, self._where.size), 0
        if row not in self.slots:
            return 0.0, INVALID_ARG
        slot, count, entries = self.slots.index(row), len(self.slots), self.entries()
        active = self._active(entries)
        if active is None:
            return self._write(0, Entry(slot + 1, NEW, checksum(slot + 1), entries[0].label)), 0
        seq = (slot + 1) % count
        while entries[active].seq > seq:
            seq += count
        other = 1 - active
        return self._write(other, Entry(seq, NEW, checksum(seq), entries[other].label)), 0

    def mark_valid(self) -> tuple[float, int]:
        """esp_ota_mark_app_valid_cancel_rollback(): of the entry in force, whatever runs. Seconds, and 0 or an error of ESP-IDF."""
        if self._where is None:
            return 0.0, NOT_FOUND
        entries = self.entries()
        active = self._active(entries)
        if active is None or not self.slots:
            return 0.0, FAIL
        if entries[active].state == VALID:
            return 0.0, 0
        return self._write(active, replace(entries[active], state=VALID, crc=checksum(entries[active].seq))), 0
