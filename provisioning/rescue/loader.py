"""The files of a board through its ROM loader: the firmware is not touched, and only the blocks that are needed cross the line."""

from __future__ import annotations

from dataclasses import dataclass

from provisioning.errors import BoardError
from provisioning.flash import partition
from provisioning.flash.partition import Partition
from provisioning.flash.rom import ChipFacts, RomLoader
from provisioning.flash.rom_flash import RomFlash


@dataclass(frozen=True)
class Held:
    """A board in its loader, its partition of files found."""

    facts: ChipFacts
    flash: RomFlash
    partition: Partition


def look(loader: RomLoader, port: str, expected: str = "") -> Held:
    """Where the files lie. Raises BoardError for a chip whose flash cannot be read, or a table without a place for files."""
    facts = loader.identify(expected)
    locked = "flash encryption" if facts.flash_encryption else "secure download mode" if facts.secure_download else ""
    if locked:
        raise BoardError(
            "security-on",
            f"The chip on {port} has {locked} on: its files cannot be reached through the ROM loader.",
            "They can be reached by its prompt only, or never; `twinroot flash --efuses PRODUCT.yaml` shows what was burned.",
        )
    flash = RomFlash(loader, facts.chip, facts.flash)
    return Held(facts, flash, _files(flash, facts.flash, port))


def _files(flash: RomFlash, size: int | None, port: str) -> Partition:
    data = flash.read(partition.TABLE_OFFSET, partition.TABLE_SIZE)
    try:
        rows = partition.parse(data)
    except partition.BadTable as error:
        raise BoardError(
            "no-partition-table",
            f"The flash of the board on {port} holds no partition table: it {error}.",
            "Nothing tells where its files are; write the board anew with `twinroot flash PRODUCT.yaml`.",
        ) from None
    found = next((row for row in rows if row.label in partition.FILE_SYSTEMS), None) or partition.rest(rows, size or 0)
    if found is None:
        raise BoardError(
            "no-file-system",
            f"The partition table of the board on {port} has no place for files.",
            "It is not MicroPython firmware with files of its own; `twinroot flash PRODUCT.yaml` writes one.",
        )
    return found
