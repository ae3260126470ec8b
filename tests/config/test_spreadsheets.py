"""Lists that went through a spreadsheet: what it did is said by name, and real ids that look alike are left in peace."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from provisioning.config.device import load_devices
from provisioning.errors import InputError


def load(folder: Path, content: str | bytes) -> list[str]:
    path = folder / "devices.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [device.id for device in load_devices(path)]


@pytest.mark.parametrize("cell", ["1E05", "1e5", "8.96529E+19", "8,96529E+19", "1.00E+05", "12E-3"])
def test_numbers_with_exponents(tmp_path: Path, cell: str) -> None:
    with pytest.raises(InputError, match=r"devices\.csv:3: column 'device' holds .*exponent, which a spreadsheet makes") as caught:
        load(tmp_path, f'device\nws-1\n"{cell}"\n')
    assert "as text" in caught.value.hint


@pytest.mark.parametrize("cell", ["03-Jan", "3-Mai", "Jan-03", "Okt 24", "1/2/2024", "01.02.24", "2024-03-01", "2024-03-01 00:00:00"])
def test_dates(tmp_path: Path, cell: str) -> None:
    with pytest.raises(InputError, match="a date, which a spreadsheet makes"):
        load(tmp_path, f"device\n{cell}\n")


@pytest.mark.parametrize("cell", ["#N/A", "#REF!", "#NAME?", "########", "=CONCAT(A1)"])
def test_formulas(tmp_path: Path, cell: str) -> None:
    with pytest.raises(InputError, match=r"of the spreadsheet|of a spreadsheet"):
        load(tmp_path, f"device\n{cell}\n")


def test_leading_zeros(tmp_path: Path) -> None:
    for ids in (("0012", "12"), ("7", "0007"), ("1", "2", "02")):
        with pytest.raises(InputError, match=r"stands beside .* drops leading zeros"):
            load(tmp_path, "\n".join(("device", *ids)))
    assert load(tmp_path, "device\n0012\n0013\n") == ["0012", "0013"]
    assert load(tmp_path, "device\n9\n10\n11\n") == ["9", "10", "11"]


def test_exponents_in_other_columns(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"column 'iccid' holds '8.96529E\+19'"):
        load(tmp_path, "device,iccid\nws-1,8.96529E+19\n")
    assert load(tmp_path, "device,range\nws-1,1E05\n") == ["ws-1"]


@pytest.mark.parametrize("cell", ["24E620000123", "0123456789E12345", "E105", "1E05A", "ws-1E5", "Jan", "3-1", "ESP32-3A", "A1E2"])
def test_ids_that_only_look_like_it(tmp_path: Path, cell: str) -> None:
    assert load(tmp_path, f"device\n{cell}\n") == [cell]


@pytest.mark.parametrize("line", ["sep=;", "SEP=,", '"sep=;"', "sep=\t"])
def test_a_line_for_excel_alone(tmp_path: Path, line: str) -> None:
    with pytest.raises(InputError, match=r"devices\.csv:1: .* is a line for Excel alone"):
        load(tmp_path, f"{line}\ndevice;site\nws-1;x\n")


@pytest.mark.parametrize("head", [b"PK\x03\x04\x14\0\x06\0\x08\0\0\0!\0\xb5\xff", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0"])
def test_a_workbook(tmp_path: Path, head: bytes) -> None:
    with pytest.raises(InputError, match="is an Excel workbook"):
        load(tmp_path, head * 20)


@pytest.mark.parametrize("cell", ["hello", "2.40E+11", "112233", "aa:bb:cc:dd:ee", "aa:bb:cc:dd:ee:fg", "0"])
def test_a_mac_that_is_none(tmp_path: Path, cell: str) -> None:
    with pytest.raises(InputError, match=r"devices\.csv:3: column 'mac'") as caught:
        load(tmp_path, f"device,mac\nws-1,aa:bb:cc:dd:ee:01\nws-2,{cell}\n")
    assert caught.value.code == "bad-mac"


def test_macs_as_people_write_them(tmp_path: Path) -> None:
    macs = ("aa:bb:cc:dd:ee:01", "AA-BB-CC-DD-EE-02", "aabb.ccdd.ee03", "24E620000123", "")
    assert len(load(tmp_path, "device,mac\n" + "".join(f"ws-{n},{mac}\n" for n, mac in enumerate(macs)))) == len(macs)


def test_forty_thousand_columns_cost_nothing(tmp_path: Path) -> None:
    names = ",".join(f"c{n}" for n in range(40_000))
    start = time.process_time()
    with pytest.raises(InputError, match="40001 columns"):
        load(tmp_path, f"device,{names}\nws-1{',x' * 40_000}\n")
    assert time.process_time() - start < 1
