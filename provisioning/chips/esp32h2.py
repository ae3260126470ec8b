"""ESP32-H2: recognised by its ROM loader. It has Thread and Bluetooth, and no Wi-Fi."""

from dataclasses import replace

from provisioning.chips.chip import Chip, Spi
from provisioning.chips.families import newer_fuses

_EFUSE = 0x600B0800
_BLOCK1 = _EFUSE + 0x44

CHIP = Chip(
    name="esp32h2",
    title="ESP32H2",
    image_id=16,
    boot_offset=0x0,
    spi=Spi(0x60003000),
    fuses=replace(newer_fuses(_EFUSE), major=((_BLOCK1 + 4 * 3, 21, 2),), minor=((_BLOCK1 + 4 * 3, 18, 3),)),
    refused="it has no Wi-Fi",
)
