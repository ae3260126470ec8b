"""ESP32-C3: one RISC-V core, USB-Serial-JTAG."""

from provisioning.chips.chip import BootTexts, Chip, Spi, VirtualChip, Watchdogs
from provisioning.chips.families import NEWER_BEFORE_LOAD, NEWER_ENCRYPTION, NEWER_REASONS, newer_fuses
from provisioning.chips.flash_reads import ONE_CORE_RISCV

CHIP = Chip(
    name="esp32c3",
    title="ESP32C3",
    image_id=5,
    boot_offset=0x0,
    spi=Spi(0x60002000),
    fuses=newer_fuses(0x60008800),
    watchdogs=Watchdogs(0x60008090, 0x600080A8, 0x600080AC, 0x600080B0, 0x8F1D312A, 1 << 31),
    encryption=NEWER_ENCRYPTION,
    virtual=VirtualChip(
        bytes.fromhex("58cf79"),
        {"EFUSE_BLOCK1_ADDR": {3: 4 << 18}},
        0x1B31506F,
        ONE_CORE_RISCV,
        BootTexts("ESP-ROM:esp32c3-api1-20210207", 0xC, 0x4, NEWER_REASONS, NEWER_BEFORE_LOAD),
        usb=("jtag",),
    ),  # v0.4
)
