"""What several chips have in common: the fuse layout, the security steps and the boot texts of everything newer than esp32.

Source of the steps: "Security Features Enablement Workflows" in the ESP-IDF programming guide.
"""

from __future__ import annotations

from provisioning.chips.chip import Encryption, Fuses, Step, Watchdogs


def newer_fuses(base: int) -> Fuses:
    """The layout that esp32s3, c3, c6 and later share, from their eFuse base; a chip's file replaces what differs."""
    block1 = base + 0x44
    return Fuses(
        mac=(block1, block1 + 4),
        major=((block1 + 4 * 5, 24, 2),),
        minor=((block1 + 4 * 3, 18, 3), (block1 + 4 * 5, 23, 1)),
        crypt_count=(base + 0x34, 18, 3),
        secure_boot=((base + 0x38, 20, 1),),
    )


LOW_POWER_WATCHDOGS = Watchdogs(0x600B1C00, 0x600B1C18, 0x600B1C1C, 0x600B1C20, 0x50D83AA1, 1 << 18)  # of esp32c6 and later


def fields(what: str, *pairs: str) -> Step:
    """A step that burns fields, each given as NAME=VALUE."""
    return Step(what, ("burn-efuse", *(word for pair in pairs for word in pair.split("="))))


_KEY = Step("the flash key, which nobody can read back", ("burn-key", "BLOCK_KEY0", "{key}", "XTS_AES_128_KEY"))
NEWER_ENCRYPTION = Encryption(
    steps={
        "development": (_KEY, fields("flash encryption on, once", "SPI_BOOT_CRYPT_CNT=1")),
        "release": (
            _KEY,
            fields("flash encryption on, for ever", "SPI_BOOT_CRYPT_CNT=7"),
            fields("no plain access through the loader", "DIS_DOWNLOAD_MANUAL_ENCRYPT=1"),
            fields("no JTAG", "DIS_PAD_JTAG=1"),
        ),
    },
    nvs_key=Step("the HMAC key that NVS encryption derives its keys from", ("burn-key", "BLOCK_KEY1", "{nvs}", "HMAC_UP")),
)

NEWER_REASONS = {
    "power": "0x1 (POWERON)",
    "pin": "0x1 (POWERON)",
    "software": "0xc (RTC_SW_CPU_RST)",
    "watchdog": "0x7 (TG0WDT_SYS_RST)",
    "rtc-watchdog": "0x10 (RTCWDT_RTC_RST)",
    "deep-sleep": "0x5 (DSLEEP)",
    "panic": "0xc (RTC_SW_CPU_RST)",
    "brownout": "0xf (BROWNOUT_RST)",
}
NEWER_BEFORE_LOAD = "SPIWP:0xee\r\nmode:{mode}, clock div:1\r\n"
