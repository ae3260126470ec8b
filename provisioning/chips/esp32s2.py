"""ESP32-S2: one core, native USB, no chip id in its ROM's answers."""

from dataclasses import replace

from provisioning.chips.chip import BootTexts, Chip, Spi, VirtualChip
from provisioning.chips.families import NEWER_BEFORE_LOAD, NEWER_ENCRYPTION, NEWER_REASONS, newer_fuses
from provisioning.chips.flash_reads import ONE_CORE_XTENSA

_EFUSE = 0x3F41A000
_BLOCK1 = _EFUSE + 0x44

CHIP = Chip(
    name="esp32s2",
    title="ESP32S2",
    image_id=2,
    boot_offset=0x1000,
    spi=Spi(0x3F402000),
    fuses=replace(newer_fuses(_EFUSE), major=((_BLOCK1 + 4 * 3, 18, 2),), minor=((_BLOCK1 + 4 * 4, 4, 3), (_BLOCK1 + 4 * 3, 20, 1))),
    magic=0x000007C6,
    forced=0x3F408128,
    attached=True,
    encryption=NEWER_ENCRYPTION,
    virtual=VirtualChip(
        bytes.fromhex("7cdfa1"),
        {"EFUSE_BLOCK1_ADDR": {3: 1 << 18}},
        0x000007C6,
        ONE_CORE_XTENSA,
        BootTexts("ESP-ROM:esp32s2-rc4-20191025", 0x8, 0x0, NEWER_REASONS, NEWER_BEFORE_LOAD),
        usb=("otg",),
    ),  # v1.0
)
