"""An application for a slot: what is taken, from which file, and what a board would not start."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from provisioning.chips import CHIPS
from provisioning.config.load import load_board
from provisioning.errors import InputError
from provisioning.flash import slot_image
from provisioning.virtual import boot_image, partition

BOARD = "virtual-esp32-ota"
ESP32 = CHIPS["esp32"]
FLASH = 4 << 20


def described(version: str, project: str = "micropython", chip: str = "esp32", size: int = 0x2000, flash: int = FLASH) -> bytes:
    return boot_image.application(CHIPS[chip], flash, size, boot_image.AppDescription(version, project))


def stock(version: str) -> bytes:
    """As stock builds are: nothing in the description, what sys.version says in the data."""
    text = f"3.4.0; MicroPython {version} on 2025-06-01\0".encode().ljust(64, b"\0")
    return boot_image.make(ESP32, FLASH, [(0x3F400020, described("", "")[32 : 32 + 256] + text), (0x40080000, bytes(4096))], 0x40080000)


def load(folder: Path, content: bytes, board: str = BOARD) -> slot_image.SlotImage:
    file = folder / "image.bin"
    file.write_bytes(content)
    return slot_image.load(file, load_board(board))


GOOD = described("v1.25.0")


def whole(application: bytes, offset: int = 0x10000, base: int = 0x1000) -> bytes:
    """A file for a blank chip: boot loader, table, application in its second place when `offset` says so."""
    made = bytearray(b"\xff" * (offset - base)) + application
    loader = boot_image.stand_in(ESP32, FLASH)[0x1000]
    made[0x1000 - base : 0x1000 - base + len(loader)] = loader
    table = partition.encode(partition.two_slots(FLASH, 0x180000))
    made[0x8000 - base : 0x8000 - base + len(table)] = table
    return bytes(made)


@pytest.mark.parametrize(
    ("content", "cut", "version"),
    [
        (GOOD, None, "v1.25.0"),
        (GOOD + b"\xff" * 3000, None, "v1.25.0"),
        (stock("v1.26.0-preview.12.gabc"), None, "v1.26.0-preview.12.gabc"),
        (whole(GOOD), 0xF000, "v1.25.0"),
        (whole(GOOD) + b"\xff" * 5000, 0xF000, "v1.25.0"),
        (whole(GOOD, base=0), 0x10000, "v1.25.0"),
        (whole(GOOD, offset=0x190000), 0x18F000, "v1.25.0"),
    ],
    ids=["alone", "padded", "stock", "whole", "whole, padded", "whole, from 0 on", "whole, in the second slot"],
)
def test_an_application(tmp_path: Path, content: bytes, cut: int | None, version: str) -> None:
    found = load(tmp_path, content)
    assert (found.cut, found.version) == (cut, version)
    assert found.content in content and len(found.content) == boot_image.bootable(found.content, ESP32).length


def damaged(content: bytes, index: int) -> bytes:
    made = bytearray(content)
    made[index] ^= 1
    return bytes(made)


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        (b"", "firmware-image", "is cut off inside the image header"),
        (b"\x7fELF" + bytes(5000), "firmware-image", "has 0x7f where an image begins"),
        (damaged(GOOD, 500), "firmware-image", "does not have the checksum"),
        (damaged(GOOD, -5), "firmware-image", "does not have the SHA-256"),
        (damaged(GOOD[:-32], 23), "firmware-image", "has no SHA-256"),
        (GOOD[:-200], "firmware-image", "is cut off"),
        (GOOD + b"signature", "firmware-image", "9 bytes behind its application"),
        (whole(damaged(GOOD, 500)), "firmware-image", "does not have the checksum"),
        (whole(b""), "firmware-image", "is a whole image without an application"),
        (described("v1.25.0", chip="esp32c3"), "firmware-chip", "is for esp32c3"),
        (described("v1.25.0", size=0x180000), "firmware-slot", "a slot of the board 'virtual-esp32-ota' has 1,572,864"),
        (described("v1.25.0", flash=8 << 20), "firmware-image", "is made for 8MB of flash"),
        (described("9.2.3", "circuitpython"), "firmware-image", "is circuitpython 9.2.3"),
        (described("", ""), "firmware-image", "does not say what it is"),
        (stock("v1.20.0"), "firmware-image", "is MicroPython v1.20.0, whose TLS"),
    ],
)
def test_what_a_board_would_not_start(tmp_path: Path, content: bytes, code: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path, content)
    assert caught.value.code == code and says in caught.value.message and caught.value.hint, caught.value.message


def test_a_chip_that_is_too_old_for_it(tmp_path: Path) -> None:
    """The header says which revision it needs; its SHA-256 is over that."""
    made = bytearray(GOOD[:-32])
    made[15:17] = (300).to_bytes(2, "little")
    made += hashlib.sha256(made).digest()
    with pytest.raises(InputError, match=r"needs chip revision v3\.0, and the board 'virtual-esp32-ota' may have v0\.0"):
        load(tmp_path, bytes(made))


def test_a_board_with_one_place_for_firmware(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path, GOOD, "virtual-esp32")
    assert caught.value.code == "no-slots" and "twinroot flash" in caught.value.hint
    with pytest.raises(InputError, match="cannot be read"):
        slot_image.load(tmp_path / "none.bin", load_board(BOARD))
