"""Which boards may be written at all: a list of MACs, or the `mac` column of the devices' CSV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from provisioning.config.device import MAC_COLUMN, Device
from provisioning.config.mac import normal
from provisioning.errors import FileMissing, InputError


def allowed_macs(file: Path | None, devices: Sequence[Device]) -> frozenset[str] | None:
    """The MACs of the list, else those of the CSV when every row has one, else None: every board. Raises InputError with the line."""
    if file is not None:
        return frozenset(_lines(file))
    named = [mac_of(device) for device in devices]
    return frozenset(mac for mac in named if mac) if named and all(named) else None


def mac_of(device: Device) -> str | None:
    """The MAC that this device is meant for, None for any board. Raises InputError."""
    text = device.fields.get(MAC_COLUMN, "")
    if not text:
        return None
    mac = normal(text)
    if mac is None:
        raise InputError("bad-mac", f"{device.where or device.id}: {text[:40]!r} is not a MAC.", "Write it as aa:bb:cc:dd:ee:ff.")
    return mac


def _lines(file: Path) -> list[str]:
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FileMissing("file-missing", f"The list {file} cannot be read: {error}.", "Give a text file with one MAC a line.") from None
    found = []
    for number, line in enumerate(lines, 1):
        text = line.split("#")[0].strip()
        if not text:
            continue
        mac = normal(text)
        if mac is None:
            raise InputError("bad-mac", f"{file}:{number}: {text[:40]!r} is not a MAC.", "Write it as aa:bb:cc:dd:ee:ff.")
        found.append(mac)
    return found
