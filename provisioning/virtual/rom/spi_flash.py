"""The flash chip's own commands, as they reach it through the SPI controller's registers. Opcodes: JEDEC, W25Q data sheets."""

from __future__ import annotations

from provisioning.virtual.nor_flash import SECTOR, NorFlash

_MANUFACTURER, _TYPE = 0xEF, 0x40  # Winbond W25Q
_WRITABLE_STATUS = (0xFC, 0x7B, 0x60)  # bits of status registers 1 to 3 that WRSR sets
_SFDP = bytes.fromhex("53464450 00 01 00 ff 00 05 01 10 80 00 00 ff".replace(" ", ""))


class SpiFlashChip:
    """State beside the content: status registers and the write-enable latch."""

    def __init__(self, flash: NorFlash) -> None:
        self._flash = flash
        self._status = [0, 0, 0]
        self._write_enabled = False
        self._status_enabled = False

    def command(self, opcode: int, address: int, data: bytes, answer_bytes: int) -> bytes:
        """One transaction: what comes back on MISO, `answer_bytes` long."""
        if opcode == 0x9F:  # RDID
            return bytes([_MANUFACTURER, _TYPE, self._flash.size.bit_length() - 1])[:answer_bytes]
        if opcode in (0x05, 0x35, 0x15):  # RDSR, RDSR2, RDSR3
            return bytes([self._status[(0x05, 0x35, 0x15).index(opcode)]])[:answer_bytes]
        if opcode == 0x5A:  # SFDP
            return (_SFDP + b"\xff" * 256)[address : address + answer_bytes]
        if opcode == 0x4B:  # unique ID
            return b"\xd1" * answer_bytes
        if opcode in (0x06, 0x50):  # WREN, write enable for volatile status
            self._write_enabled = opcode == 0x06
            self._status_enabled = True
        elif opcode == 0x04:  # WRDI
            self._write_enabled = self._status_enabled = False
        elif opcode in (0x01, 0x31, 0x11):  # WRSR, WRSR2, WRSR3
            self._write_status((0x01, 0x31, 0x11).index(opcode), data)
        elif opcode == 0x20 and self._write_enabled:  # sector erase
            self._flash.erase(address & ~(SECTOR - 1), SECTOR)
            self._write_enabled = False
        elif opcode in (0xC7, 0x60) and self._write_enabled:  # chip erase
            self._flash.erase(0, self._flash.size)
            self._write_enabled = False
        elif opcode == 0x02 and self._write_enabled:  # page program
            self._flash.program(address, data)
            self._write_enabled = False
        elif opcode == 0x03:  # read
            return self._flash.read(address, answer_bytes)
        return b"\xff" * answer_bytes

    def _write_status(self, first: int, data: bytes) -> None:
        if not self._status_enabled:
            return
        for i, value in enumerate(data[: 3 - first]):
            self._status[first + i] = value & _WRITABLE_STATUS[first + i]
        self._write_enabled = self._status_enabled = False
