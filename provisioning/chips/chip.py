"""What a chip is, as far as this product touches it. One file per chip in this folder fills this form in; nothing else knows chips by name.

Sources: the technical reference manuals (chapters "eFuse Controller", "SPI Controller", "Chip Boot Control"), as esptool's targets have
them; tests/flash/test_preflight.py compares each number with the installed esptool.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from provisioning.chips.flash_reads import ReadCost

MAGIC_REGISTER = 0x40001000  # its content names esp32 and esp32s2, which have no chip id in their security info

Bits = tuple[int, int, int]  # register, shift, width
Mode = Literal["development", "release"]


@dataclass(frozen=True)
class Spi:
    """The SPI controller that the flash hangs on: its base, and offsets of the registers for one user command."""

    base: int
    usr: int = 0x18
    usr2: int = 0x20
    miso_len: int = 0x28
    w0: int = 0x58


@dataclass(frozen=True)
class Fuses:
    """Where the eFuses tell what a chip is. A revision is major * 100 + minor; `minor` fields are concatenated, the first one lowest.

    `crypt_count`: an odd number of ones means encrypted flash. `major_codes`: raw value -> major revision, where it is coded.
    """

    mac: tuple[int, int]  # registers of the low and the high word
    major: tuple[Bits, ...]
    minor: tuple[Bits, ...]
    crypt_count: Bits
    secure_boot: tuple[Bits, ...]
    major_codes: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Watchdogs:
    """Registers of the two watchdogs that a reset over USB-Serial-JTAG leaves running: one is switched off, the other feeds itself."""

    config: int
    protect: int
    feeder: int
    feeder_protect: int
    feeder_key: int
    feeder_bit: int
    key: int = 0x50D83AA1


@dataclass(frozen=True)
class Step:
    """One espefuse command; `{key}` stands for the file of the flash key, `{nvs}` for that of the NVS key."""

    what: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Encryption:
    """How flash encryption is switched on: the steps of each mode, the key first and the switch last.

    `nvs_key` is None where there is no HMAC unit.
    """

    steps: dict[Mode, tuple[Step, ...]]
    nvs_key: Step | None


@dataclass(frozen=True)
class BootTexts:
    """What the ROM prints at 115200 baud after a reset."""

    rom: str  # the first line
    flash_strap: int  # strapping value printed for a boot from flash
    download_strap: int  # and for download mode
    reasons: dict[str, str]  # reset cause -> "rst:" text
    before_load: str  # between the reset line and the segments; `{mode}` is the flash mode
    flash_name: str = "SPI_FAST_FLASH_BOOT"
    download_name: str = "DOWNLOAD(USB/UART0)"


@dataclass(frozen=True)
class VirtualChip:
    """What the virtual board needs beside: an address block, the fuses of one revision, and what a flash read takes MicroPython.

    `fuses`: {esptool's register name: {word index: value}}, as bits of esptool's get_*_version and get_pkg_version. `rom_magic`: the
    word at MAGIC_REGISTER that older tools told all chips apart by (esptool 4.8, CHIP_DETECT_MAGIC_VALUE).
    """

    oui: bytes  # first three bytes of the MAC
    fuses: dict[str, dict[int, int]]
    rom_magic: int
    reads: ReadCost
    boot: BootTexts
    usb: tuple[str, ...] = ()  # ports of the chip's own: jtag (USB-Serial-JTAG), otg (MicroPython's TinyUSB); virtual/usb.py
    machine: str = ""  # in `sys.implementation._machine`, where it is not as on the first chips


@dataclass(frozen=True)
class Chip:
    """One chip. `name` is esptool's, `title` MicroPython's in `sys.implementation._machine`."""

    name: str
    title: str
    image_id: int  # in the header of an image
    boot_offset: int  # flash address where the ROM looks for the boot loader
    spi: Spi
    fuses: Fuses
    magic: int | None = None  # word at MAGIC_REGISTER, where the ROM has no chip id to tell
    forced: int | None = None  # register whose bit 0 leads every reset into the loader: set by MicroPython's machine.bootloader()
    watchdogs: Watchdogs | None = None  # None: no USB-Serial-JTAG
    security_info: bool = True  # whether the ROM answers GET_SECURITY_INFO
    attached: bool = False  # whether the ROM attaches the flash by itself
    write_encrypted: bool = True  # whether FLASH_BEGIN has a fifth word: the chip encrypts what it writes
    encryption: Encryption | None = None  # None: twinroot does not switch it on there
    virtual: VirtualChip | None = None  # None: there is no virtual board of it
    refused: str = ""  # why a board file may not name it; such a chip is still recognised by name

    def played(self) -> VirtualChip:
        """What the virtual board needs. Raises LookupError for a chip that has no virtual board; `VIRTUAL` are those that have."""
        if self.virtual is None:
            raise LookupError(f"there is no virtual board with an {self.name}")
        return self.virtual

    @property
    def machine(self) -> str:
        """MicroPython's name for the board."""
        if self.virtual and self.virtual.machine:
            return self.virtual.machine
        return f"Generic {self.title} module with {self.title}"

    @property
    def build(self) -> str:
        """And for the firmware that runs on it."""
        return f"{self.title}_GENERIC" if self.title == "ESP32" else f"ESP32_GENERIC_{self.title.removeprefix('ESP32')}"
