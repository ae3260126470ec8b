"""The firmware file that an emulated chip starts with: for which chip it is, where in flash it belongs.

A download of MicroPython begins with the boot loader's image, which the ROM of each chip wants at its own address; a merged image (made
with `esptool merge-bin`, CircuitPython, Tasmota's factory file) is a flash image from address 0 on. Where the partition table is tells the
two apart: it lies at 0x8000 of every flash.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from provisioning.chips import CHIPS
from provisioning.errors import InputError
from provisioning.virtual.boot_image import MAGIC
from provisioning.virtual.partition import TABLE_OFFSET
from provisioning.virtual.qemu.machines import MACHINES

_TABLE_MAGIC = b"\xaa\x50"
_CHIP_ID = 12  # offset in an image's header, 2 bytes
_SIZE = 3  # offset of the byte whose upper half is log2 of the flash size in megabytes
_TAKE = "Take the whole image (.bin) that belongs at the start of the flash: boot loader, partition table and application."


@dataclass(frozen=True)
class Placed:
    """`size`: bytes of flash that the image says it is made for."""

    chip: str
    offset: int
    size: int
    content: bytes


def place(file: Path) -> Placed:
    """Reads the file. Raises InputError: not there, no ESP32 image, of a chip that no QEMU emulates, only an application."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError("firmware-missing", f"--firmware {file} cannot be read: {error.strerror}", "Name an image (.bin).") from error
    for chip in MACHINES.values():
        start = CHIPS[chip.chip].boot_offset
        for offset in {0, start}:
            header = content[start - offset :][:24]
            table = TABLE_OFFSET - offset
            if len(header) == 24 and header[0] == MAGIC and content[table : table + 2] == _TABLE_MAGIC and _chip(header) == chip.chip:
                return Placed(chip.chip, offset, (1 << 20) << (header[_SIZE] >> 4), content)
    raise InputError("firmware-image", _refusal(file, content), _TAKE)


def _chip(header: bytes) -> str:
    (number,) = struct.unpack_from("<H", header, _CHIP_ID)
    return next((chip.name for chip in CHIPS.values() if chip.image_id == number), f"chip {number}")


def _refusal(file: Path, content: bytes) -> str:
    if content[:1] != bytes([MAGIC]) or len(content) < 24:
        return f"--firmware {file} is not an image for an ESP32: it does not begin with one"
    name = _chip(content)
    if name not in MACHINES:
        return f"--firmware {file} is for the {name}, which QEMU does not emulate"
    return f"--firmware {file} is an image for the {name} without a partition table, such as an application alone"
