"""The table of refusals, row by row, and what a loader's registers mean."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from provisioning.chips import CHIPS
from provisioning.config.load import load_board
from provisioning.errors import TwinrootError
from provisioning.flash import firmware, preflight
from provisioning.flash.jedec import flash_bytes
from provisioning.flash.rom import ChipFacts
from tests.flash import images

GOOD = ChipFacts("esp32", 301, "24:0a:c4:00:00:01", 4 << 20, secure_boot=False, flash_encryption=False, secure_download=False)


@pytest.fixture
def question(tmp_path: Path) -> preflight.Question:
    board = load_board(images.board_file(tmp_path, images.firmware(least=300), more="min_revision: v1.0\n"))
    return preflight.Question(board, GOOD, firmware.load(board), "/dev/ttyUSB0", 4 << 20, frozenset({GOOD.mac}))


def test_a_good_board_is_not_refused(question: preflight.Question) -> None:
    preflight.refuse(question)
    preflight.refuse(replace(question, facts=replace(GOOD, flash=16 << 20), allowed=None))
    preflight.refuse(replace(question, facts=replace(GOOD, revision=300)))  # the oldest that the firmware takes


CASES = {
    "wrong-chip": {"chip": "esp32s3"},
    "secure-download": {"secure_download": True},
    "secure-boot": {"secure_boot": True},
    "flash-encryption": {"flash_encryption": True},
    "no-flash-chip": {"flash": None},
    "flash-too-small": {"flash": 2 << 20},
    "not-allowed": {"mac": "24:0a:c4:00:00:02"},
}


@pytest.mark.parametrize("code", CASES)
def test_each_refusal(question: preflight.Question, code: str) -> None:
    with pytest.raises(TwinrootError) as caught:
        preflight.refuse(replace(question, facts=replace(GOOD, **CASES[code])))  # type: ignore[arg-type]
    assert caught.value.code == code and caught.value.message.endswith((".", ").")) and caught.value.hint


@pytest.mark.parametrize("revision", [0, 100, 299])
def test_old_chips_are_refused_by_board_file_and_by_firmware(question: preflight.Question, revision: int) -> None:
    with pytest.raises(TwinrootError) as caught:
        preflight.refuse(replace(question, facts=replace(GOOD, revision=revision)))
    assert caught.value.code == "wrong-revision" and ("board" in caught.value.message) is (revision < 100)


def test_how_much_flash_is_missing_is_said(question: preflight.Question) -> None:
    with pytest.raises(TwinrootError, match=f"{2 << 20} more"):
        preflight.refuse(replace(question, facts=replace(GOOD, flash=2 << 20)))


def test_every_row_of_the_table_has_a_case() -> None:
    assert {refusal.code for refusal in preflight.REFUSALS} == {*CASES, "wrong-revision"}


def test_chips_agree_with_esptool() -> None:
    """The numbers of the table, against the definitions of the installed esptool (read here, in a test, not imported by the product)."""
    from esptool.targets import CHIP_DEFS

    for name, chip in CHIPS.items():
        theirs = CHIP_DEFS[name]
        assert chip.image_id == theirs.IMAGE_CHIP_ID and chip.boot_offset == theirs.BOOTLOADER_FLASH_OFFSET, name
        assert chip.spi.base == theirs.SPI_REG_BASE and chip.spi.usr == theirs.SPI_USR_OFFS and chip.spi.w0 == theirs.SPI_W0_OFFS, name
        assert chip.spi.usr2 == theirs.SPI_USR2_OFFS and chip.spi.miso_len == theirs.SPI_MISO_DLEN_OFFS, name
        register, shift, width = chip.fuses.crypt_count
        assert register == theirs.EFUSE_SPI_BOOT_CRYPT_CNT_REG, name
        assert ((1 << width) - 1) << shift == theirs.EFUSE_SPI_BOOT_CRYPT_CNT_MASK, name
        if chip.watchdogs is not None:
            dogs = chip.watchdogs
            theirs_dogs = (theirs.RTC_CNTL_WDTCONFIG0_REG, theirs.RTC_CNTL_WDTWPROTECT_REG, theirs.RTC_CNTL_WDT_WKEY)
            assert (dogs.config, dogs.protect, dogs.key) == theirs_dogs, name
            feeder = (theirs.RTC_CNTL_SWD_CONF_REG, theirs.RTC_CNTL_SWD_WPROTECT_REG, theirs.RTC_CNTL_SWD_WKEY)
            assert (dogs.feeder, dogs.feeder_protect, dogs.feeder_key) == feeder, name
            assert dogs.feeder_bit == theirs.RTC_CNTL_SWD_AUTO_FEED_EN, name
        if chip.forced is not None:
            assert (chip.forced, theirs.RTC_CNTL_FORCE_DOWNLOAD_BOOT_MASK) == (theirs.RTC_CNTL_OPTION1_REG, 1), name
        if name != "esp32":
            assert chip.fuses.mac[0] == theirs.MAC_EFUSE_REG, name
            register, shift, _ = chip.fuses.secure_boot[0]
            assert (register, 1 << shift) == (theirs.EFUSE_SECURE_BOOT_EN_REG, theirs.EFUSE_SECURE_BOOT_EN_MASK), name


def test_sizes_agree_with_esptool() -> None:
    from esptool.cmds import DETECTED_FLASH_SIZES
    from esptool.util import flash_size_bytes

    for code, text in DETECTED_FLASH_SIZES.items():
        assert flash_bytes(code << 16 | 0x40EF) == flash_size_bytes(text), hex(code)
    assert flash_bytes(0xFFFFFF) is None
