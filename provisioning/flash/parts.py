"""What one esptool session writes: the firmware, and the pieces of the file-system image, each a file at its offset."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from provisioning.flash import esptool, otadata, partition
from provisioning.flash.firmware import Firmware

if TYPE_CHECKING:
    from provisioning.bundle.filesystem_image import FilesystemImage
    from provisioning.config.board_file import PartitionKeys

_ERASED_AT_ONCE = 65536  # bytes, by one command of any SPI NOR flash


def written_parts(own: Firmware, place: PartitionKeys, made: FilesystemImage, folder: Path, skip_same: bool) -> list[esptool.Part]:
    """Parts in order of their offset, as private files in `folder`.

    `place`: where the file system lies (bytes). `skip_same`: the board has this firmware; what is there already is then not written
    again, piece by piece, so the image is cut where the flash erases.
    """
    parts = firmware_parts(own, place, folder)
    for offset, content in made.pieces(gap=2, cut=_ERASED_AT_ONCE if skip_same else 0):
        at = place.offset + offset
        parts.append(esptool.Part(at, esptool.private_file(folder, f"fs-{at:06x}.bin", content)))
    return sorted(parts, key=lambda part: part.offset)


def firmware_parts(own: Firmware, place: PartitionKeys, folder: Path) -> list[esptool.Part]:
    """The firmware alone: the file system stays as it is. What the chip writes there itself, which of two applications it starts, is a part
    of its own, so that the rest may be there already."""
    cut = _otadata(own)
    if cut is None:
        return [esptool.Part(own.offset, _with_table(own, place, folder))]
    edges = (own.offset, *cut, own.offset + own.size)
    pieces = [(at, own.content[at - own.offset : end - own.offset]) for at, end in pairwise(edges)]
    return [esptool.Part(at, esptool.private_file(folder, f"firmware-{at:06x}.bin", content)) for at, content in pieces]


def application_part(own: Firmware) -> int:
    """Offset of the part that holds the application."""
    cut = _otadata(own)
    return cut[1] if cut else own.offset


def _otadata(own: Firmware) -> tuple[int, int] | None:
    """Where it begins and ends, when the file goes on behind it."""
    row = otadata.place(own.table)
    within = row is not None and own.offset < row.offset and row.offset + row.size < own.offset + own.size
    return (row.offset, row.offset + row.size) if row is not None and within else None


def _with_table(own: Firmware, place: PartitionKeys, folder: Path) -> Path:
    """The firmware as it is, or a copy with a partition table where it has none."""
    if own.table:
        return own.file
    table = partition.make(partition.stock(place.name, place.offset, place.size))
    at = partition.TABLE_OFFSET - own.offset
    return esptool.private_file(folder, "firmware.bin", own.content[:at] + table + own.content[at + len(table) :])
