"""What QEMU has for each chip, one row each. A QEMU is asked which of the machines named here it really has (emulator.py).

Source of names and numbers: the READMEs of Espressif's esp-toolchain-docs (folder qemu, one per chip), and the README of the fork with
Wi-Fi, lcgamboa/qemu, whose card is one device type under a name for each chip.
"""

from __future__ import annotations

from dataclasses import dataclass

ETHERNET = "open_eth"  # OpenCores Ethernet: ESP-IDF has a driver for it, stock MicroPython has none
FLASH_SIZES = (2 << 20, 4 << 20, 8 << 20, 16 << 20)  # bytes; other files are refused by QEMU


@dataclass(frozen=True)
class QemuMachine:
    """`names` in order of preference. A strap is what the chip's GPIO_STRAP register says when the reset ends."""

    chip: str
    binary: str
    names: tuple[str, ...]
    wifi: str  # the card as `-nic model=` names it
    wifi_type: str  # and as `-device TYPE,help` does
    strap_flash: int
    strap_loader: int
    timers: str  # the device whose watchdogs can be switched off
    efuse_bytes: int
    board: str  # the board file for a chip that no board was named for
    counted: tuple[str, ...] = ()  # options that let the chip's time follow its instructions; the ROM loader loses bytes with them

    @property
    def gpio(self) -> str:
        return f"{self.chip}.gpio"

    @property
    def efuse(self) -> str:
        return f"nvram.{self.chip}.efuse"


_XTENSA, _RISCV = "qemu-system-xtensa", "qemu-system-riscv32"
# "The current implementation does not support free running mode" (README of the ESP32-C3): without it an interrupt of the UART was lost in
# about one copy of 69 KB in eight, and the bytes lay unread for ever. 2^3 ns an instruction are a CPU of 125 MHz.
_COUNTED = ("-icount", "shift=3,align=off,sleep=on")
MACHINES = {
    row.chip: row
    for row in (
        QemuMachine("esp32", _XTENSA, ("esp32",), "esp32_wifi", "esp32_wifi", 0x12, 0x0F, "timer.esp32.timg", 124, "esp32-generic"),
        QemuMachine("esp32s3", _XTENSA, ("esp32s3",), "esp32s3_wifi", "esp32s3_wifi", 0x04, 0x00, "timer.esp32c3.timg", 1024, "esp32-s3"),
        # In the fork only the machine with the long name has the card.
        QemuMachine(
            "esp32c3", _RISCV, ("esp32c3-picsimlab", "esp32c3"), "esp32c3_wifi", "esp32_wifi", 0x08, 0x02, "timer.esp32c3.timg", 1024,
            "esp32-c3", _COUNTED,
        ),
    )
}  # fmt: skip
WIFI_MACHINES = ("esp32", "esp32c3-picsimlab", "esp32s3")  # machines whose QEMU may have the card of their row
ALL_NAMES = tuple(name for row in MACHINES.values() for name in row.names)
