"""The loader in the chip's ROM, entered when IO0 is low at reset."""

from __future__ import annotations

from typing import Any

from provisioning.virtual.rom.flashing import FlashCommands
from provisioning.virtual.rom.loader import Answer, LoaderError

_SLOW_READ = 64  # bytes per READ_FLASH_SLOW, whatever was asked


class RomLoader(FlashCommands):
    """Erases at begin, answers MD5 in hexadecimal, ends its answers with four status bytes."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.commands[0x0E] = self.read_slow
        if self.chip != "esp32":
            self.commands[0x14] = self.security_info

    def read_slow(self, data: bytes, checksum: int) -> Answer:
        address, size = self.unpack("<II", data)
        if size > _SLOW_READ:
            raise LoaderError(0x0A)
        self.check_range(address, size)
        return 0, self.read(address, size).ljust(_SLOW_READ, b"\0")

    def after(self, opcode: int, data: bytes) -> None:
        super().after(opcode, data)
        if opcode == 0x06 and len(data) >= 8:
            stay, entry = self.unpack("<II", data)
            if not stay and entry:
                self.machine.loader_run(entry)
        elif opcode in (0x04, 0x12) and len(data) >= 4:
            # Both values leave the loader: 0 restarts, 1 runs what is in flash.
            self.machine.loader_restart("software")
