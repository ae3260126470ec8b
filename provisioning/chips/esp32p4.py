"""ESP32-P4: recognised by its ROM loader. Its Wi-Fi is that of a second chip, whose firmware nothing here updates."""

from provisioning.chips.chip import Chip, Fuses, Spi

_EFUSE = 0x5012D000
_BLOCK1 = _EFUSE + 0x44

CHIP = Chip(
    name="esp32p4",
    title="ESP32P4",
    image_id=18,
    boot_offset=0x2000,
    spi=Spi(0x5008D000),
    fuses=Fuses(
        mac=(_BLOCK1, _BLOCK1 + 4),
        major=((_BLOCK1 + 8, 4, 2), (_BLOCK1 + 8, 23, 1)),
        minor=((_BLOCK1 + 8, 0, 4),),
        crypt_count=(_EFUSE + 0x34, 18, 3),
        secure_boot=((_EFUSE + 0x38, 20, 1),),
    ),
    refused="it has no Wi-Fi of its own",
)
