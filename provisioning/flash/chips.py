"""What the ROM loader of each chip shows of it: identity, MAC, revision, flash, security. Adding a chip is adding a row.

Source of the numbers: the technical reference manuals (chapters "eFuse Controller" and "SPI Controller"), as esptool's targets have them.
A bit field is (register, shift, width); a revision is major * 100 + minor.
"""

from __future__ import annotations

from dataclasses import dataclass

MAGIC_REGISTER = 0x40001000  # its content names esp32 and esp32s2, which have no chip id in their security info

Bits = tuple[int, int, int]


@dataclass(frozen=True)
class Spi:
    """The SPI controller that the flash hangs on: its base, and offsets of the registers for one user command."""

    base: int
    usr: int = 0x18
    usr1: int = 0x1C
    usr2: int = 0x20
    miso_len: int = 0x28
    w0: int = 0x58


@dataclass(frozen=True)
class Chip:
    """One chip. `minor` fields are concatenated, the first one lowest. `crypt_count`: an odd number of ones means encrypted flash."""

    name: str
    image_id: int
    boot_offset: int
    mac: tuple[int, int]  # registers of the low and the high word
    major: tuple[Bits, ...]
    minor: tuple[Bits, ...]
    crypt_count: Bits
    secure_boot: tuple[Bits, ...]
    spi: Spi
    magic: int | None = None
    forced: int | None = None  # register whose bit 0 leads every reset into the loader: set by MicroPython's machine.bootloader()
    major_codes: tuple[tuple[int, int], ...] = ()  # raw value -> major revision, where it is coded


def _newer(name: str, image_id: int, efuse: int, spi: int, **fields: object) -> Chip:
    """The layout that esp32s3, c3, c6 and later share, from their eFuse base."""
    block1 = efuse + 0x44
    made: dict[str, object] = {
        "boot_offset": 0x0,
        "mac": (block1, block1 + 4),
        "major": ((block1 + 4 * 5, 24, 2),),
        "minor": ((block1 + 4 * 3, 18, 3), (block1 + 4 * 5, 23, 1)),
        "crypt_count": (efuse + 0x34, 18, 3),
        "secure_boot": ((efuse + 0x38, 20, 1),),
        **fields,
    }
    return Chip(name=name, image_id=image_id, spi=Spi(spi), **made)  # type: ignore[arg-type]


_EFUSE = 0x3FF5A000  # esp32

CHIPS = {
    chip.name: chip
    for chip in (
        Chip(
            name="esp32",
            image_id=0,
            boot_offset=0x1000,
            mac=(_EFUSE + 4, _EFUSE + 8),
            major=((_EFUSE + 4 * 3, 15, 1), (_EFUSE + 4 * 5, 20, 1), (0x3FF6607C, 31, 1)),
            major_codes=((0, 0), (1, 1), (3, 2), (7, 3)),
            minor=((_EFUSE + 4 * 5, 24, 2),),
            crypt_count=(_EFUSE, 20, 7),
            secure_boot=((_EFUSE + 4 * 6, 4, 1), (_EFUSE + 4 * 6, 5, 1)),
            spi=Spi(0x3FF42000, usr=0x1C, usr1=0x20, usr2=0x24, miso_len=0x2C, w0=0x80),
            magic=0x00F01D83,
        ),
        _newer(
            "esp32s2",
            2,
            0x3F41A000,
            0x3F402000,
            boot_offset=0x1000,
            magic=0x000007C6,
            forced=0x3F408128,
            major=((0x3F41A044 + 4 * 3, 18, 2),),
            minor=((0x3F41A044 + 4 * 4, 4, 3), (0x3F41A044 + 4 * 3, 20, 1)),
        ),
        _newer("esp32s3", 9, 0x60007000, 0x60002000, forced=0x6000812C),
        _newer(
            "esp32c2",
            12,
            0x60008800,
            0x60002000,
            mac=(0x60008840, 0x60008844),
            major=((0x60008844 + 4, 20, 2),),
            minor=((0x60008844 + 4, 16, 4),),
            crypt_count=(0x60008830, 7, 3),
            secure_boot=((0x60008830, 21, 1),),
        ),
        _newer("esp32c3", 5, 0x60008800, 0x60002000),
        _newer(
            "esp32c5",
            23,
            0x600B4800,
            0x60003000,
            boot_offset=0x2000,
            major=((0x600B4844 + 8, 4, 2),),
            minor=((0x600B4844 + 8, 0, 4),),
            crypt_count=(0x600B4834, 16, 3),
            secure_boot=((0x600B4838, 25, 1),),
        ),
        _newer("esp32c6", 13, 0x600B0800, 0x60003000, major=((0x600B0844 + 4 * 3, 22, 2),), minor=((0x600B0844 + 4 * 3, 18, 4),)),
    )
}

# Third byte of the flash chip's JEDEC id -> bytes. Mostly 2**n; these are the exceptions (esptool's table of flash sizes).
_ODD_SIZES = {0x32: 2**18, 0x33: 2**19, 0x34: 2**20, 0x35: 2**21, 0x36: 2**22, 0x37: 2**23, 0x38: 2**24, 0x39: 2**25, 0x3A: 2**26}


def flash_bytes(jedec: int) -> int | None:
    """Size in bytes from the JEDEC id as read (manufacturer in the lowest byte), None when it is not known."""
    code = jedec >> 16 & 0xFF
    if 0x12 <= code <= 0x1C:
        return int(2**code)
    if 0x20 <= code <= 0x22:  # 64 to 256 MB
        return int(2 ** (code - 0x20 + 26))
    return _ODD_SIZES.get(code)
