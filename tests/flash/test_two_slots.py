"""A board whose firmware has two slots: blank to PASS, and again after it has taken other firmware over the air."""

from __future__ import annotations

import hashlib
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from provisioning.chips import CHIPS
from provisioning.config.load import load_product
from provisioning.flash import firmware, otadata
from provisioning.virtual import VirtualBoard, boot_image
from tests.flash import products
from tests.flash.test_job import run
from tests.support import slot_steps

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="virtual boards run on Linux")

ESP32, FLASH, SLOT = CHIPS["esp32"], 4 << 20, 0x180000
BOARD = "virtual-esp32-ota"
OTADATA, FIRST, SECOND, FILES = 0xD000, 0x10000, 0x190000, 0x310000


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> products.Made:
    """The stand-in firmware with MicroPython's table for two slots; the board file inherits where its files lie."""
    made = products.make(tmp_path / "product", extends=BOARD)
    content = boot_image.firmware(ESP32, FLASH, slot=SLOT)
    made.firmware.write_bytes(content)
    file = made.folder / "board.yaml"
    text = file.read_text()
    digest = text.split('sha256: "')[1].split('"')[0]
    file.write_text(text.replace(digest, hashlib.sha256(content).hexdigest()))
    return products.at_home(made, monkeypatch)


def test_the_file_system_lies_where_the_images_table_has_it(made: products.Made) -> None:
    """The board file's own numbers are the least that will do."""
    board = load_product(made.product).board
    assert board.slots is not None and board.slots.size == SLOT
    found = firmware.load(board)
    place = firmware.file_system(board, found)
    assert (place.offset, place.size) == (FILES, FLASH - FILES)
    assert [(row.label, row.offset) for row in found.table][1:5] == [
        ("otadata", OTADATA), ("phy_init", 0xF000), ("ota_0", FIRST), ("ota_1", SECOND)
    ]  # fmt: skip


def test_blank_to_pass_and_again_after_an_update_over_the_air(made: products.Made) -> None:
    code, _, text = made.twinroot("check", made.product, "--device", "ws-0001")
    assert code == 0, text
    with VirtualBoard(board=BOARD, paced=False, blank=True) as board:
        report = run(made, board.port, "ws-0001")
        assert report.outcome == "pass", report.message
        assert board.read_flash(SECOND, 4096) == b"\xff" * 4096
        # As an update over the air leaves a board: the other slot runs, for good.
        board.power_off()
        board.load_flash(SECOND, boot_image.application(ESP32, FLASH, 0x2000, boot_image.AppDescription("v9.1.0", "micropython")))
        board.load_flash(OTADATA, bytes.fromhex("01000000" + "ff" * 20 + "02000000" + "9a984347"))
        board.load_flash(OTADATA + 0x1000, bytes.fromhex("02000000" + "ff" * 20 + "02000000" + "7437f655"))
        board.power_on()
        again = run(made, board.port, "ws-0001")
        assert again.outcome == "pass", again.message
        assert "firmware written" in again.message and again.written == [f"0x{OTADATA:x}"], again.as_dict()
        assert any("was there already" in note for note in again.notes), again.notes
        assert board.read_flash(OTADATA + 4, 28)[20:21] == b"\x02" and board.read_flash(OTADATA + 0x1000, 32) == b"\xff" * 32
        board.clear_counters()
        last = run(made, board.port, "ws-0001")
        assert (last.code, last.written, board.counters()["flash_programs"]) == ("unchanged", [], 0), last.message


STARTS = [(a, b) for a, b in pairwise(slot_steps.STEPS) if b.code is None and b.spoil is None]


@pytest.mark.parametrize(("before", "after"), STARTS, ids=lambda step: step.what)
def test_which_slot_starts_next(before: slot_steps.Step, after: slot_steps.Step) -> None:
    """What a stock boot loader made of these bytes."""
    assert otadata.first_starts([bytes.fromhex(entry) for entry in before.entries], 2) == (after.running == "ota_0")
