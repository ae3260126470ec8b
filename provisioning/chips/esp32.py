"""ESP32: two cores, no chip id in its ROM's answers, a fuse layout and an encryption scheme of its own."""

from provisioning.chips.chip import BootTexts, Chip, Encryption, Fuses, Spi, Step, VirtualChip
from provisioning.chips.families import fields
from provisioning.chips.flash_reads import TWO_CORES

_EFUSE = 0x3FF5A000
_APB_CTL_DATE = 0x3FF6607C
_KEY = Step("the flash key, which nobody can read back", ("burn-key", "flash_encryption", "{key}"))
_VARIED = fields("how the key is varied over addresses", "FLASH_CRYPT_CONFIG=15")

CHIP = Chip(
    name="esp32",
    title="ESP32",
    image_id=0,
    boot_offset=0x1000,
    spi=Spi(0x3FF42000, usr=0x1C, usr2=0x24, miso_len=0x2C, w0=0x80),
    fuses=Fuses(
        mac=(_EFUSE + 4, _EFUSE + 8),
        major=((_EFUSE + 4 * 3, 15, 1), (_EFUSE + 4 * 5, 20, 1), (_APB_CTL_DATE, 31, 1)),
        major_codes=((0, 0), (1, 1), (3, 2), (7, 3)),
        minor=((_EFUSE + 4 * 5, 24, 2),),
        crypt_count=(_EFUSE, 20, 7),
        secure_boot=((_EFUSE + 4 * 6, 4, 1), (_EFUSE + 4 * 6, 5, 1)),
    ),
    magic=0x00F01D83,
    security_info=False,
    write_encrypted=False,
    encryption=Encryption(
        steps={
            "development": (_KEY, _VARIED, fields("flash encryption on, once", "FLASH_CRYPT_CNT=1")),
            "release": (
                _KEY,
                _VARIED,
                fields("flash encryption on, for ever", "FLASH_CRYPT_CNT=127"),
                fields("no plain access through the loader", "DISABLE_DL_ENCRYPT=1", "DISABLE_DL_DECRYPT=1", "DISABLE_DL_CACHE=1"),
                fields("no JTAG", "JTAG_DISABLE=1"),
            ),
        },
        nvs_key=None,
    ),
    virtual=VirtualChip(
        oui=bytes.fromhex("240ac4"),
        # D0WD-V3 rated 240 MHz, revision v3.1; 128: CK8M, so that the ROM's crystal estimate is exact
        fuses={"EFUSE_RD_REG_BASE": {3: 1 << 9 | 1 << 13 | 1 << 15, 4: 128, 5: 1 << 20 | 1 << 24}},
        rom_magic=0x00F01D83,
        reads=TWO_CORES,
        boot=BootTexts(
            rom="ets Jul 29 2019 12:21:46",
            flash_strap=0x13,
            download_strap=0x3,
            reasons={
                "power": "0x1 (POWERON_RESET)",
                "pin": "0x1 (POWERON_RESET)",
                "software": "0xc (SW_CPU_RESET)",
                "watchdog": "0x7 (TG0WDT_SYS_RESET)",
                "rtc-watchdog": "0x10 (RTCWDT_RTC_RESET)",
                "deep-sleep": "0x5 (DEEPSLEEP_RESET)",
                "panic": "0xc (SW_CPU_RESET)",
                "brownout": "0xf (RTCWDT_BROWN_OUT_RESET)",
            },
            before_load="mode:{mode}, clock div:2\r\n",
            download_name="DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2)",
        ),
    ),
)
