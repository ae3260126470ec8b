"""What a board is: the hardware that a product names. One YAML file per board type, in boards/ or anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from provisioning.config.block import Values
from provisioning.config.sizes import megabytes

if TYPE_CHECKING:
    from provisioning.config.board_file import Baud, FirmwareKeys, Heap, Littlefs, PartitionKeys, Reset, Security, Slots


class BoardType(Values):
    """A board type, ready to use: the keys of its file (board_file.py describes them), `name` and the file it came from."""

    extends: str | None
    description: str
    chip: str
    min_revision: str
    flash_size: str
    usb: list[str]
    native_usb: bool
    baud: Baud
    firmware: FirmwareKeys
    partition: PartitionKeys
    slots: Slots | None
    filesystem: Literal["littlefs", "fat"]
    littlefs: Littlefs
    heap: Heap
    reset: Reset
    security: Security
    name: str
    source: Path

    @property
    def flash_bytes(self) -> int:
        """Size of the flash chip in bytes."""
        return megabytes(self.flash_size)

    @property
    def usb_ids(self) -> frozenset[tuple[int, int]]:
        """(vendor, product) of the USB bridges on such boards."""
        pairs = (text.split(":") for text in self.usb)
        return frozenset((int(vendor, 16), int(product, 16)) for vendor, product in pairs)

    @property
    def firmware_file(self) -> Path | None:
        """The firmware image on this host, when the board names a file."""
        return Path(self.firmware.file) if self.firmware.file else None

    def summary(self) -> dict[str, Any]:
        """The board as plain JSON values."""
        return {**self.as_dict(), "source": str(self.source), "flash_bytes": self.flash_bytes}
