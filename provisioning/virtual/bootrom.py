"""What ROM and boot loader do between a reset and the application, and what they print."""

from __future__ import annotations

from dataclasses import dataclass

from provisioning.chips import Chip
from provisioning.virtual import partition
from provisioning.virtual.boot_image import AppDescription, ImageCheck, ImageError, bootable, check, describes
from provisioning.virtual.nor_flash import NorFlash
from provisioning.virtual.otadata import OtaData

RETRY = 0.4  # s until the watchdog resets a chip that found nothing to boot
_LOADER_AREA = 0x7000  # bytes between the boot loader's offset and the partition table, at most


@dataclass(frozen=True)
class BootResult:
    """`text` is printed; `boots` says whether an application starts: the one in the partition `app`."""

    text: str
    boots: bool
    quiet: tuple[int, int] = (0, 0)  # flash range whose changes do not matter here: the file system's partition
    app: partition.PartitionEntry | None = None
    says: AppDescription | None = None


def examine(chip: Chip, flash: NorFlash) -> BootResult:
    """The chain ROM, boot loader, partition table, application; it ends at the first fault. The boot loader may write otadata:
    PowerCutError when the power goes meanwhile."""
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
    ota = OtaData(flash, rows)
    order, initial, said = ota.boot_order()
    text += said
    for app in order:
        read = flash.peek(app.offset, app.size)
        try:
            bootable(read, chip)
        except ImageError as error:
            name = f"OTA app partition slot {ota.slots.index(app)}" if app in ota.slots else "Factory app partition"
            text += f"E (74) esp_image: {error}\r\nE (80) boot: {name} is not bootable\r\n"
        else:
            if initial:
                ota.started(app)
            return BootResult(text, True, partition.files(rows, flash.size), app, describes(read))
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
