"""The demo's factory: a firmware image to write, and the line that writes it, with a ledger and a cache of the demo's own."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from provisioning.chips import CHIPS
from provisioning.config.device import Device
from provisioning.config.product import Product
from provisioning.job.report import Report
from provisioning.virtual import boot_image

BOARD_FILE = "board.yaml"
_FIRMWARE = "firmware.bin"
_CHIP = CHIPS["esp32"]
_FLASH = 4 << 20  # bytes


def write_board(at: Path) -> None:
    """board.yaml with a firmware image beside it: the stand-in that the virtual board boots, in the form of a MicroPython download."""
    content = boot_image.firmware(_CHIP, _FLASH)
    (at / _FIRMWARE).write_bytes(content)
    (at / BOARD_FILE).write_text(
        "extends: virtual-esp32\n"
        f'firmware: {{file: {_FIRMWARE}, sha256: "{hashlib.sha256(content).hexdigest()}", version: "1.29.0-stand-in"}}\n',
        encoding="utf-8",
    )


def flash_board(product: Product, device: Device, port: str, folder: Path) -> Report:
    """`twinroot flash` on the board at `port`; ledger, logs and remembered rates stay in `folder`."""
    from provisioning.job.flash import flash
    from provisioning.job.plan import FlashOptions, FlashPlan
    from provisioning.ledger.store import Ledger

    folder.mkdir()
    with _cache_in(folder / "cache"), Ledger.open(folder / "ledger.sqlite") as ledger:
        return flash(FlashPlan.of(product), [device], port, ledger, FlashOptions(operator="demo"))


@contextmanager
def _cache_in(folder: Path) -> Iterator[None]:
    """The demo reads and leaves nothing in the cache of the user who looks at it."""
    before = os.environ.get("TWINROOT_CACHE")
    os.environ["TWINROOT_CACHE"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["TWINROOT_CACHE"]
        else:
            os.environ["TWINROOT_CACHE"] = before
