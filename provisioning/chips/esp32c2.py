"""ESP32-C2 (ESP8684): one small fuse block with the key in it, so flash encryption is arranged differently and not switched on here."""

from provisioning.chips.chip import BootTexts, Chip, Fuses, Spi, VirtualChip
from provisioning.chips.families import NEWER_BEFORE_LOAD, NEWER_REASONS
from provisioning.chips.flash_reads import ONE_CORE_RISCV

_EFUSE = 0x60008800
_BLOCK2 = _EFUSE + 0x40

CHIP = Chip(
    name="esp32c2",
    title="ESP32C2",
    image_id=12,
    boot_offset=0x0,
    spi=Spi(0x60002000),
    fuses=Fuses(
        mac=(_BLOCK2, _BLOCK2 + 4),
        major=((_BLOCK2 + 4, 20, 2),),
        minor=((_BLOCK2 + 4, 16, 4),),
        crypt_count=(_EFUSE + 0x30, 7, 3),
        secure_boot=((_EFUSE + 0x30, 21, 1),),
    ),
    # v1.0; no thresholds are published for its reads: one core, as the C3
    virtual=VirtualChip(
        bytes.fromhex("08b61f"),
        {"EFUSE_BLOCK2_ADDR": {1: 1 << 20}},
        0x7C41A06F,
        ONE_CORE_RISCV,
        BootTexts("ESP-ROM:esp8684-api2-20220127", 0xC, 0x4, NEWER_REASONS, NEWER_BEFORE_LOAD),
    ),
)
