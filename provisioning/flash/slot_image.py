"""Firmware for one slot of a board that has two (`slots:`): the application alone, as it goes over the air, checked as the boot loader
does before it starts one (esp_image_verify of ESP-IDF), and for what the connection package asks of it.

A whole image, as MicroPython offers it for a blank chip, is taken too: its own partition table says where the application lies.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from provisioning.chips import CHIPS
from provisioning.config.board_type import BoardType
from provisioning.errors import FileMissing, InputError
from provisioning.flash import app_description, app_image, partition
from provisioning.link.firmware_kind import OLDEST

# sys.version, which stock builds hold as it is; their application description is empty.
_VERSION = re.compile(rb"3\.\d+\.\d+; MicroPython (v?(\d+)\.(\d+)[\w.+-]*) on 20\d\d-\d\d-\d\d")
_NUMBERS = re.compile(r"v?(\d+)\.(\d+)")
_HASHED = 23  # byte of the header: 1 when a SHA-256 follows
_WHICH = "Take the application alone (.app-bin, micropython.bin of a build), or the whole image (.bin), for this board."


@dataclass(frozen=True)
class SlotImage:
    """`version`: which MicroPython it is, such as v1.24.1. `cut`: where in the file it lay, when that is a whole image."""

    content: bytes = field(repr=False)
    version: str
    cut: int | None


def load(path: Path, board: BoardType) -> SlotImage:
    """The application in the file `path`, for a slot of this board. Raises InputError."""
    if board.slots is None:
        raise InputError(
            "no-slots",
            f"The board '{board.name}' has one place for firmware, so that new firmware cannot be tried over the air.",
            "Update its firmware by cable (`twinroot flash`), or write firmware with two slots and say so in the board file (`slots:`).",
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FileMissing("file-missing", f"The firmware image {path} cannot be read: {error.strerror}.", _WHICH) from None
    base = _base(content, board)
    at = 0 if base is None else _application(path, content, base)
    try:
        found = app_image.parse(content, at)
    except app_image.BadImage as error:
        raise _wrong(path, str(error)) from None
    application = content[at : at + found.size]
    _refuse(path, application, found, board)
    if base is None and content[found.size :].strip(b"\xff"):
        raise _wrong(path, f"holds {len(content) - found.size:,} bytes behind its application", "A signed image is not taken. " + _WHICH)
    return SlotImage(application, _version(path, application), at if base is not None else None)


def _wrong(path: Path, reason: str, hint: str = _WHICH) -> InputError:
    return InputError("firmware-image", f"The firmware image {path} {reason}.", hint)


def _base(content: bytes, board: BoardType) -> int | None:
    """Flash address of the first byte of a whole image; None for one without a partition table."""
    for base in dict.fromkeys((CHIPS[board.chip].boot_offset, 0)):
        try:
            partition.parse(content[partition.TABLE_OFFSET - base :][: partition.TABLE_SIZE])
        except partition.BadTable:
            continue
        return base
    return None


def _application(path: Path, content: bytes, base: int) -> int:
    """Where in the file the application lies that its partition table names first."""
    rows = partition.parse(content[partition.TABLE_OFFSET - base :][: partition.TABLE_SIZE])
    for at in (row.offset - base for row in sorted(rows, key=lambda row: row.offset) if row.is_app):
        if content[at : at + 4].strip(b"\xff"):
            return at
    raise _wrong(path, "is a whole image without an application")


def _refuse(path: Path, application: bytes, found: app_image.AppImage, board: BoardType) -> None:
    """Everything for which the boot loader, or the board, would not start it."""
    chip = CHIPS[board.chip]
    if found.chip_id != chip.image_id:
        other = next((each.name for each in CHIPS.values() if each.image_id == found.chip_id), f"chip id {found.chip_id}")
        raise InputError(
            "firmware-chip",
            f"The firmware image {path} is for {other}, the board '{board.name}' has an {board.chip}.",
            f"Take the image for {board.chip}.",
        )
    if application[_HASHED] != 1:
        raise _wrong(path, "has no SHA-256 at its end", "Build it with the hash appended, as ESP-IDF does by default.")
    if found.flash > board.flash_bytes:
        raise _wrong(path, f"is made for {found.flash >> 20}MB of flash, the board has {board.flash_size}", "Take the image for this size.")
    major, minor = (int(part) for part in board.min_revision[1:].split("."))
    if found.min_revision > major * 100 + minor:
        needs = f"v{found.min_revision // 100}.{found.min_revision % 100}"
        raise _wrong(
            path,
            f"needs chip revision {needs}, and the board '{board.name}' may have {board.min_revision}",
            "Take an image for older chips, or raise `min_revision` in the board file where all boards have that.",
        )
    size = board.slots.size if board.slots else 0
    if len(application) > size:
        raise InputError(
            "firmware-slot",
            f"The firmware image {path} holds an application of {len(application):,} bytes, "
            f"and a slot of the board '{board.name}' has {size:,}.",
            "Take a build made for two slots (MicroPython's variant OTA), which is smaller.",
        )


def _version(path: Path, application: bytes) -> str:
    """Which MicroPython it is."""
    banner = _VERSION.search(application)
    said = app_description.find(application)
    version = banner[1].decode() if banner else said.version if said and said.project == "micropython" else ""
    numbers = _NUMBERS.match(version)
    if numbers is None:
        name = f"{said.project} {said.version}" if said and said.project else "something that does not say what it is"
        raise _wrong(path, f"is {name}, and devices need MicroPython")
    if (int(numbers[1]), int(numbers[2])) < OLDEST:
        later = f"Take MicroPython {OLDEST[0]}.{OLDEST[1]} or later."
        raise _wrong(path, f"is MicroPython {version}, whose TLS cannot verify a server's dates", later)
    return version
