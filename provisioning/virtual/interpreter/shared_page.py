"""One page of memory that the hardware process and one board's interpreter share.

The hardware reads the interrupt character before every byte it delivers and writes the clock; the interpreter counts its
flash reads here, because they do not pass through the hardware. Offsets are repeated in hooks.c and shims/_hardware.py.
"""

from __future__ import annotations

import ctypes
import mmap
import struct

SIZE = 4096
_INTERRUPT_CHAR = 0  # int32, -1: none
_STARTING = 4  # uint8, until the user's code may run
_DEFERRED = 5  # uint8, set by the signal handler meanwhile
_READING = 6  # uint8, while the program waits for a flash read
_USB = 7  # uint8, from the end of boot.py on
_CLOCK_OFFSET = 8  # int64, seconds
_READS = 16  # uint64: flash reads
_READ_BYTES = 24  # uint64
_READ_TIME = 32  # uint64, ns
_WAITED = 40  # uint64, ns of it that have passed
_READ_COST = 48  # uint32, ns; then uint32, ps per byte


class SharedPage:
    """Typed access to the page; `address` is the same in every forked child."""

    def __init__(self) -> None:
        self._map = mmap.mmap(-1, SIZE)
        self._view = (ctypes.c_char * SIZE).from_buffer(self._map)
        self.address: int = ctypes.addressof(self._view)
        self.reset()

    def reset(self) -> None:
        """The state before an interpreter starts; the clock and the counters stay."""
        struct.pack_into("<iBBBB", self._map, 0, -1, 1, 0, 0, 0)

    @property
    def interrupt_char(self) -> int:
        return int(struct.unpack_from("<i", self._map, _INTERRUPT_CHAR)[0])

    @property
    def starting(self) -> bool:
        return self._map[_STARTING] != 0

    def take_deferred(self) -> bool:
        """True once for each interrupt that the interpreter had to put off."""
        deferred = self._map[_DEFERRED] != 0
        self._map[_DEFERRED] = 0
        return deferred

    @property
    def deferred(self) -> bool:
        return self._map[_DEFERRED] != 0

    @property
    def usb(self) -> bool:
        """boot.py has ended: MicroPython has made a USB device of the chip."""
        return self._map[_USB] != 0

    @property
    def clock_offset(self) -> int:
        """Seconds from the host's clock to the board's."""
        return int(struct.unpack_from("<q", self._map, _CLOCK_OFFSET)[0])

    @clock_offset.setter
    def clock_offset(self, seconds: int) -> None:
        struct.pack_into("<q", self._map, _CLOCK_OFFSET, seconds)

    @property
    def reading(self) -> bool:
        """The program waits until a flash read is done."""
        return self._map[_READING] != 0

    @property
    def flash_reads(self) -> tuple[int, int, float]:
        """How many reads, how many bytes, the seconds that they took the board."""
        reads, size, nanoseconds = struct.unpack_from("<QQQ", self._map, _READS)
        return int(reads), int(size), nanoseconds / 1e9

    @property
    def waited(self) -> float:
        """Seconds that programs have waited for flash reads, never cleared; what this computer drew out longer does not count."""
        return int(struct.unpack_from("<Q", self._map, _WAITED)[0]) / 1e9

    def set_read_cost(self, call: float, byte: float) -> None:
        """Seconds that each flash read takes from now on, and each byte of it."""
        struct.pack_into("<II", self._map, _READ_COST, round(call * 1e9), round(byte * 1e12))

    def clear_counters(self) -> None:
        struct.pack_into("<QQQ", self._map, _READS, 0, 0, 0)
