"""ESP32-S3: two cores, USB-Serial-JTAG and native USB."""

from provisioning.chips.chip import BootTexts, Chip, Spi, VirtualChip, Watchdogs
from provisioning.chips.families import NEWER_BEFORE_LOAD, NEWER_ENCRYPTION, NEWER_REASONS, newer_fuses
from provisioning.chips.flash_reads import TWO_CORES

CHIP = Chip(
    name="esp32s3",
    title="ESP32S3",
    image_id=9,
    boot_offset=0x0,
    spi=Spi(0x60002000),
    fuses=newer_fuses(0x60007000),
    forced=0x6000812C,
    watchdogs=Watchdogs(0x60008098, 0x600080B0, 0x600080B4, 0x600080B8, 0x8F1D312A, 1 << 31),
    encryption=NEWER_ENCRYPTION,
    # v0.2; no thresholds are published for its reads: two cores, as the ESP32
    virtual=VirtualChip(
        bytes.fromhex("f412fa"),
        {"EFUSE_BLOCK1_ADDR": {3: 2 << 18}},
        0x00000009,
        TWO_CORES,
        BootTexts("ESP-ROM:esp32s3-20210327", 0x8, 0x0, NEWER_REASONS, NEWER_BEFORE_LOAD),
        usb=("jtag", "otg"),
    ),
)
