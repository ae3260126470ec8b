"""ESP32-C6: Wi-Fi 6, USB-Serial-JTAG."""

from dataclasses import replace

from provisioning.chips.chip import BootTexts, Chip, Spi, VirtualChip
from provisioning.chips.families import LOW_POWER_WATCHDOGS, NEWER_BEFORE_LOAD, NEWER_ENCRYPTION, NEWER_REASONS, newer_fuses
from provisioning.chips.flash_reads import ONE_CORE_RISCV

_EFUSE = 0x600B0800
_BLOCK1 = _EFUSE + 0x44

CHIP = Chip(
    name="esp32c6",
    title="ESP32C6",
    image_id=13,
    boot_offset=0x0,
    spi=Spi(0x60003000),
    watchdogs=LOW_POWER_WATCHDOGS,
    fuses=replace(newer_fuses(_EFUSE), major=((_BLOCK1 + 4 * 3, 22, 2),), minor=((_BLOCK1 + 4 * 3, 18, 4),)),
    encryption=NEWER_ENCRYPTION,
    # v0.1; no thresholds are published for its reads: one core, as the C3
    virtual=VirtualChip(
        bytes.fromhex("404cca"),
        {"EFUSE_BLOCK1_ADDR": {3: 1 << 18}},
        0x2CE0806F,
        ONE_CORE_RISCV,
        BootTexts("ESP-ROM:esp32c6-20220919", 0xC, 0x4, NEWER_REASONS, NEWER_BEFORE_LOAD),
        usb=("jtag",),
    ),
)
