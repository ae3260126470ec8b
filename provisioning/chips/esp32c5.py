"""ESP32-C5: two bands of Wi-Fi 6. Its boot loader lies at 0x2000, and its fuses are of the newest layout.

Its keys are managed by a key manager, which twinroot does not set up: flash encryption is not switched on here.
"""

from provisioning.chips.chip import BootTexts, Chip, Fuses, Spi, VirtualChip
from provisioning.chips.families import LOW_POWER_WATCHDOGS, NEWER_REASONS
from provisioning.chips.flash_reads import ONE_CORE_RISCV

_EFUSE = 0x600B4800
_BLOCK1 = _EFUSE + 0x44

CHIP = Chip(
    name="esp32c5",
    title="ESP32C5",
    image_id=23,
    boot_offset=0x2000,
    spi=Spi(0x60003000),
    watchdogs=LOW_POWER_WATCHDOGS,
    fuses=Fuses(
        mac=(_BLOCK1, _BLOCK1 + 4),
        major=((_BLOCK1 + 8, 4, 2),),
        minor=((_BLOCK1 + 8, 0, 4),),
        crypt_count=(_EFUSE + 0x34, 16, 3),
        secure_boot=((_EFUSE + 0x38, 25, 1),),
    ),
    # v1.0; no thresholds are published for its reads: one core, as the C3
    virtual=VirtualChip(
        bytes.fromhex("d0cf13"),
        {"EFUSE_BLOCK1_ADDR": {2: 1 << 4}},
        0x63E1406F,
        ONE_CORE_RISCV,
        BootTexts("ESP-ROM:esp32c5-eco2-20250121", 0x18, 0x10, NEWER_REASONS, "SPI mode:{mode}, clock div:1\r\n"),
        machine="ESP32C5 module with ESP32-C5",
    ),
)
