"""The firmware that a board file names: found or downloaded, checked byte by byte, its partition table read."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

from provisioning.chips import CHIPS
from provisioning.config.board_type import BoardType
from provisioning.errors import FileMissing, InputError
from provisioning.flash import app_image, downloads, partition


@dataclass(frozen=True)
class Firmware:
    """A checked firmware file. `table` is empty when the file does not reach to the place of one."""

    file: Path
    sha256: str
    version: str
    offset: int
    size: int
    min_revision: int
    content: bytes = field(repr=False)
    table: tuple[partition.Partition, ...]

    def partition(self, label: str) -> partition.Partition | None:
        """The partition with this label."""
        return next((p for p in self.table if p.label == label), None)


def load(board: BoardType, progress: downloads.Progress = lambda _done, _total: None) -> Firmware:
    """The board's firmware, checked. Raises InputError, StationError when a download fails."""
    named = board.firmware
    path = _path(board, progress)
    try:
        content = path.read_bytes()
    except OSError as error:
        hint = f"Get it from {named.page}." if named.page else "Check `firmware.file` in the board file."
        raise FileMissing("file-missing", f"The firmware image {path} cannot be read: {error.strerror}.", hint) from None
    found = hashlib.sha256(content).hexdigest()
    if found != (named.sha256 or "").lower():
        raise InputError(
            "firmware-hash",
            f"{path} has the SHA-256 {found}, the board '{board.name}' says {named.sha256}.",
            "Get the file again, or correct `firmware.sha256` when the file is the one you mean.",
        )
    boot = _boot_loader(board, path, content)
    table = _table(board, path, content)
    _applications(board, path, content, table)
    return Firmware(path, found, named.version or "", named.offset, len(content), boot.min_revision, content, table)


def _path(board: BoardType, progress: downloads.Progress) -> Path:
    named = board.firmware
    if named.file:
        return Path(named.file)
    if named.url:
        return downloads.download(named.url, named.sha256 or "", progress)
    raise InputError(
        "no-firmware",
        f"The board '{board.name}' names no firmware image, so a blank board cannot be flashed.",
        f"Make a board file with `extends: {board.name}` and `firmware: {{file: …, sha256: …, version: …, offset: 0x{named.offset:x}}}`"
        + (f"; images: {named.page}." if named.page else "."),
    )


def _wrong(path: Path, reason: str, hint: str) -> InputError:
    return InputError("firmware-image", f"The firmware image {path} {reason}.", hint)


def _boot_loader(board: BoardType, path: Path, content: bytes) -> app_image.AppImage:
    """The image that the ROM starts: it must be whole and for this chip."""
    try:
        boot = app_image.parse(content)
    except app_image.BadImage as error:
        raise _wrong(path, str(error), "Take the .bin that MicroPython offers for this board, not .app-bin, .elf or .uf2.") from None
    chip = CHIPS[board.chip]
    if boot.chip_id != chip.image_id:
        other = next((c.name for c in CHIPS.values() if c.image_id == boot.chip_id), f"chip id {boot.chip_id}")
        raise InputError(
            "firmware-chip",
            f"The firmware image {path} is for {other}, the board '{board.name}' has an {board.chip}.",
            f"Take the image for {board.chip}.",
        )
    if board.firmware.offset != chip.boot_offset:
        raise InputError(
            "firmware-offset",
            f"The board '{board.name}' has firmware at 0x{board.firmware.offset:x}; an {board.chip} starts from 0x{chip.boot_offset:x}.",
            f"Set `firmware.offset: 0x{chip.boot_offset:x}`.",
        )
    if boot.flash > board.flash_bytes:
        # Its application would end in "Detected size smaller than the size in the binary image header".
        raise _wrong(
            path, f"is made for {boot.flash >> 20}MB of flash, the board has {board.flash_size}", "Take the image for this flash size."
        )
    end = board.firmware.offset + len(content)
    if end > board.flash_bytes:
        raise _wrong(path, f"ends at 0x{end:x}, behind the end of {board.flash_size} of flash", "Take the image for this flash size.")
    return boot


def _table(board: BoardType, path: Path, content: bytes) -> tuple[partition.Partition, ...]:
    at = partition.TABLE_OFFSET - board.firmware.offset
    raw = content[at : at + partition.TABLE_SIZE]
    if not raw.strip(b"\xff"):
        return ()
    try:
        return partition.parse(raw)
    except partition.BadTable as error:
        raise _wrong(path, f"holds a partition table that {error}", "Get the file again.") from None


def _applications(board: BoardType, path: Path, content: bytes, table: tuple[partition.Partition, ...]) -> None:
    """At least one application partition holds a whole application for this chip."""
    reasons = []
    for row in (row for row in table or partition.stock("vfs", board.partition.offset, board.partition.size) if row.is_app):
        at = row.offset - board.firmware.offset
        if at >= len(content) or content[at : at + 4] == b"\xff" * 4:
            continue
        try:
            application = app_image.parse(content[at : at + row.size])
        except app_image.BadImage as error:
            reasons.append(str(error))
            continue
        if application.chip_id == CHIPS[board.chip].image_id:
            return
        reasons.append("is for another chip")
    why = f"holds an application that {reasons[0]}" if reasons else "holds no application"
    raise _wrong(path, why, "Take the whole image (.bin), and get it again if it is.")


# The first MicroPython that makes its file-system partition while it starts, instead of having it in the table.
_MAKES_ITS_OWN = (1, 26)


def makes_its_own(board: BoardType, firmware: Firmware) -> bool:
    """Whether the firmware's table leaves the file system out, so that its size is that of the flash that is really there."""
    version = tuple(int(part) for part in re.findall(r"\d+", firmware.version)[:2])
    return bool(firmware.table) and version >= _MAKES_ITS_OWN and partition.rest(firmware.table, board.flash_bytes) is not None


def file_system(board: BoardType, firmware: Firmware, flash: int | None = None) -> partition.Partition:
    """The partition that the file system goes to, on a chip with `flash` bytes (the board file's by default).

    Raises InputError: not there, too small, over the end, over the firmware.
    """
    wanted = board.partition
    if not firmware.table:
        return next(p for p in partition.stock(wanted.name, wanted.offset, wanted.size) if p.label == wanted.name)
    row = firmware.partition(wanted.name)
    if row is None and wanted.name == partition.FILE_SYSTEMS[0] and makes_its_own(board, firmware):
        row = partition.rest(firmware.table, flash or board.flash_bytes)
    if row is None:
        if firmware.partition("ffat"):
            raise InputError(
                "needs-littlefs",
                f"The firmware image {firmware.file} keeps its files in a FAT partition (ffat), where a rename is not atomic.",
                "Take a firmware image whose file-system partition is named vfs.",
            )
        labels = ", ".join(p.label for p in firmware.table)
        raise InputError(
            "no-partition",
            f"The firmware image {firmware.file} has no partition '{wanted.name}', it has {labels}.",
            "Set `partition.name` in the board file to one of them.",
        )
    if row.size < wanted.size:
        raise InputError(
            "partition-too-small",
            f"The partition '{row.label}' of {firmware.file} has {row.size} bytes, the board '{board.name}' expects {wanted.size}.",
            "Correct `partition` in the board file, or take another image.",
        )
    if row.offset + row.size > (flash or board.flash_bytes):
        raise InputError(
            "partition-outside",
            f"The partition '{row.label}' of {firmware.file} ends behind the end of {board.flash_size} of flash.",
            "Take the image for this flash size.",
        )
    return row
