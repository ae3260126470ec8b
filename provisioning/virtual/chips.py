"""What differs between the chips, one row each: boot text, image offset, MicroPython's names, flash reads. ROM loader data: see rom/."""

from __future__ import annotations

from dataclasses import dataclass

from provisioning.virtual.flash import ReadCost


@dataclass(frozen=True)
class Chip:
    """Texts are what the ROM prints at 115200 after a reset; `{reason}` and `{boot}` are filled in."""

    name: str
    title: str  # in MicroPython's _machine
    image_id: int  # chip number in an image's header
    image_offset: int  # where the ROM looks for the boot loader
    oui: bytes  # first three bytes of the MAC
    rom_date: str
    spi_boot: int  # strapping value printed for a boot from flash
    download_boot: int  # and for download mode
    reasons: dict[str, str]  # reset cause -> "rst:" text
    reads: ReadCost  # what a flash read takes MicroPython
    fast_boot_name: str = "SPI_FAST_FLASH_BOOT"
    download_name: str = "DOWNLOAD(USB/UART0)"

    @property
    def machine(self) -> str:
        """MicroPython's name for the board."""
        return f"Generic {self.title} module with {self.title}"

    @property
    def build(self) -> str:
        """And for the firmware that runs on it."""
        return f"{self.title}_GENERIC" if self.name == "esp32" else f"ESP32_GENERIC_{self.title[5:]}"


_NEW_REASONS = {
    "power": "0x1 (POWERON)",
    "pin": "0x1 (POWERON)",
    "software": "0xc (RTC_SW_CPU_RST)",
    "watchdog": "0x7 (TG0WDT_SYS_RST)",
    "rtc-watchdog": "0x10 (RTCWDT_RTC_RST)",
    "deep-sleep": "0x5 (DSLEEP)",
    "panic": "0xc (RTC_SW_CPU_RST)",
    "brownout": "0xf (BROWNOUT_RST)",
}
_OLD_REASONS = {
    "power": "0x1 (POWERON_RESET)",
    "pin": "0x1 (POWERON_RESET)",
    "software": "0xc (SW_CPU_RESET)",
    "watchdog": "0x7 (TG0WDT_SYS_RESET)",
    "rtc-watchdog": "0x10 (RTCWDT_RTC_RESET)",
    "deep-sleep": "0x5 (DEEPSLEEP_RESET)",
    "panic": "0xc (SW_CPU_RESET)",
    "brownout": "0xf (RTCWDT_BROWN_OUT_RESET)",
}

# ESP-IDF's thresholds for esp_flash_read(), IDF_PERFORMANCE_MIN_FLASH_SPEED_BYTE_PER_SEC_RD_4B and …_RD_2KB of
# components/idf_test/include/CHIP/idf_performance_target.h. They are 70 % of what Espressif measures. With two cores each read stops the
# other core and both caches first. None are published for the S3 (two cores, as the ESP32), the C2 and the C6 (one, as the C3).
_READS_ESP32 = ReadCost.of_rates(35_200, 6_650_000)
_READS_S2 = ReadCost.of_rates(249_000, 11_480_000)
_READS_C3 = ReadCost.of_rates(183_000, 6_676_000)

CHIPS = {
    chip.name: chip
    for chip in (
        Chip("esp32", "ESP32", 0, 0x1000, bytes.fromhex("240ac4"), "ets Jul 29 2019 12:21:46", 0x13, 0x3, _OLD_REASONS, _READS_ESP32,
             download_name="DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2)"),
        Chip("esp32s2", "ESP32S2", 2, 0x1000, bytes.fromhex("7cdfa1"), "ESP-ROM:esp32s2-rc4-20191025", 0x8, 0x0, _NEW_REASONS, _READS_S2),
        Chip("esp32s3", "ESP32S3", 9, 0x0, bytes.fromhex("f412fa"), "ESP-ROM:esp32s3-20210327", 0x8, 0x0, _NEW_REASONS, _READS_ESP32),
        Chip("esp32c2", "ESP32C2", 12, 0x0, bytes.fromhex("08b61f"), "ESP-ROM:esp8684-api2-20220127", 0xC, 0x4, _NEW_REASONS, _READS_C3),
        Chip("esp32c3", "ESP32C3", 5, 0x0, bytes.fromhex("58cf79"), "ESP-ROM:esp32c3-api1-20210207", 0xC, 0x4, _NEW_REASONS, _READS_C3),
        Chip("esp32c6", "ESP32C6", 13, 0x0, bytes.fromhex("404cca"), "ESP-ROM:esp32c6-20220919", 0xC, 0x4, _NEW_REASONS, _READS_C3),
    )
}  # fmt: skip

# machine.reset_cause() of each reset cause
RESET_CAUSE = {
    "power": 1, "pin": 1, "software": 2, "watchdog": 3, "rtc-watchdog": 3, "deep-sleep": 4, "panic": 3, "brownout": 1,
}  # fmt: skip
