"""`twinroot sign set --firmware`: a signed set with firmware. Images that are refused: tests/flash/test_slot_image.py."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provisioning.chips import CHIPS
from provisioning.ota import job_document
from provisioning.virtual import boot_image
from tests.device.jail import ROOT
from tests.device.slots import BOARD, SLOT, Slots
from tests.device.test_sign import at, station  # noqa: F401 (a fixture)

ESP32 = CHIPS["esp32"]
FEED = """
import esp32, twinroot
from twinroot import ota
u = ota.Update()
with open("/update", "rb") as f:
    while not u.done:
        u.feed(f.read(4000))
print(twinroot.slots.active(), twinroot.image.says()[:2], esp32.Partition(esp32.Partition.BOOT).info()[4])
"""


@pytest.fixture
def line(station: Path) -> Path:  # noqa: F811
    """A station whose product is rendered for a board with two slots, version 2."""
    assert at(station, "sign", "new-key", "vendor.key.pem").returncode == 0
    rendered(station, 2, BOARD)
    return station


def rendered(station: Path, version: int, board: str) -> None:  # noqa: F811
    text = (ROOT / "examples" / "weather-station" / "product.yaml").read_text()
    text = text.replace("!secret wifi_password", "secret-word").replace("!env WIFI_SSID", "net")
    lines = [line for line in text.splitlines() if not line.startswith(("version:", "board:"))]
    (station / "product.yaml").write_text(
        "\n".join([*lines, f"board: {board}", f"version: {version}", "updates: {key: vendor.pub.pem}", ""])
    )
    done = at(station, "render", "product.yaml", "--device", "ws-0001", "--out", f"out{version}")
    assert done.returncode == 0, done.stderr


def signed(line: Path, content: bytes, *more: str) -> tuple[int, dict[str, Any], str]:
    (line / "image.bin").write_bytes(content)
    how = ("--key", "vendor.key.pem", "--firmware", "image.bin", "--out", "update.bin", "--json")
    done = at(line, "sign", "set", "out2", *how, *more)
    return done.returncode, json.loads(done.stdout), done.stderr


def described(version: str) -> bytes:
    return boot_image.application(ESP32, 4 << 20, 0x2000, boot_image.AppDescription(version, "micropython"))


def test_a_board_takes_it(line: Path, make_virtual_board: Callable[..., Any]) -> None:
    code, said, text = signed(line, boot_image.firmware(ESP32, 4 << 20, slot=0x180000))
    assert (code, said["firmware"], said["version"]) == (0, "1.29.0-stand-in", 2), text
    application = boot_image.application(ESP32, 4 << 20)
    assert f"whole image: its application, {len(application):,} bytes from 0xf000 on" in text
    image = described("v1.30.0")
    assert signed(line, image)[1]["firmware"] == "v1.30.0"
    container = (line / "update.bin").read_bytes()
    manifest = job_document.manifest_of(container)
    digest = hashlib.sha256(image).hexdigest()
    assert manifest["files"][0] == ["firmware", len(image), digest] and manifest["firmware"] == "v1.30.0"
    rendered(line, 1, BOARD)
    tree = {f"/{p.relative_to(line / 'out1')}": p.read_bytes() for p in (line / "out1").rglob("*") if p.is_file()}
    board = make_virtual_board(board=BOARD, paced=False, clock="host")
    device = Slots(board)
    device.put({path: data for path, data in tree.items() if path != "/main.py"} | {"/update": container})
    assert device.lines(FEED)[-1] == f"2 ['ota_1', '{digest}'] ota_1"
    assert board.read_flash(SLOT["ota_1"], len(image)) == image


def test_which_board_it_is_for(line: Path) -> None:
    """Its own file when it is not in boards/; no other one; none with one place for firmware."""
    (line / "mine.yaml").write_text(f"extends: {BOARD}\nslots: {{size: 0x100000}}\n")
    good = described("v1.30.0")
    for board, code, says in (
        ("mine.yaml", "no-slots", "rendered for the board 'virtual-esp32-ota' with an esp32, not for 'mine'"),
        ("virtual-esp32", "no-slots", "has one place for firmware"),
    ):
        exit_code, said, _ = signed(line, good, "--board", board)
        assert (exit_code, said["code"]) == (2, code) and says in said["message"], said
    assert "without --first-loader" in signed(line, good, "--first-loader")[1]["hint"]
    assert not (line / "update.bin").exists()
    rendered(line, 2, "./mine.yaml")
    code, said, _ = signed(line, good)
    assert (code, said["code"]) == (2, "unknown-board") and "--board" in said["hint"], said
    code, said, text = signed(line, good, "--board", "mine.yaml")
    assert (code, said["firmware"]) == (0, "v1.30.0"), text
