"""Fuses on espefuse's virtual chips: the summary is read, the tables burn what they say, and nothing burns by accident."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from provisioning.errors import BoardError, InputError
from provisioning.flash import efuse

MAC = "24:0a:c4:00:00:01"


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, Path]:
    made = {name: tmp_path / f"{name}.bin" for name in ("key", "nvs")}
    for path in made.values():
        path.write_bytes(os.urandom(32))
    return made


def test_the_summary_of_a_fresh_chip(tmp_path: Path) -> None:
    found = efuse.summary(efuse.Where("esp32", virtual=tmp_path / "fuses"))
    assert found["FLASH_CRYPT_CNT"] == 0 and found["ABS_DONE_0"] is False


@pytest.mark.parametrize(
    ("chip", "mode", "fuse", "value"),
    [
        ("esp32", "development", "FLASH_CRYPT_CNT", 1),
        ("esp32", "release", "FLASH_CRYPT_CNT", 127),
        ("esp32s3", "development", "SPI_BOOT_CRYPT_CNT", "Enable"),
        ("esp32c3", "release", "DIS_DOWNLOAD_MANUAL_ENCRYPT", True),
    ],
)
def test_a_plan_burns_what_it_says(tmp_path: Path, keys: dict[str, Path], chip: str, mode: efuse.Mode, fuse: str, value: object) -> None:
    where = efuse.Where(chip, virtual=tmp_path / "fuses")
    assert efuse.summary(where)[fuse] != value
    efuse.burn(where, efuse.plan(chip, mode, nvs=chip != "esp32"), keys, MAC, efuse.sentence(MAC))
    assert efuse.summary(where)[fuse] == value


@pytest.mark.parametrize("typed", ["", "yes", "burn", "burn 24:0a:c4:00:00:02 for ever"])
def test_nothing_burns_without_the_sentence(tmp_path: Path, keys: dict[str, Path], typed: str) -> None:
    where = efuse.Where("esp32", virtual=tmp_path / "fuses")
    efuse.summary(where)
    before = (tmp_path / "fuses").read_bytes()
    with pytest.raises(InputError) as caught:
        efuse.burn(where, efuse.plan("esp32", "release"), keys, MAC, typed)
    assert caught.value.code == "not-confirmed" and (tmp_path / "fuses").read_bytes() == before


def test_a_key_that_is_too_short_ends_before_the_switch(tmp_path: Path, keys: dict[str, Path]) -> None:
    keys["key"].write_bytes(b"short")
    where = efuse.Where("esp32", virtual=tmp_path / "fuses")
    with pytest.raises(BoardError, match="flash key"):
        efuse.burn(where, efuse.plan("esp32", "release"), keys, MAC, efuse.sentence(MAC))
    assert efuse.summary(where)["FLASH_CRYPT_CNT"] == 0


def test_what_the_table_does_not_have() -> None:
    for chip, nvs in (("esp32c2", False), ("esp32", True)):
        with pytest.raises(InputError):
            efuse.plan(chip, "release", nvs=nvs)
