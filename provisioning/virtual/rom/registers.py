"""Memory and registers as the loader's READ_REG and WRITE_REG see them: RAM, eFuses, UART divider, SPI controller, watchdog."""

from __future__ import annotations

from collections.abc import Callable

from provisioning.chips import CHIPS
from provisioning.virtual.facts import LoaderFacts
from provisioning.virtual.nor_flash import FlashRangeError
from provisioning.virtual.rom.spi_flash import SpiFlashChip

_CRYSTAL = 40_000_000  # Hz
# Nothing is there on most chips, and yet nothing happens: esptool's own suite reads and writes here on each.
_QUIET = ((0x400C0000, 0x400C2000), (0x50000000, 0x50002000))
_PERIPHERALS = ((0x3FF00000, 0x3FF80000), (0x60000000, 0x60100000), (0x3F400000, 0x3F500000))
_SPI_USR, _USR_MISO, _USR_MOSI, _USR_ADDR = 1 << 18, 1 << 28, 1 << 27, 1 << 30


class AccessError(Exception):
    """An address where this chip has nothing: the CPU takes an exception there."""


class Registers:
    """A sparse 32-bit address space. Raises AccessError where there is neither memory nor a peripheral."""

    def __init__(
        self, chip: str, facts: LoaderFacts, mac: bytes, flash_chip: SpiFlashChip, rate: Callable[[], int], attached: Callable[[], bool]
    ) -> None:
        self._facts = facts
        self._words: dict[int, int] = {}
        self._flash_chip = flash_chip
        self._rate = rate
        self._attached = attached
        self.on_watchdog: Callable[[], None] | None = None
        self.on_feeder: Callable[[int], None] | None = None  # what the super watchdog's register holds now
        self.on_option: Callable[[bool], None] | None = None  # whether every reset leads into the loader
        self._spi = facts.address("SPI_REG_BASE")
        self._uart_divider = facts.address("UART_CLKDIV_REG")
        self._burn(chip, mac)

    def _burn(self, chip: str, mac: bytes) -> None:
        facts, words = self._facts, self._words
        played = CHIPS[chip].played()
        for name, values in played.fuses.items():
            for index, value in values.items():
                words[facts.address(name) + 4 * index] = value
        low, high = int.from_bytes(mac[2:], "big"), int.from_bytes(mac[:2], "big")
        if chip == "esp32":
            at = facts.address("EFUSE_RD_REG_BASE")
            words[at + 4] = low
            words[at + 8] = high | _crc8(mac) << 16
            words[facts.address("APB_CTL_DATE_ADDR")] = 1 << 31
            # 800 * 15625 * 128 / 40 = 40 MHz: get_rom_cal_crystal_freq
            words[facts.address("RTCCALICFG1")] = 800 << facts.address("TIMERS_RTC_CALI_VALUE_S")
        else:
            at = facts.address("MAC_EFUSE_REG")
            words[at] = low
            # The C2 has its revision in the same word.
            words[at + 4] = words.get(at + 4, 0) | high
        words[facts.address("CHIP_DETECT_MAGIC_REG_ADDR")] = played.rom_magic

    def read(self, address: int) -> int:
        if self._nothing_there(address):
            return 0
        if address == self._uart_divider:
            scale = self._facts.address("XTAL_CLK_DIVIDER", 1)
            return _CRYSTAL * scale // max(1, self._rate())
        return self._words.get(address, 0)

    def write(self, address: int, value: int, mask: int = 0xFFFFFFFF) -> None:
        if self._nothing_there(address):
            return
        old = self._words.get(address, 0)
        self._words[address] = (old & ~mask | value & mask) & 0xFFFFFFFF
        if address == self._spi and value & _SPI_USR:
            self._spi_transaction()
        elif address == self._facts.address("RTC_CNTL_WDTCONFIG0_REG") and value & 1 << 31 and self.on_watchdog is not None:
            self.on_watchdog()
        elif address == self._facts.address("RTC_CNTL_SWD_CONF_REG") and self.on_feeder is not None:
            self.on_feeder(self._words[address])
        elif address == self._facts.address("RTC_CNTL_OPTION1_REG") and self.on_option is not None:
            self.on_option(bool(self._words[address] & 1))

    def load(self, address: int, data: bytes) -> None:
        """RAM download."""
        self._check(address & ~3)
        self._check((address + max(1, len(data)) - 1) & ~3)
        for i in range(0, len(data), 4):
            self._words[address + i] = int.from_bytes(data[i : i + 4].ljust(4, b"\0"), "little")

    def _check(self, address: int) -> None:
        if self._nothing_there(address):
            raise AccessError(f"no memory at 0x{address:08x}")

    def _nothing_there(self, address: int) -> bool:
        """Whether an access is without effect. Raises AccessError where the CPU takes an exception instead."""
        if address % 4:
            raise AccessError(f"unaligned access to 0x{address:08x}")
        if _within(address, (*self._facts.regions, *_PERIPHERALS)):
            return False
        if _within(address, _QUIET):
            return True
        raise AccessError(f"no memory at 0x{address:08x}")

    def _spi_transaction(self) -> None:
        at = self._spi
        offset = self._facts.address
        words = self._words
        user = words.get(at + offset("SPI_USR_OFFS"), 0)
        opcode = words.get(at + offset("SPI_USR2_OFFS"), 0) & 0xFFFF
        address = words.get(at + 4, 0) if user & _USR_ADDR else 0
        if offset("SPI_ADDR_REG_MSB", 1):
            address >>= 8
        first = at + offset("SPI_W0_OFFS")
        sent = b""
        if user & _USR_MOSI:
            length = words.get(at + offset("SPI_MOSI_DLEN_OFFS"), 0) + 1
            raw = b"".join(words.get(first + 4 * i, 0).to_bytes(4, "little") for i in range(16))
            sent = raw[: (length + 7) // 8]
        wanted = (words.get(at + offset("SPI_MISO_DLEN_OFFS"), 0) + 8) // 8 if user & _USR_MISO else 0
        if self._attached():
            try:
                answer = self._flash_chip.command(opcode, address & 0xFFFFFF, sent, wanted)
            except FlashRangeError:
                answer = b"\xff" * wanted
        else:
            answer = b"\xff" * wanted  # the pins float high
        if wanted:
            for i in range(0, max(4, len(answer)), 4):
                words[first + i] = int.from_bytes(answer[i : i + 4].ljust(4, b"\0"), "little")
        words[at] = words.get(at, 0) & ~_SPI_USR


def _within(address: int, regions: tuple[tuple[int, int], ...]) -> bool:
    return any(low <= address < high for low, high in regions)


def _crc8(data: bytes) -> int:
    """Maxim's CRC-8 (polynomial 0x31, reflected), which the ESP32 keeps beside its MAC."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x8C if crc & 1 else crc >> 1
    return crc
