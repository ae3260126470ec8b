"""What a board is: the hardware that a product names. One YAML file per board type, in boards/ or anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from provisioning.config.block import Values

if TYPE_CHECKING:
    from provisioning.config.board_file import Baud, Firmware, Heap, Littlefs, Partition, Reset, Security

CHIPS = ("esp32", "esp32s2", "esp32s3", "esp32c2", "esp32c3", "esp32c5", "esp32c6")

# Chips that people will try, and why the answer is no.
REFUSED_CHIPS = {
    "esp8266": "its stock MicroPython builds use axTLS, which cannot verify a server at all",
    "esp32h2": "it has no Wi-Fi",
    "esp32p4": "it has no Wi-Fi of its own",
}

# Chips whose flash encryption twinroot can switch on (flash/efuse.py has the steps); esp32c2 and esp32c5 arrange their keys differently.
ENCRYPTED_CHIPS = ("esp32", "esp32s2", "esp32s3", "esp32c3", "esp32c6")

SECTOR = 4096  # bytes; the erase unit of NOR flash, and the block size of littlefs on ESP32


def megabytes(size: str) -> int:
    return int(size.removesuffix("MB")) * 1024 * 1024


class Board(Values):
    """A board type, ready to use: the keys of its file (board_file.py describes them), `name` and the file it came from."""

    extends: str | None
    description: str
    chip: str
    min_revision: str
    flash_size: str
    usb: list[str]
    native_usb: bool
    baud: Baud
    firmware: Firmware
    partition: Partition
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
    def firmware_file(self) -> Path | None:
        """The firmware image on this host, when the board names a file."""
        return Path(self.firmware.file) if self.firmware.file else None

    def summary(self) -> dict[str, Any]:
        """The board as plain JSON values."""
        return {**self.as_dict(), "source": str(self.source), "flash_bytes": self.flash_bytes}
