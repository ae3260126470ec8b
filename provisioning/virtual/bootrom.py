"""What ROM and boot loader do between a reset and the application, and what they print."""

from __future__ import annotations

from dataclasses import dataclass

from provisioning.chips import Chip
from provisioning.virtual import partition
from provisioning.virtual.boot_image import ImageCheck, ImageError, check
from provisioning.virtual.nor_flash import NorFlash

RETRY = 0.4  # s until the watchdog resets a chip that found nothing to boot
_LOADER_AREA = 0x7000  # bytes between the boot loader's offset and the partition table, at most
_OTA_FIRST, _OTA_LAST, _FACTORY = 0x10, 0x1F, 0x00


@dataclass(frozen=True)
class BootResult:
    """`text` is printed; `boots` says whether the application starts."""

    text: str
    boots: bool
    quiet: tuple[int, int] = (0, 0)  # flash range whose changes do not matter here: the file system's partition


def examine(chip: Chip, flash: NorFlash) -> BootResult:
    """The chain ROM, boot loader, partition table, application; it ends at the first fault."""
    try:
        loader = check(flash.peek(chip.boot_offset, min(_LOADER_AREA, flash.size - chip.boot_offset)), with_hash=False)
    except ImageError as error:
        text = str(error)
        return BootResult(f"{text}\r\n" * (3 if text.startswith("invalid header") else 1) + "ets_main.c 371 \r\n", False)
    text = _loading(chip, loader)
    if loader.chip_id != chip.image_id:
        return BootResult(text + f"E (28) boot_comm: mismatch chip ID, expected {chip.image_id}, found {loader.chip_id}\r\n", False)
    try:
        rows = partition.decode(flash.peek(partition.TABLE_OFFSET, partition.TABLE_SIZE))
    except ValueError as error:
        return BootResult(text + f"E (38) flash_parts: {error}\r\nE (39) boot: Failed to verify partition table\r\n", False)
    problem = _outside(rows, loader, flash)
    if problem:
        return BootResult(text + problem, False)
    apps = [row for row in rows if row.type == partition.APP and (row.subtype == _FACTORY or _OTA_FIRST <= row.subtype <= _OTA_LAST)]
    for app in apps:
        try:
            found = check(flash.peek(app.offset, app.size), with_hash=True)
            if found.chip_id != chip.image_id:
                raise ImageError(f"mismatch chip ID, expected {chip.image_id}, found {found.chip_id}")
        except ImageError as error:
            text += f"E (74) esp_image: {error}\r\nE (80) boot: {app.label} app partition is not bootable\r\n"
        else:
            files = next((row for row in rows if row.label in ("vfs", "ffat")), None)
            return BootResult(text, True, (files.offset, files.offset + files.size) if files else (0, 0))
    return BootResult(text + "E (85) boot: No bootable app partitions in the partition table\r\n", False)


def _outside(rows: tuple[partition.PartitionEntry, ...], loader: ImageCheck, flash: NorFlash) -> str:
    limit = min(loader.flash_size, flash.size)
    for number, row in enumerate(rows):
        if row.offset + row.size > limit:
            return (
                f"E (38) flash_parts: partition {number} invalid - offset 0x{row.offset:x} size 0x{row.size:x} exceeds flash chip "
                f"size 0x{limit:x}\r\nE (39) boot: Failed to verify partition table\r\n"
            )
    return ""


def _loading(chip: Chip, loader: ImageCheck) -> str:
    head = chip.played().boot.before_load.format(mode=loader.flash_mode)
    loads = "".join(f"load:0x{address:08x},len:{length}\r\n" for address, length in loader.segments)
    return f"{head}{loads}entry 0x{loader.entry:08x}\r\n"
