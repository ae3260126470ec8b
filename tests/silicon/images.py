"""What a firmware image is, and so what is expected of it: the whole matrix, or a refusal by name."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from provisioning.flash import app_image
from provisioning.link.firmware_kind import OLDEST
from provisioning.virtual import partition
from provisioning.virtual.qemu import firmware
from provisioning.virtual.qemu.machines import MACHINES

_MICROPYTHON = re.compile(rb"v?(\d+)\.(\d+)(?:\.(\d+))?[\w.-]* on 20\d\d-\d\d-\d\d")


@dataclass(frozen=True)
class Image:
    """`refused`: the codes that are right for it; empty for a MicroPython that the product serves."""

    file: Path
    chip: str
    title: str
    version: str
    offset: int
    sha256: str
    refused: tuple[str, ...]

    @property
    def board(self) -> str:
        return MACHINES[self.chip].board


def of(file: Path) -> Image:
    """Raises InputError for a file that no emulated chip can start from."""
    placed = firmware.place(file)
    name, version, refused = _kind(placed)
    return Image(file, placed.chip, f"{placed.chip} {name}", version, placed.offset, hashlib.sha256(placed.content).hexdigest(), refused)


def _kind(placed: firmware.Placed) -> tuple[str, str, tuple[str, ...]]:
    content = placed.content
    found = _MICROPYTHON.search(content)
    version = ".".join(part.decode() for part in found.groups() if part) if found else ""
    if not _application(placed):
        return f"{version or 'image'}, application broken", version, ("no-firmware", "crash-loop")
    if b"CircuitPython" in content:
        return "CircuitPython", "", ("circuitpython",)
    if found is None:
        return ("Tasmota" if b"Tasmota" in content else "another firmware"), "", ("other-firmware",)
    if (int(found[1]), int(found[2])) < OLDEST:
        return version, version, ("micropython-too-old",)
    return version, version, ()


def _application(placed: firmware.Placed) -> bool:
    """Whether the first application partition holds a whole image."""
    at = partition.TABLE_OFFSET - placed.offset
    try:
        rows = partition.decode(placed.content[at : at + partition.TABLE_SIZE])
        first = next(row for row in rows if row.type == partition.APP)
        app_image.parse(placed.content, first.offset - placed.offset)
    except (ValueError, StopIteration):
        return False
    return True
