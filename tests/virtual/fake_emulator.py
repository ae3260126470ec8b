"""Makes a folder with a stand-in for QEMU, and small firmware images for it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from provisioning.chips import CHIPS
from provisioning.virtual.boot_image import firmware

MACHINES = ("esp32", "esp32c3", "esp32c3-picsimlab")
DEVICES = ("esp32_wifi", "open_eth")


def fake(folder: Path, machines: Sequence[str] = MACHINES, devices: Sequence[str] = DEVICES, **more: str) -> Path:
    """`folder`, with the two programs that a QEMU folder has."""
    folder.mkdir()
    source = Path(__file__).with_name("fake_qemu.py").read_text("utf-8")
    for name in ("qemu-system-xtensa", "qemu-system-riscv32"):
        (folder / name).write_text(f"#!{sys.executable}\n{source}", "utf-8")
        (folder / name).chmod(0o755)
    (folder / "fake.json").write_text(json.dumps({"machines": [*machines], "devices": [*devices], **more}), "utf-8")
    return folder


def image(file: Path, chip: str, megabytes: int = 4) -> Path:
    """A whole image for this chip, as a download is."""
    file.write_bytes(firmware(CHIPS[chip], megabytes << 20))
    return file
