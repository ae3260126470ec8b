"""The flash of an emulated chip: a file that QEMU reads when it starts, and writes when the chip does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from provisioning.errors import InputError
from provisioning.virtual.nor_flash import FlashRangeError
from provisioning.virtual.qemu import firmware
from provisioning.virtual.spec import BoardSpec

_ERASED = b"\xff"


class FlashFile:
    """`size` bytes in `path`; a new file holds the spec's firmware, or nothing. `running` says whether QEMU has it open."""

    def __init__(self, path: Path, spec: BoardSpec, running: Callable[[], bool]) -> None:
        self.path = path
        self.size = spec.flash_size
        self._running = running
        if not path.exists():
            self._make(spec)
        elif path.stat().st_size != self.size:
            raise InputError(
                "flash-size",
                f"{path} has {path.stat().st_size} bytes, the board has {self.size}",
                "Name the --flash-size that it was made with, or another --state.",
            )

    def _make(self, spec: BoardSpec) -> None:
        content = bytearray(_ERASED) * self.size
        if spec.firmware:
            placed = firmware.place(Path(spec.firmware))
            content[placed.offset : placed.offset + len(placed.content)] = placed.content
        temporary = self.path.with_suffix(".new")
        # A device's private key may come to lie in it.
        temporary.touch(0o600)
        temporary.touch(0o600)
        temporary.write_bytes(content[: self.size])
        temporary.replace(self.path)

    def peek(self, address: int, size: int) -> bytes:
        """What is there now; QEMU writes each page when the chip has programmed it."""
        self._check(address, size)
        with self.path.open("rb") as file:
            file.seek(address)
            return file.read(size)

    def load(self, data: bytes, address: int = 0) -> None:
        """As a programmer on the bench would. Raises InputError while the chip runs: QEMU would not see it."""
        self._check(address, len(data))
        if self._running():
            raise InputError("power-is-on", "The flash of an emulated chip cannot be written while it runs", "Call power_off() before.")
        with self.path.open("r+b") as file:
            file.seek(address)
            file.write(data)

    def _check(self, address: int, size: int) -> None:
        if address < 0 or size < 0 or address + size > self.size:
            raise FlashRangeError(f"0x{address:x} and {size} bytes lie outside the flash of {self.size}")
