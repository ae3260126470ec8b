"""ESP32-C61: recognised by its ROM loader. MicroPython has no build for it, so a board file may not name it yet."""

from provisioning.chips.chip import Chip, Fuses, Spi

_EFUSE = 0x600B4800
_BLOCK1 = _EFUSE + 0x44

CHIP = Chip(
    name="esp32c61",
    title="ESP32C61",
    image_id=20,
    boot_offset=0x0,
    spi=Spi(0x60003000),
    fuses=Fuses(
        mac=(_BLOCK1, _BLOCK1 + 4),
        major=((_BLOCK1 + 8, 4, 2),),
        minor=((_BLOCK1 + 8, 0, 4),),
        crypt_count=(_EFUSE + 0x30, 23, 3),
        secure_boot=((_EFUSE + 0x34, 26, 1),),
    ),
    refused="MicroPython has no build for it",
)
