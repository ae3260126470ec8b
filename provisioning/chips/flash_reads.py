"""What a read of the SPI flash takes the firmware, by generation of chip.

Source: ESP-IDF's thresholds for esp_flash_read(), IDF_PERFORMANCE_MIN_FLASH_SPEED_BYTE_PER_SEC_RD_4B and …_RD_2KB of
components/idf_test/include/CHIP/idf_performance_target.h; they are 70 % of what Espressif measures.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ReadCost:
    """Seconds that a read takes the firmware: `call` each time, `byte` for each byte."""

    call: float = 0.0
    byte: float = 0.0

    @classmethod
    def of_rates(cls, rate_4: float, rate_2k: float) -> ReadCost:
        """From the bytes per second that reads of 4 bytes, and of 2 KB, reach."""
        small, large = 4 / rate_4, 2048 / rate_2k
        byte = (large - small) / (2048 - 4)
        return cls(small - 4 * byte, byte)

    def of(self, reads: int, size: int) -> float:
        """Seconds of so many reads of `size` bytes together."""
        return reads * self.call + size * self.byte


FREE = ReadCost()
TWO_CORES = ReadCost.of_rates(35_200, 6_650_000)  # esp32's: each read stops the other core and both caches first
ONE_CORE_XTENSA = ReadCost.of_rates(249_000, 11_480_000)  # esp32s2's
ONE_CORE_RISCV = ReadCost.of_rates(183_000, 6_676_000)  # esp32c3's
